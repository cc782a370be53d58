"""One palette for the live view, the RViz markers and the report, readable with colour blindness.

Groups take the hues of Okabe and Ito ("Color Universal Design", 2008); the stack's own things keep the
same colour everywhere: blue drives, orange is what was asked for, red stops.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]

ROBOT: Rgb = (30, 100, 200)
PLAN: Rgb = (46, 160, 67)
PREDICTED: Rgb = (20, 190, 230)
CHOSEN: Rgb = (120, 70, 200)
SCAN: Rgb = (214, 40, 110)
GOAL: Rgb = (240, 150, 0)
RAW: Rgb = (240, 150, 0)
SENT: Rgb = (30, 100, 200)
ALONE: Rgb = (110, 116, 130)
CONTACT: Rgb = (214, 39, 40)
PASS: Rgb = (46, 160, 67)
TRIMMED: Rgb = (190, 215, 150)
LIMITED: Rgb = (240, 150, 0)
STOPPED: Rgb = (214, 39, 40)

GROUPS: tuple[Rgb, ...] = (
    (230, 159, 0), (0, 158, 115), (204, 121, 167), (0, 114, 178), (213, 94, 0), (86, 180, 233),
    (150, 120, 20),
)  # fmt: skip
"""Hues of groups of people, by group number."""


def person_colours(group_ids: NDArray[np.integer], confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(N, 4) RGBA of people: hue by group, paler when the tracker is less sure.

    Args:
        group_ids: (N,) group numbers, < 0 for people alone.
        confidence: (N,) in [0, 1].
    """
    groups = np.asarray(group_ids, dtype=np.int64)
    palette = np.array(GROUPS, dtype=np.uint8)[groups % len(GROUPS)].reshape(-1, 3)
    rgb = np.where(groups[:, None] < 0, np.array(ALONE, dtype=np.uint8), palette)
    sure = 0.4 + 0.6 * np.clip(np.nan_to_num(confidence), 0.0, 1.0)[:, None]
    paled = 255.0 - (255.0 - rgb) * sure
    return np.column_stack([paled, np.full(len(groups), 255)]).astype(np.uint8)


def css(colour: Rgb) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
