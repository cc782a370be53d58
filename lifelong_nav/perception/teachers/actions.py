"""What a polite robot does next, by rule: the action of the privileged teacher.

Keeping right is the custom the rules fall back on; who is in the way on the right is passed on the left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

NARROW = 1.7
"""In a passage narrower than this [m] a robot of .6 m and a person do not pass each other at ease."""

_FIXED = {
    "free_passage": "continue",
    "robot_overtaking": "overtake",
    "down_path": "follow",
    "following": "follow",
    "accompanying": "accompany",
    "join_group": "join",
    "leave_group": "continue",
    "robot_crowding": "retreat",
    "queue": "go_around",
    "photo_session": "go_around",
    "static_groups": "go_around",
    "entering_room": "wait_turn",
    "pedestrian_overtaking": "keep_right",
}


def polite_action(
    scenario: str,
    at: FloatArray,
    motion: NDArray[np.str_],
    robot_speed: float = 0.0,
    way: float = 0.0,
    width: float = np.inf,
) -> str:
    """Word of `social_scene.ACTIONS`.

    Args:
        scenario: name; one that is not known is judged by the people alone.
        at: (N, 2) people in the robot's frame [m].
        motion: (N,) words of `MOTIONS`.
        robot_speed: forward [m/s].
        way: bearing of the robot's way [rad].
        width: of the passage [m].
    """
    if scenario in _FIXED:
        return _FIXED[scenario]
    c, s = np.cos(way), np.sin(way)
    along, aside = at[:, 0] * c + at[:, 1] * s, -at[:, 0] * s + at[:, 1] * c
    front = (along > 0.0) & (along < 6.0)
    crossing = np.isin(motion, ("crossing_left", "crossing_right"))
    oncoming = front & (motion == "approaching")
    if scenario in ("frontal_approach", "narrow_hallway", "moving_groups", "pedestrian_obstruction"):
        if not front.any():
            return "continue"
        return "yield" if width < NARROW and (along[front] < 3.5).any() else _pass_by(along, aside, front)
    if scenario == "parallel_traffic":
        return _pass_by(along, aside, oncoming) if oncoming.any() else "follow"
    if scenario in ("intersection", "perpendicular_traffic", "circular_crossing"):
        in_way = front & (crossing | (motion == "approaching")) & (along < 4.0)
        return "yield" if in_way.any() else "slow_down"
    if scenario in ("narrow_doorway", "exiting_room"):
        return "yield" if (front & (motion != "moving_away")).any() else "continue"
    if scenario == "entering_elevator":
        return "wait_turn" if (front & np.isin(motion, ("approaching",))).any() else "slow_down"
    if scenario == "exiting_elevator":
        return "slow_down" if front.any() else "continue"
    if scenario == "blind_corner":
        return "keep_right" if oncoming.any() else "slow_down"
    if scenario == "leading":
        behind = along < 0.0
        return "continue" if behind.any() and (-along[behind]).min() < 2.5 else "slow_down"
    if scenario == "crowd":
        close = front & (along < 1.8) & (np.abs(aside) < 0.9)
        return "yield" if close.any() else "slow_down"
    return _by_people(along, aside, motion, front)


def _by_people(
    along: FloatArray, aside: FloatArray, motion: NDArray[np.str_], front: NDArray[np.bool_]
) -> str:
    """For scenarios nobody wrote a rule for."""
    lane = front & (np.abs(aside) < 1.2)
    moving = np.isin(motion, ("approaching", "crossing_left", "crossing_right"))
    if (lane & moving & (along < 3.0)).any():
        return "yield"
    if (lane & (motion == "standing")).any():
        return _pass_by(along, aside, lane)
    return "slow_down" if front.any() else "continue"


def _pass_by(along: FloatArray, aside: FloatArray, who: NDArray[np.bool_]) -> str:
    """Pass the nearest of them on the free side, on the right where both are free."""
    nearest = int(np.argmin(np.where(who, along, np.inf)))
    return "keep_left" if aside[nearest] < -0.35 else "keep_right"
