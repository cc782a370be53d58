"""The learner of social context: samples in, new head generations out; a process of its own.

All work is done by one thread of the lowest priority, so that heartbeats and driving come first. It stops
learning while the controller reports that it misses deadlines.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import DependencyError, InputError, LifelongNavError
from lifelong_nav.nodes import convert, convert_context
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.learner_teachers import Pictures, SimTeacher, TeacherConfig, build_teacher
from lifelong_nav.nodes.ros_clock import to_seconds
from lifelong_nav.perception.context_files import ModelFiles, load_shipped, model_folder, state_folder
from lifelong_nav.perception.lifelong.asking import Moment
from lifelong_nav.perception.lifelong.updater import Updater
from lifelong_nav.perception.person_detector import PersonDetector
from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder
from lifelong_nav.perception.teachers import TeacherError, TeacherRequest

_QUEUE = 64
_SCORES = ("learned", "scenarios", "moments", "asked_share", "false_alarm_rate", "clusters")
"""Of the learner's state, what `LearnerState` carries as numbers."""


@dataclass(frozen=True)
class ContextLearnerConfig(TeacherConfig, ModelFiles):
    """Where the learner keeps its state, and whom it asks."""

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


class ContextLearnerNode(StackNode):
    """See the module's docstring."""

    NAME, CONFIG = "context_learner", ContextLearnerConfig
    LIVE: ClassVar[frozenset[str] | None] = frozenset({"learn"})

    def setup(self) -> None:
        """Open what was learned before and start the thread."""
        c: ContextLearnerConfig = self.config
        self._state, self._event, self._event_stamp = "waiting", "", 0.0
        self._answered, self._overloaded, self._lost = 0, False, 0
        self._inbox: queue.Queue[Any] = queue.Queue(_QUEUE)
        self._end = threading.Event()
        self._figures: dict[str, Any] = {}
        self._out = self.offer("context_learner")
        self._pictures = Pictures()
        self._detector: PersonDetector | None = None
        self._teacher = build_teacher(c, self.clock)
        self._text: TextEncoder | None = None
        self._updater: Updater | None = None
        try:
            self._open()
        except DependencyError as error:
            self.degraded("learning", str(error))
            self.get_logger().warning(f"nothing is learned: {error}")
            return
        self.listen("context_sample", self._on_sample)
        self.listen("heartbeat", self._on_heartbeat)
        if isinstance(self._teacher, SimTeacher):
            self.listen("sim/scene", self._on_scene)
        if c.teacher == "endpoint" and c.send_pictures:
            self._detector, status = PersonDetector.load_or_none()
            if self._detector is None:  # the teacher refuses pictures that nobody searched for people
                self.degraded("pictures", f"none is sent: {status}")
            self.listen("camera/color/image_raw", self._on_image)
        self.every(1.0, self._tell, wall=True)
        self._thread = threading.Thread(target=self._work, name="learning", daemon=True)
        self._thread.start()
        self.on_cleanup_do(self._join)

    def start(self) -> None:
        """Say what is in use."""
        self._tell()

    # ---- what comes in -----------------------------------------------------------------------------

    def _on_sample(self, message: Any) -> None:
        assert self._updater is not None
        if message.features and message.trunk != self._updater.head.trunk:
            raise InputError(f"A sample of trunk '{message.trunk}'.", "Let both nodes use one model_dir.")
        try:
            self._inbox.put_nowait(message)
        except queue.Full:  # training takes its time; moments are plentiful
            self._lost += 1

    def _on_scene(self, message: Any) -> None:
        assert isinstance(self._teacher, SimTeacher)
        self._teacher.hear(self.clock.now(), message.data)

    def _on_image(self, message: Any) -> None:
        self._pictures.keep(convert.image_from(message))

    def _on_heartbeat(self, message: Any) -> None:
        if message.node.rsplit("/", 1)[-1] == "controller":
            self._overloaded = message.active and "deadline" in message.text

    # ---- the thread that learns --------------------------------------------------------------------

    def _work(self) -> None:
        alone = self.executor is not None and len(self.executor.get_nodes()) == 1
        lower_priority(self.config.niceness, alone)
        while not self._end.is_set():
            try:
                message = self._inbox.get(timeout=0.2)
            except queue.Empty:
                message = None
            try:
                self._turn(message)
            except LifelongNavError as error:
                self._say("fault", str(error))
                self.fault("learning", error)
            except Exception as error:  # a bug ends learning, never driving
                self._say("fault", f"{type(error).__name__}: {error}")
                self.degraded("learning", f"stopped by {type(error).__name__}: {error}")
                self.get_logger().error(f"learning stopped: {error}")
                return

    def _turn(self, message: Any) -> None:
        assert self._updater is not None
        if message is not None:
            moment, facts = self._moment(message)
            self._updater.observe(moment)
            question = self._updater.maybe_ask(moment.stamp)
            if question is not None:
                self._ask(question, facts, moment.stamp)
            self._now = moment.stamp
            self._figures = self._updater.state()
        elif not self._may_learn():
            self._state = "paused"
        else:
            self._state = "updating" if self._updater.due(self._now) else "waiting"
            event = self._updater.step(self._now, self._may_learn)
            self._state, self._figures = "waiting", self._updater.state()
            if event is not None:
                self._say("waiting", event.text)
                self.get_logger().info(f"learner: {event.text}")

    def _moment(self, message: Any) -> tuple[Moment, str]:
        assert self._text is not None
        features = np.asarray(message.features, dtype=np.float32)
        clauses = list(message.clauses)
        facts = self._text.encode(clauses).ravel() if clauses else None
        stamp = to_seconds(message.header.stamp)
        return Moment(stamp, features if features.size else None, facts), " ".join(clauses)

    def _ask(self, question: Any, facts: str, now: float) -> None:
        assert self._updater is not None
        scene = None
        if self._teacher is not None:
            self._state = "asking"
            try:
                scene = self._teacher.describe(self._request(question.stamp, facts)).scene
                self._answered += 1
                self._say("waiting", f"asked; the teacher says: {scene.sentence}")
            except TeacherError as error:
                self._say("waiting", f"asked without an answer: {error.what}")
        self._updater.answer(question.number, scene, now)

    def _request(self, stamp: float, facts: str) -> TeacherRequest:
        """A question with the picture, if one may be sent, and the people in it, whose heads are blurred."""
        assert self._updater is not None
        picture, persons = self._pictures.at(stamp), None
        pixels = None if picture is None else np.asarray(picture.data, dtype=np.uint8)
        if pixels is not None and self._detector is not None:
            persons = self._detector.detect(pixels).xyxy
        return TeacherRequest(stamp, pixels, facts, dict(self._updater.captions.scenarios), persons)

    def _may_learn(self) -> bool:
        return bool(self.config is not None and self.config.learn and not self._overloaded)

    # ---- what goes out -----------------------------------------------------------------------------

    def _say(self, state: str, text: str) -> None:
        self._state, self._event, self._event_stamp = state, text, self.clock.now()

    def _tell(self) -> None:
        figures = self._figures
        scores = {name: float(figures.get(name, 0.0)) for name in _SCORES}
        out = convert_context.learner_state_to(self.clock.now(), "context", self._state, scores)
        out.generation = 0 if self._updater is None else int(self._updater.generation)
        out.event, out.event_stamp = self._event[:300], float(self._event_stamp)
        out.samples, out.asked = int(figures.get("moments", 0)), int(figures.get("asked", 0))
        out.answered = self._answered
        self._out.publish(out)
        self.stats |= {"state": self._state, "samples not taken": float(self._lost), "last": self._event[:80]}

    # ---- inside ------------------------------------------------------------------------------------

    def _open(self) -> None:
        c: ContextLearnerConfig = self.config
        folder = model_folder(c)
        self._text = TextEncoder.load(folder / "text", c.threads)
        self._updater, trouble = Updater.open(
            state_folder(c), self._text.encode, load_shipped(folder), seed=c.seed
        )
        for sentence in trouble:
            self.get_logger().warning(f"learner: {sentence}")
        self._figures, self._now = self._updater.state(), 0.0
        self._say("waiting", f"generation {self._updater.generation}")

    def _join(self) -> None:
        self._end.set()
        deadline = time.monotonic() + 15.0
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(0.2)
        if self._updater is not None and not self._thread.is_alive():
            self._updater.save()
