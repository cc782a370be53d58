"""SocNav1: people's ratings (0-100) of a robot among people in rooms, as arrays in the robot's frame.

Manso et al. 2020, "SocNav1: A Dataset to Benchmark and Learn Social Navigation Conventions" (Data 5(1):7),
CC BY 4.0. The robot stands at the origin. Its pictures were drawn as on a screen: x to the right, y down, an
orientation of 0 deg looks up, and so does the robot; people who interact look at each other, which
confirms it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.rating.features import Surroundings

TRAIN_FILE, DEV_FILE = "train_by_rater.jsonl", "socnav_dev.json"
RATERS = 12


@dataclass(frozen=True)
class Ratings:
    """R ratings.

    `around`: scenes seen from the origin (arrays with a leading axis R); `scores` (R,) in [0, 1];
    `scenes` (R,) identifiers; `raters` (R,) number of the rater, -1 unknown.
    """

    around: Surroundings
    scores: FloatArray
    scenes: NDArray[np.str_]
    raters: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: NDArray[Any]) -> Ratings:
        """The ratings at `rows` (indices or mask)."""
        return Ratings(rows_of(self.around, rows), self.scores[rows], self.scenes[rows], self.raters[rows])


def rows_of(around: Surroundings, rows: NDArray[Any]) -> Surroundings:
    """The surroundings at `rows` of their leading axis."""
    a = around
    return Surroundings(
        a.people[rows], a.facing[rows], a.there[rows], a.engaged[rows],
        a.ties[rows], a.to_object[rows], a.tied[rows], a.wall[rows],
    )  # fmt: skip


def load(folder: Path) -> tuple[Ratings, Ratings]:
    """Training ratings without any scene of the validation file, and the validation ratings."""
    held_out = read(folder / DEV_FILE)
    everything = read(folder / TRAIN_FILE)
    return everything.take(~np.isin(everything.scenes, held_out.scenes)), held_out


def read(path: Path) -> Ratings:
    """Read one file of JSON lines.

    Raises:
        InputError: the file is missing, or a line is no SocNav1 scene.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(
            f"Cannot read {path}: {error.strerror}.", "Name the folder with SocNav1 (see LIFELONG_NAV_DATA)."
        ) from error
    try:
        return gather([json.loads(line) for line in lines])
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path} is not SocNav1 as JSON lines ({error!r}).", "Check the file.") from error


def gather(scenes: Sequence[dict[str, Any]]) -> Ratings:
    """Scenes as SocNav1 writes them, as padded arrays."""
    parts = [_scene(scene) for scene in scenes]
    people = max([1, *(len(p["people"]) for p in parts)])
    ties = max([1, *(len(p["ties"]) for p in parts)])
    count = len(parts)
    around = Surroundings(
        people=np.full((count, people, 2), 50.0, dtype=np.float32),
        facing=np.zeros((count, people), dtype=np.float32),
        there=np.zeros((count, people), dtype=bool),
        engaged=np.zeros((count, people), dtype=bool),
        ties=np.full((count, ties, 4), 50.0, dtype=np.float32),
        to_object=np.zeros((count, ties), dtype=bool),
        tied=np.zeros((count, ties), dtype=bool),
        wall=np.array([p["wall"] for p in parts], dtype=np.float32),
    )
    for row, p in enumerate(parts):
        n, m = len(p["people"]), len(p["ties"])
        around.people[row, :n], around.facing[row, :n] = p["people"], p["facing"]
        around.engaged[row, :n], around.there[row, :n] = p["engaged"], True
        around.ties[row, :m], around.to_object[row, :m], around.tied[row, :m] = (
            p["ties"], p["to_object"], True,
        )  # fmt: skip
    return Ratings(
        around,
        np.array([float(s["score"]) / 100.0 for s in scenes]),
        np.array([str(s["identifier"]) for s in scenes]),
        np.array([ord(s["rater"]) - ord("a") if "rater" in s else -1 for s in scenes]),
    )


def _scene(scene: dict[str, Any]) -> dict[str, FloatArray]:
    humans, objects = scene["humans"], scene["objects"]
    place = {thing["id"]: _ahead_left(thing["xPos"], thing["yPos"]) for thing in [*humans, *objects]}
    persons = {human["id"] for human in humans}
    pairs = {(link[0], link[1]) for link in scene["links"] if link[0] in persons}
    ties, to_object = [], []
    for a, b in sorted(pairs):
        if b in persons and a > b and (b, a) in pairs:
            continue  # the same two people, named twice
        ties.append((*place[a], *place[b]))
        to_object.append(b not in persons)
    engaged = {i for pair in pairs for i in pair}
    room = np.array([_ahead_left(x, y) for x, y in scene["room"]])
    return {
        "people": _rows([place[human["id"]] for human in humans], 2),
        "facing": -np.deg2rad([float(human["orientation"]) for human in humans]),
        "engaged": np.array([human["id"] in engaged for human in humans], dtype=bool),
        "ties": _rows(ties, 4),
        "to_object": np.array(to_object, dtype=bool),
        "wall": _nearest_wall(room),
    }


def _ahead_left(x: float, y: float) -> tuple[float, float]:
    """Centimetres on the screen to metres ahead and to the left of the robot."""
    return -float(y) / 100.0, -float(x) / 100.0


def _nearest_wall(room: FloatArray) -> FloatArray:
    a, line = room[:-1], np.diff(room, axis=0)
    share = np.clip(-(a * line).sum(axis=1) / np.maximum((line * line).sum(axis=1), 1e-9), 0.0, 1.0)
    return np.asarray(np.linalg.norm(a + share[:, None] * line, axis=1).min())


def _rows(rows: Iterable[tuple[float, ...]], width: int) -> FloatArray:
    return np.array(list(rows), dtype=float).reshape(-1, width)
