"""What to play and what became of it: the player's parameters and its summary. No ROS here."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifelong_nav.core.config import param
from lifelong_nav.replay.timeline import TimelineConfig


@dataclass(frozen=True)
class PlayerConfig(TimelineConfig):
    """What is played and how."""

    bag: str = param("", doc="rosbag2 folder, .mcap, .db3, ROS 1 .bag, or a .zip of one.", read_only=True)
    start: float = param(0.0, "s", 0.0, 1e9, "Seconds to skip at the beginning.", read_only=True)
    duration: float = param(0.0, "s", 0.0, 1e9, "Seconds to play; 0: all.", read_only=True)
    topics: list[str] = param([], doc="Play only these topics of the bag; empty: all.", read_only=True)
    exclude: list[str] = param([], doc="Never play these topics.", read_only=True)
    remap: list[str] = param([], doc="FROM:=TO for topics of the bag.", read_only=True)
    paused: bool = param(False, doc="True stops time.")
    lockstep: str = param(
        "scan", doc="Topic played no faster than `ack` answers it, so that none is missed; empty: never wait."
    )
    ack: str = param("people", doc="Topic whose header stamps answer `lockstep`; unused if nobody offers it.")
    ack_timeout: float = param(1.0, "s", 0.05, 3600.0, "Wait no longer than this for an answer.")
    wait_for: list[str] = param(
        [], doc="Begin when these nodes are active, /clock running towards the start."
    )
    wait_timeout: float = param(30.0, "s", 0.0, 3600.0, "Begin after this in any case.")
    discovery: float = param(1.0, "s", 0.0, 60.0, "Time for subscribers to find the player before it begins.")
    check: bool = param(True, doc="Leave broken messages out: they could end a subscriber.")


@dataclass
class PlaySummary:
    """What became of a playback."""

    bag: str = ""
    played: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    loops: int = 0
    bag_seconds: float = 0.0
    wall_seconds: float = 0.0
    answered: int = 0
    unanswered: int = 0
    lossy: bool = False
    notes: tuple[str, ...] = ()
    complete: bool = False

    @property
    def speed(self) -> float:
        """Bag seconds per wall second."""
        return self.bag_seconds / self.wall_seconds if self.wall_seconds > 0.0 else 0.0

    def __str__(self) -> str:
        total = sum(self.played.values())
        lines = [
            f"{'played' if self.complete else 'stopped after'} {total} messages of {self.bag}: "
            f"{self.bag_seconds:.1f} s in {self.wall_seconds:.1f} s ({self.speed:.2f}x), {self.loops} loop(s)"
        ]
        lines += [f"  {topic}: {count}" for topic, count in sorted(self.played.items())]
        if self.answered or self.unanswered:
            lines.append(f"  answered: {self.answered}, unanswered: {self.unanswered}")
        lines += [
            f"  skipped {topic}: {why}" for topic, why in sorted(self.skipped.items()) if why != "not chosen"
        ]
        lines += [f"  {self.broken} broken messages were left out"] if self.broken else []
        lines += [f"  bag: {note}" for note in self.notes]
        return "\n".join(lines)
