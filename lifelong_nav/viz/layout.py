"""The layout of the live view; `config/rerun/lifelong_nav.rbl` holds the same for Rerun's own viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import require_package

APPLICATION = "lifelong_nav"
TIMELINE = "ros_time"
PLOT_WINDOW = 30.0
"""Seconds shown in the plots."""

_EYE_TANGENT = 0.45  # of half the eye's opening, a little more than Rerun's to leave a margin
_PANE_ASPECT = 1.1


def layout(bounds: tuple[float, float, float, float] | None = None) -> Any:
    """Top view on the left; camera, situation, commands, gate and events on the right; time below.

    Args:
        bounds: x_min, y_min, x_max, y_max [m] of the map: the eye then looks straight down on all of it.
            None: the viewer frames what it sees.

    Returns:
        A rerun.blueprint.Blueprint.
    """
    rr = require_package("rerun", "viz")
    rrb = require_package("rerun.blueprint", "viz")
    window = rrb.VisibleTimeRange(
        TIMELINE,
        start=rr.TimeRangeBoundary.cursor_relative(seconds=-PLOT_WINDOW),
        end=rr.TimeRangeBoundary.cursor_relative(),
    )
    top = rrb.Spatial3DView(
        origin="/map",
        name="Top view",
        contents="/map/**",
        background=rrb.Background(color=[250, 250, 252]),
        line_grid=rrb.LineGrid3D(visible=True, spacing=1.0, color=[0, 0, 0, 18], stroke_width=0.5),
        eye_controls=None if bounds is None else _eye(rrb, bounds),
        overrides={"/map/costmap": rrb.EntityBehavior(visible=False)},
    )
    plots = [
        rrb.TimeSeriesView(
            origin=f"/command/{name}",
            name=title,
            axis_y=rrb.ScalarAxis(range=limits, zoom_lock=False),
            plot_legend=rrb.PlotLegend(corner=rrb.Corner2D.LeftTop),
            time_ranges=[window],
        )
        for name, title, limits in (
            ("speed", "Speed: asked for and sent [m/s]", (-0.3, 1.2)),
            ("turn", "Turn rate: asked for and sent [rad/s]", (-1.8, 1.8)),
        )
    ]
    log = rrb.TextLogView(
        origin="/",
        contents=["/gate/log", "/events"],
        name="Gate and events",
        columns=rrb.TextLogColumns(timeline_columns=[TIMELINE], text_log_columns=["loglevel", "body"]),
    )
    right = rrb.Vertical(
        rrb.Horizontal(
            rrb.Spatial2DView(origin="/camera", name="Camera"),
            rrb.Tabs(
                rrb.TextDocumentView(origin="/situation", name="Situation"),
                rrb.TextDocumentView(origin="/choice", name="Choice"),
            ),
        ),
        *plots,
        rrb.StateTimelineView(origin="/gate/state", name="Gate", time_ranges=[window]),
        log,
        row_shares=[3.0, 1.6, 1.6, 1.15, 1.6],
    )
    return rrb.Blueprint(
        rrb.Horizontal(top, right, column_shares=[1.7, 1.0]),
        rrb.BlueprintPanel(state="hidden"),
        rrb.SelectionPanel(state="hidden"),
        rrb.TimePanel(state="collapsed", timeline=TIMELINE, play_state="following"),
        auto_layout=False,
        auto_views=False,
    )


def save_layout(path: Path) -> None:
    """Write the layout as an .rbl file that Rerun's viewer opens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout().save(APPLICATION, str(path))


def _eye(rrb: Any, bounds: tuple[float, float, float, float]) -> Any:
    x0, y0, x1, y1 = bounds
    centre = np.array([(x0 + x1) / 2.0, (y0 + y1) / 2.0, 0.0])
    height = max((y1 - y0) / 2.0, (x1 - x0) / 2.0 / _PANE_ASPECT, 1.5) / _EYE_TANGENT
    return rrb.EyeControls3D(position=[*centre[:2], height], look_target=centre, eye_up=[0.0, 1.0, 0.0])
