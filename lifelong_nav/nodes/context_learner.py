"""The learner of social context: samples in, new head generations out; a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifelong_nav.core.errors import InputError
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.learner import LearnerConfig, LearnerNode
from lifelong_nav.nodes.learner_teachers import Pictures, SimTeacher, TeacherConfig, build_teacher
from lifelong_nav.nodes.ros_clock import to_seconds
from lifelong_nav.perception.context_files import ModelFiles, load_shipped, model_folder, state_folder
from lifelong_nav.perception.lifelong.asking import Moment
from lifelong_nav.perception.lifelong.updater import Updater
from lifelong_nav.perception.person_detector import PersonDetector
from lifelong_nav.perception.sc_clip.text_encoder import TextEncoder
from lifelong_nav.perception.teachers import TeacherError, TeacherRequest

_SCORES = ("learned", "scenarios", "moments", "asked_share", "false_alarm_rate", "clusters")
"""Of the learner's state, what `LearnerState` carries as numbers."""


@dataclass(frozen=True)
class ContextLearnerConfig(TeacherConfig, ModelFiles, LearnerConfig):
    """Where the learner keeps its state, and whom it asks."""


class ContextLearnerNode(LearnerNode):
    """See the module's docstring."""

    NAME, CONFIG, TOPIC, LEARNER = "context_learner", ContextLearnerConfig, "context_learner", "context"

    def open(self) -> None:
        """Open what was learned before, and whom to ask."""
        c: ContextLearnerConfig = self.config
        self._answered, self._now = 0, 0.0
        self._pictures = Pictures()
        self._detector: PersonDetector | None = None
        self._teacher = build_teacher(c, self.clock)
        folder = model_folder(c)
        self._text = TextEncoder.load(folder / "text", c.threads)
        self._updater, trouble = Updater.open(
            state_folder(c), self._text.encode, load_shipped(folder), seed=c.seed
        )
        for sentence in trouble:
            self.get_logger().warning(f"learner: {sentence}")
        self._figures: dict[str, Any] = self._updater.state()
        self.say("waiting", f"generation {self._updater.generation}")

    def connect(self) -> None:
        """Moments, and what the teacher needs."""
        c: ContextLearnerConfig = self.config
        self.listen("context_sample", self._on_sample)
        if isinstance(self._teacher, SimTeacher):
            self.listen("sim/scene", self._on_scene)
        if c.teacher == "endpoint" and c.send_pictures:
            self._detector, status = PersonDetector.load_or_none()
            if self._detector is None:  # the teacher refuses pictures that nobody searched for people
                self.degraded("pictures", f"none is sent: {status}")
            self.listen("camera/color/image_raw", self._on_image)

    def close(self) -> None:
        """Keep what was gathered."""
        self._updater.save()

    def generation(self) -> int:
        """See `LearnerNode`."""
        return int(self._updater.generation)

    def counts(self) -> tuple[int, int, int]:
        """See `LearnerNode`."""
        return int(self._figures.get("moments", 0)), int(self._figures.get("asked", 0)), self._answered

    def scores(self) -> Mapping[str, float]:
        """See `LearnerNode`."""
        return {name: float(self._figures.get(name, 0.0)) for name in _SCORES}

    # ---- what comes in -----------------------------------------------------------------------------

    def _on_sample(self, message: Any) -> None:
        if message.features and message.trunk != self._updater.head.trunk:
            raise InputError(f"A sample of trunk '{message.trunk}'.", "Let both nodes use one model_dir.")
        self.put(message)

    def _on_scene(self, message: Any) -> None:
        assert isinstance(self._teacher, SimTeacher)
        self._teacher.hear(self.clock.now(), message.data)

    def _on_image(self, message: Any) -> None:
        self._pictures.keep(convert.image_from(message))

    # ---- the thread that learns --------------------------------------------------------------------

    def turn(self, item: Any) -> None:
        """Watch and ask; learn when nothing else is to do."""
        if item is not None:
            moment, facts = self._moment(item)
            self._updater.observe(moment)
            question = self._updater.maybe_ask(moment.stamp)
            if question is not None:
                self._ask(question, facts, moment.stamp)
            self._now = moment.stamp
            self._figures = self._updater.state()
        elif not self.may_learn():
            self.state = "paused"
        else:
            self.state = "updating" if self._updater.due(self._now) else "waiting"
            event = self._updater.step(self._now, self.may_learn)
            self.state, self._figures = "waiting", self._updater.state()
            if event is not None:
                self.say("waiting", event.text)
                self.get_logger().info(f"learner: {event.text}")

    def _moment(self, message: Any) -> tuple[Moment, str]:
        features = np.asarray(message.features, dtype=np.float32)
        clauses = list(message.clauses)
        facts = self._text.encode(clauses).ravel() if clauses else None
        stamp = to_seconds(message.header.stamp)
        return Moment(stamp, features if features.size else None, facts), " ".join(clauses)

    def _ask(self, question: Any, facts: str, now: float) -> None:
        scene = None
        if self._teacher is not None:
            self.state = "asking"
            try:
                scene = self._teacher.describe(self._request(question.stamp, facts)).scene
                self._answered += 1
                self.say("waiting", f"asked; the teacher says: {scene.sentence}")
            except TeacherError as error:
                self.say("waiting", f"asked without an answer: {error.what}")
        self._updater.answer(question.number, scene, now)

    def _request(self, stamp: float, facts: str) -> TeacherRequest:
        """A question with the picture, if one may be sent, and the people in it, whose heads are blurred."""
        picture, persons = self._pictures.at(stamp), None
        pixels = None if picture is None else np.asarray(picture.data, dtype=np.uint8)
        if pixels is not None and self._detector is not None:
            persons = self._detector.detect(pixels).xyxy
        return TeacherRequest(stamp, pixels, facts, dict(self._updater.captions.scenarios), persons)
