"""Brings the stack up in order and down in reverse; mends what fails, hangs or died.

Processes are started and respawned by `ros2 launch` or `lifelong-nav up`; the supervisor drives their
lifecycle over the standard services and reads their heartbeats. A node that reports FAILED is cleaned
up and brought up again; one that answers neither heartbeat nor service is killed, so that it respawns.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from lifelong_nav_interfaces.msg import Heartbeat
from std_srvs.srv import Trigger

from lifelong_nav.core.config import param
from lifelong_nav.nodes.base import StackNode

_UP = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
}
_DOWN = {
    State.PRIMARY_STATE_ACTIVE: Transition.TRANSITION_DEACTIVATE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_CLEANUP,
}

_LOST = 2.0
"""A request is given up when heartbeats came in for this long after it [s]."""


@dataclass(frozen=True)
class SupervisorConfig:
    """Which nodes, in which order, and how patient to be."""

    nodes: list[str] = param([], doc="Names of the lifecycle nodes to manage, in order of bring-up.")
    autostart: bool = param(True, doc="Bring the stack up at once; else wait for the startup service.")
    hang_timeout: float = param(5.0, "s", 1.0, 120.0, "Wall time without any answer that counts as hung.")
    transition_timeout: float = param(
        30.0, "s", 1.0, 600.0, "Wall time in which a transition must end (worlds and models are loaded)."
    )
    failed_timeout: float = param(1.0, "s", 0.1, 60.0, "How long a node may report FAILED before a restart.")
    retry_pause: float = param(1.0, "s", 0.1, 60.0, "Pause after a refused transition.")
    kill_hung: bool = param(True, doc="Kill a hung process on this machine so that it is respawned.")


@dataclass
class _Managed:
    """What is known of one node. Times are wall monotonic."""

    name: str
    get_state: Any
    change_state: Any
    state: int = State.PRIMARY_STATE_UNKNOWN
    pending: Any = None
    changing: bool = False
    asked_at: float = 0.0
    answered_at: float = field(default_factory=time.monotonic)
    not_before: float = 0.0
    failed_since: float | None = None
    going_down: bool = False
    pid: int = 0
    host: str = ""
    restarts: int = 0

    @property
    def active(self) -> bool:
        return self.state == State.PRIMARY_STATE_ACTIVE and not self.going_down


class Supervisor(StackNode):
    """See the module's docstring."""

    NAME, CONFIG, SELF_START = "supervisor", SupervisorConfig, True

    def setup(self) -> None:
        """Make clients for every managed node."""
        self._wanted_up = bool(self.config.autostart)
        self._announced = False
        self._started = time.monotonic()
        self._nodes = [self._manage(name) for name in self.config.nodes]
        self._by_name = {f"{self.get_namespace().rstrip('/')}/{m.name}": m for m in self._nodes}
        self.listen("heartbeat", self._on_beat)
        self.every(0.1, self._tick, wall=True)
        for name, up in (("startup", True), ("shutdown", False)):
            service = self.create_service(Trigger, f"~/{name}", self._switcher(up))
            self.on_cleanup_do(partial(self.destroy_service, service))

    def all_active(self) -> bool:
        """True when every managed node is active."""
        return all(m.active for m in self._nodes)

    def all_down(self) -> bool:
        """True when no managed node is configured any more."""
        resting = (State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_UNKNOWN)
        return all(m.state in resting for m in self._nodes)

    def _manage(self, name: str) -> _Managed:
        get_state = self.create_client(GetState, f"{name}/get_state")
        change_state = self.create_client(ChangeState, f"{name}/change_state")
        for client in (get_state, change_state):
            self.on_cleanup_do(partial(self.destroy_client, client))
        return _Managed(name, get_state, change_state)

    def _switcher(self, up: bool) -> Any:
        def switch(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            self._wanted_up, self._announced = up, False
            response.success = True
            response.message = "bringing the stack " + ("up" if up else "down")
            return response

        return switch

    def _on_beat(self, beat: Heartbeat) -> None:
        m = self._by_name.get(beat.node)
        if m is None:
            return
        now = m.answered_at = time.monotonic()
        if m.pid not in (0, beat.pid):
            self.get_logger().warning(f"{m.name} is a new process (pid {beat.pid}, was {m.pid})")
            self._forget_request(m)
            m.going_down = False
            m.restarts += 1
        m.pid, m.host = beat.pid, beat.host
        if beat.state != Heartbeat.FAILED or not beat.active:
            m.failed_since = None
        elif m.failed_since is None:
            m.failed_since = now
        if m.active and not beat.active and m.pending is None:
            m.state = State.PRIMARY_STATE_UNKNOWN  # somebody else deactivated it: look again

    def _tick(self) -> None:
        now = time.monotonic()
        for m in self._nodes:
            self._collect(m, now)
        order = self._nodes if self._wanted_up else reversed(self._nodes)
        for m in order:
            if m.active if self._wanted_up else m.state == State.PRIMARY_STATE_UNCONFIGURED:
                self._watch(m, now)
                continue
            self._drive(m, now)
            break  # one at a time keeps the order
        self._announce()

    def _collect(self, m: _Managed, now: float) -> None:
        """Take in the answer of the request under way, if there is one."""
        if m.pending is None or not m.pending.done():
            return
        answer, m.pending = m.pending.result(), None
        m.answered_at = now
        if isinstance(answer, GetState.Response):
            m.state = answer.current_state.id
        elif answer is None or not answer.success:
            self.get_logger().warning(f"{m.name} refused a transition; trying again")
            m.state, m.not_before = State.PRIMARY_STATE_UNKNOWN, now + self.config.retry_pause
        else:
            m.state = State.PRIMARY_STATE_UNKNOWN  # ask where it stands now
        if m.state == State.PRIMARY_STATE_UNCONFIGURED:
            m.going_down = False

    def _drive(self, m: _Managed, now: float) -> None:
        """Bring one node a step nearer to where it should be."""
        if m.pending is not None or now < m.not_before:
            self._check_hang(m, now)
            return
        down = m.going_down or not self._wanted_up
        transition = (_DOWN if down else _UP).get(m.state)
        client = m.get_state if transition is None else m.change_state
        if not client.service_is_ready():
            m.answered_at = max(m.answered_at, self._started)
            return
        if transition is None:
            m.pending = client.call_async(GetState.Request())
        else:
            m.pending = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        m.changing, m.asked_at = transition is not None, now

    def _watch(self, m: _Managed, now: float) -> None:
        """Look after a node that is where it should be."""
        if m.failed_since is not None and now - m.failed_since > self.config.failed_timeout:
            self.get_logger().error(f"{m.name} reports FAILED: restarting it")
            m.going_down, m.failed_since = True, None
            m.restarts += 1
        elif now - m.answered_at > self.config.hang_timeout / 2 and m.pending is None:
            if m.get_state.service_is_ready():
                m.pending = m.get_state.call_async(GetState.Request())
                m.changing, m.asked_at = False, now
            else:
                m.state = State.PRIMARY_STATE_UNKNOWN  # gone; its respawn will be driven up
        self._check_hang(m, now)

    def _check_hang(self, m: _Managed, now: float) -> None:
        if m.pending is None:
            return
        if m.answered_at - m.asked_at > _LOST:
            # it beats after the request, one thread serves both: DDS drops answers to clients just met
            self.get_logger().warning(f"the answer of {m.name} was lost; asking again")
            self._forget_request(m)
            return
        patience = self.config.transition_timeout if m.changing else self.config.hang_timeout
        if now - max(m.asked_at, m.answered_at) < patience:
            return
        self._forget_request(m)
        m.answered_at = now
        local = m.host == socket.gethostname() and m.pid not in (0, os.getpid())
        if local and self.config.kill_hung and _alive(m.pid):
            self.get_logger().error(f"{m.name} (pid {m.pid}) hangs: killing it so that it is respawned")
            os.kill(m.pid, signal.SIGKILL)
        else:
            self.get_logger().error(f"{m.name} does not answer")

    def _forget_request(self, m: _Managed) -> None:
        for client in (m.get_state, m.change_state):
            client.remove_pending_request(m.pending)
        m.pending, m.state = None, State.PRIMARY_STATE_UNKNOWN

    def _announce(self) -> None:
        self.stats = {m.name: f"state {m.state}, restarts {m.restarts}" for m in self._nodes}
        if not self._wanted_up:
            self.degraded("stack", "down on request")
            return
        missing = [m.name for m in self._nodes if not m.active]
        self.degraded("stack", f"not active: {', '.join(missing)}" if missing else None)
        if not missing and not self._announced:
            self._announced = True
            took = time.monotonic() - self._started
            self.get_logger().info(f"the stack is up: {len(self._nodes)} nodes active after {took:.1f} s")
        elif missing:
            self._announced = False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
