"""Whom the learner of social context asks: the simulator (over its topic) or a teacher of perception."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from lifelong_nav.core.clock import Clock
from lifelong_nav.core.config import param, specs
from lifelong_nav.core.types import Image
from lifelong_nav.perception.captions import scene_from_json
from lifelong_nav.perception.teachers import (
    EndpointConfig,
    Teacher,
    TeacherAnswer,
    TeacherError,
    TeacherRequest,
    make_teacher,
)

_KEPT = 8
_CLOSE = 0.6


@dataclass(frozen=True)
class TeacherConfig:
    """Whom to ask."""

    teacher: str = param(
        "none", doc="Who names new scenes: the simulator, an endpoint, a file of labels, or nobody.",
        choices=("none", "sim", "endpoint", "file"),
    )  # fmt: skip
    teacher_url: str = param("", doc="Base URL of the endpoint; empty: LIFELONG_NAV_TEACHER_URL.")
    teacher_model: str = param("", doc="Its model; empty: LIFELONG_NAV_TEACHER_MODEL.")
    teacher_deadline: float = param(10.0, "s", 0.2, 120.0, "For one question with its tries.")
    teacher_per_hour: int = param(30, "", 0, 3600, "Questions to the endpoint in any hour.")
    send_pictures: bool = param(
        False, doc="Send pictures to the endpoint, heads blurred; false: scene facts in words only."
    )
    labels_file: str = param("", doc="JSONL or CSV of labels, for the teacher `file`.")


class SimTeacher:
    """The simulator's own words, from the topic `sim/scene`."""

    def __init__(self) -> None:
        self._told: deque[tuple[float, str]] = deque(maxlen=_KEPT)

    def hear(self, stamp: float, text: str) -> None:
        """Remember what the simulator said at `stamp` [s]."""
        self._told.append((stamp, text))

    def describe(self, request: TeacherRequest) -> TeacherAnswer:
        """The word nearest in time.

        Raises:
            TeacherError: none within 0.6 s, or it is no scene.
        """
        near = sorted((abs(stamp - request.stamp), text) for stamp, text in self._told.copy())
        if not near or near[0][0] > _CLOSE:
            raise TeacherError(
                "unknown", "The simulator said nothing at that time.", "Is the node sim running?"
            )
        return TeacherAnswer(scene_from_json(near[0][1]), "sim")


class Pictures:
    """The last few pictures in memory, for a teacher that looks at them; never on disk."""

    def __init__(self) -> None:
        self._kept: deque[Image] = deque(maxlen=_KEPT)

    def keep(self, image: Image) -> None:
        """The newest pushes out the oldest."""
        self._kept.append(image)

    def at(self, stamp: float) -> Image | None:
        """The picture nearest to `stamp` [s], None when none is within 0.6 s."""
        near = sorted(self._kept.copy(), key=lambda image: abs(image.stamp - stamp))
        return near[0] if near and abs(near[0].stamp - stamp) <= _CLOSE else None


def build_teacher(config: TeacherConfig, clock: Clock) -> Teacher | None:
    """The teacher that the parameters name; None for nobody.

    Raises:
        ConfigError, InputError: the endpoint has no address, or the labels cannot be read.
    """
    if config.teacher == "sim":
        return SimTeacher()
    endpoint = EndpointConfig(
        url=config.teacher_url, model=config.teacher_model, deadline=config.teacher_deadline,
        per_hour=config.teacher_per_hour,
    )  # fmt: skip
    return make_teacher(
        config.teacher, clock=clock, wait=time.sleep, endpoint=endpoint, file=config.labels_file
    )


def own_values(config: Any, kind: type) -> dict[str, Any]:
    """The values of `config` that belong to the component config `kind`."""
    return {s.name: getattr(config, s.name) for s in specs(kind)}
