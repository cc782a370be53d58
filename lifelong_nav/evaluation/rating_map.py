"""Maps of what the rating model thinks of every place around people, as numbers and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.rating.features import Surroundings
from lifelong_nav.trajectory.rating.model import RatingModel, load


@dataclass(frozen=True)
class Scene:
    """People to draw a map around.

    `people` (N, 3) x, y [m], facing [rad]; `pairs` of people who talk; `walls` (M, 4) [m].
    """

    title: str
    people: FloatArray
    pairs: tuple[tuple[int, int], ...] = ()
    walls: FloatArray | None = None


EXAMPLES = (
    Scene("one person, facing right", np.array([[0.0, 0.0, 0.0]])),
    Scene("two in conversation", np.array([[-0.8, 0.0, 0.0], [0.8, 0.0, np.pi]]), ((0, 1),)),
    Scene("two side by side, facing right", np.array([[0.0, 0.6, 0.0], [0.0, -0.6, 0.0]])),
    Scene(
        "one person near a corner, facing it", np.array([[1.0, -1.0, -np.pi / 4]]), (),
        np.array([[-3.0, -2.0, 2.0, -2.0], [2.0, -2.0, 2.0, 3.0]]),
    ),
)  # fmt: skip


def rating_map(
    model: RatingModel, scene: Scene, half: float = 3.0, step: float = 0.05, yaw: float | None = None
) -> FloatArray:
    """(K, K) ratings of robots on a grid from -half to half [m], rows along y.

    Args:
        model: to ask.
        scene: who is there.
        half: half the side of the map [m].
        step: distance of grid points [m].
        yaw: heading of the robot [rad]; None for the mean over eight headings.
    """
    line = np.arange(-half, half + step / 2, step)
    x, y = np.meshgrid(line, line)
    people = scene.people
    ties = np.full((max(1, len(scene.pairs)), 4), 50.0)
    for row, (a, b) in enumerate(scene.pairs):
        ties[row] = [*people[a, :2], *people[b, :2]]
    engaged = np.isin(np.arange(len(people)), np.array(scene.pairs).ravel())
    around = Surroundings(
        people[:, :2], people[:, 2], np.ones(len(people), dtype=bool), engaged, ties,
        np.zeros(len(ties), dtype=bool), np.full(len(ties), bool(scene.pairs)), _walls(x, y, scene.walls),
    )  # fmt: skip
    yaws = np.arange(8) * np.pi / 4 if yaw is None else np.array([yaw])
    maps = [model.rate(np.stack([x, y, np.full_like(x, a)], axis=-1), around) for a in yaws]
    return np.asarray(np.mean(maps, axis=0))


def draw(path: Path, scenes: tuple[Scene, ...] = EXAMPLES, model: RatingModel | None = None) -> None:
    """Draw maps of scenes side by side into a picture file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    model = model or load()
    figure = Figure(figsize=(4.2 * len(scenes), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, scene in zip(figure.subplots(1, len(scenes), squeeze=False)[0], scenes, strict=True):
        shown = axes.imshow(
            rating_map(model, scene), origin="lower", extent=(-3, 3, -3, 3), vmin=0, vmax=1, cmap="RdYlGn"
        )
        axes.contour(
            rating_map(model, scene),
            levels=(0.25, 0.5, 0.75),
            extent=(-3, 3, -3, 3),
            colors="k",
            linewidths=0.7,
        )
        for x, y, facing in scene.people:
            axes.plot(x, y, "o", color="tab:blue", markersize=9)
            axes.arrow(x, y, 0.35 * np.cos(facing), 0.35 * np.sin(facing), width=0.03, color="tab:blue")
        for x0, y0, x1, y1 in scene.walls if scene.walls is not None else ():
            axes.plot((x0, x1), (y0, y1), "k-", linewidth=3)
        axes.set(title=scene.title, xlabel="x [m]")
    figure.colorbar(shown, label="expected rating of a robot that stands there")
    figure.savefig(path, dpi=80)


def _walls(x: FloatArray, y: FloatArray, walls: FloatArray | None) -> FloatArray:
    if walls is None:
        return np.full(x.shape, 3.0)
    at = np.stack([x, y], axis=-1)[..., None, :]
    a, line = walls[:, :2], walls[:, 2:] - walls[:, :2]
    share = np.clip(((at - a) * line).sum(-1) / np.square(line).sum(-1), 0.0, 1.0)
    return np.asarray(np.linalg.norm(at - a - share[..., None] * line, axis=-1).min(axis=-1))
