"""Who tells the robot what a scene is: the simulator's truth, a vision-language model, a file or nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lifelong_nav.core.clock import Clock
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.perception.teachers.base import REASONS as REASONS
from lifelong_nav.perception.teachers.base import Teacher as Teacher
from lifelong_nav.perception.teachers.base import TeacherAnswer as TeacherAnswer
from lifelong_nav.perception.teachers.base import TeacherError as TeacherError
from lifelong_nav.perception.teachers.base import TeacherRequest as TeacherRequest
from lifelong_nav.perception.teachers.endpoint_config import EndpointConfig as EndpointConfig

KINDS = ("none", "endpoint", "file")


def make_teacher(
    kind: str,
    *,
    clock: Clock,
    wait: Callable[[float], object],
    endpoint: EndpointConfig | None = None,
    file: Path | str = "",
    tolerance: float = 0.5,
) -> Teacher | None:
    """The teacher of that kind; None for "none": everything works without.

    Args:
        kind: one of `KINDS`.
        clock: for budgets and rests.
        wait: waits so many seconds between tries.
        endpoint: where and how to ask ("endpoint").
        file: labels ("file").
        tolerance: how far a label may be away [s].

    Raises:
        ConfigError: unknown kind, or what the kind needs is missing.
        InputError: the file is wrong.
    """
    if kind == "none":
        return None
    if kind == "endpoint":
        from lifelong_nav.perception.teachers.endpoint import EndpointTeacher

        return EndpointTeacher(endpoint, clock=clock, wait=wait)
    if kind == "file":
        from lifelong_nav.perception.teachers.captions_file import CaptionsFile

        if not str(file):
            raise ConfigError("The teacher 'file' has no file.", "Name a .jsonl or .csv of labels.")
        return CaptionsFile(file, tolerance)
    raise ConfigError(f"There is no teacher '{kind}'.", f"Choose from: {', '.join(KINDS)}.")
