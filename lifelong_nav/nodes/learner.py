"""What every learner node shares: one thread of the lowest priority, an inbox, and what it tells the world.

Heartbeats and driving come first: learning stops while the controller reports that it misses deadlines,
and a bug in learning ends learning, never the process.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import DependencyError, LifelongNavError
from lifelong_nav.nodes import convert_context
from lifelong_nav.nodes.base import StackNode

_QUEUE = 64


@dataclass(frozen=True)
class LearnerConfig:
    """What all learners have in common."""

    learn: bool = param(True, doc="Train and promote; false: only watch and remember.")
    niceness: int = param(15, "", 0, 19, "Added to the priority of the thread that learns.")
    seed: int = param(0, "", 0, 2**31 - 1, "Of training.")


def lower_priority(niceness: int, alone: bool) -> None:
    """Make the calling thread yield to everybody else.

    Linux shares the processor between sessions first (sched_autogroup), where a thread's niceness counts
    nothing; a process that leads a session of its own, as under our launcher, lowers that share too.

    Args:
        niceness: 0 to 19.
        alone: no other node lives in this process.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
    if alone and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # kernels without autogroups
            Path("/proc/self/autogroup").write_text(str(niceness))


class LearnerNode(StackNode):
    """A lifecycle node around an updater. Subclasses fill in the hooks."""

    TOPIC: ClassVar[str]
    """Where the learner's state goes."""
    LEARNER: ClassVar[str]
    """What `LearnerState.learner` says."""
    LIVE: ClassVar[frozenset[str] | None] = frozenset({"learn"})

    # ---- hooks -------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open what was learned before; a `DependencyError` leaves the node up with nothing learned."""

    def connect(self) -> None:
        """Subscribe to what is learned from."""

    def turn(self, item: Any) -> None:
        """In the thread: take in one item of the inbox, or None when there was none for a while."""

    def close(self) -> None:
        """Write what must survive; the thread has ended."""

    def generation(self) -> int:
        """Of the model in use; 0 as shipped."""
        return 0

    def counts(self) -> tuple[int, int, int]:
        """Samples kept, questions asked, answers."""
        return 0, 0, 0

    def scores(self) -> Mapping[str, float]:
        """Figures by name."""
        return {}

    # ---- what subclasses use -----------------------------------------------------------------------

    def put(self, item: Any) -> None:
        """Hand an item to the thread; dropped while training takes its time, for moments are plentiful."""
        try:
            self._inbox.put_nowait(item)
        except queue.Full:
            self._lost += 1

    def say(self, state: str, text: str) -> None:
        """Enter a state (`convert_context.LEARNER_STATES`) because of an event, in words."""
        self.state, self._event, self._event_stamp = state, text, self.clock.now()

    def may_learn(self) -> bool:
        """False while switched off or while driving needs the processor."""
        return bool(self.config is not None and self.config.learn and not self._overloaded)

    # ---- the node ----------------------------------------------------------------------------------

    def setup(self) -> None:
        """Open what was learned before and start the thread."""
        self.state, self._event, self._event_stamp = "waiting", "", 0.0
        self._overloaded, self._lost = False, 0
        self._inbox: queue.Queue[Any] = queue.Queue(_QUEUE)
        self._end = threading.Event()
        self._state_out = self.offer(self.TOPIC)
        try:
            self.open()
        except DependencyError as error:
            self.degraded("learning", str(error))
            self.get_logger().warning(f"nothing is learned: {error}")
            return
        self.connect()
        self.listen("heartbeat", self._on_heartbeat)
        self.every(1.0, self._tell, wall=True)
        self._thread = threading.Thread(target=self._work, name="learning", daemon=True)
        self._thread.start()
        self.on_cleanup_do(self._join)

    def start(self) -> None:
        """Say what is in use."""
        self._tell()

    def _on_heartbeat(self, message: Any) -> None:
        if message.node.rsplit("/", 1)[-1] == "controller":
            self._overloaded = message.active and "deadline" in message.text

    def _work(self) -> None:
        alone = self.executor is not None and len(self.executor.get_nodes()) == 1
        lower_priority(self.config.niceness, alone)
        while not self._end.is_set():
            try:
                item = self._inbox.get(timeout=0.2)
            except queue.Empty:
                item = None
            try:
                self.turn(item)
            except LifelongNavError as error:
                self.say("fault", str(error))
                self.fault("learning", error)
            except Exception as error:  # a bug ends learning, never driving
                self.say("fault", f"{type(error).__name__}: {error}")
                self.degraded("learning", f"stopped by {type(error).__name__}: {error}")
                self.get_logger().error(f"learning stopped: {error}")
                return

    def _tell(self) -> None:
        out = convert_context.learner_state_to(self.clock.now(), self.LEARNER, self.state, self.scores())
        out.generation = self.generation()
        out.event, out.event_stamp = self._event[:300], float(self._event_stamp)
        out.samples, out.asked, out.answered = self.counts()
        self._state_out.publish(out)
        self.stats |= {"state": self.state, "samples not taken": float(self._lost), "last": self._event[:80]}

    def _join(self) -> None:
        self._end.set()
        deadline = time.monotonic() + 15.0
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(0.2)
        if not self._thread.is_alive():
            self.close()
