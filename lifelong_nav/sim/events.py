"""What a day does to a running simulation: the events of a scenario, applied when their time comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.crowd.walkers import Walkers
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.scenario import Event
from lifelong_nav.sim.scenario_build import obstacles, set_crowd_size


class Timetable:
    """Events waiting for their time.

    Args:
        events: in any order.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._waiting = deque(sorted(events, key=lambda e: e.at))

    def advance(self, sim: Simulation) -> list[Event]:
        """Apply everything that is due at the simulation's time; returns what happened."""
        done = []
        while self._waiting and self._waiting[0].at <= sim.time:
            event = self._waiting.popleft()
            apply(sim, event)
            done.append(event)
        return done


def apply(sim: Simulation, event: Event) -> None:
    """Make one event happen now."""
    value = event.value
    if event.kind == "friction":
        sim.set_floor(event.target or "floor", value[0])
    elif event.kind == "payload":
        sim.set_payload(value[0])
    elif event.kind == "wheel_wear":
        left, right = sim.robot.wear
        sim.set_wheel_wear(
            value[0] if event.target in ("", "left") else float(left),
            value[0] if event.target in ("", "right") else float(right),
        )
    elif event.kind == "crowd_size":
        if isinstance(sim.crowd, Walkers):
            set_crowd_size(sim.crowd, int(value[0]))
    elif event.kind == "move_box":
        sim.move_box(event.target, Pose2(*value))
        if isinstance(sim.crowd, Walkers):
            sim.crowd.set_obstacles(obstacles(sim.scene))
    elif event.kind == "door":
        sim.set_door(event.target, value[0])
