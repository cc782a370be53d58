"""A vision-language model behind an OpenAI-compatible endpoint (cloud, vLLM, llama.cpp, Ollama) as a teacher.

Address, model and key come from LIFELONG_NAV_TEACHER_URL, _MODEL and _KEY. Replies are held to the schema or
refused; the robot never depends on one.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from lifelong_nav.core.clock import Clock
from lifelong_nav.core.errors import ConfigError
from lifelong_nav.perception.social_scene import SCENARIOS
from lifelong_nav.perception.teachers.base import TeacherAnswer, TeacherError, TeacherRequest
from lifelong_nav.perception.teachers.breaker import CircuitBreaker
from lifelong_nav.perception.teachers.budget import Budget
from lifelong_nav.perception.teachers.endpoint_config import EndpointConfig
from lifelong_nav.perception.teachers.exchange import Reply, check_url, post_json
from lifelong_nav.perception.teachers.hygiene import clean_scene
from lifelong_nav.perception.teachers.picture import blur_boxes, encode_jpeg
from lifelong_nav.perception.teachers.prompt import chat_body, read_completion

ENVIRONMENT = "LIFELONG_NAV_TEACHER_"
_AGAIN = ("unreachable", "timeout", "busy", "failed", "format", "schema")
_FIX = "The robot works without a teacher; it is asked again later."


class EndpointTeacher:
    """Asks the endpoint.

    Args:
        config: see `EndpointConfig`.
        clock: for budget, rests and latency.
        wait: waits so many seconds between tries, such as `time.sleep` or an event's wait.
        key: bearer key; None for LIFELONG_NAV_TEACHER_KEY. Never shown, stored or logged.
        environment: where URL, model and key are looked up; None for the process's.

    Raises:
        ConfigError: no URL or model, or a key over plain http to another machine.
    """

    def __init__(
        self, config: EndpointConfig | None = None, *, clock: Clock, wait: Callable[[float], object],
        key: str | None = None, environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        c = self.config = config or EndpointConfig()
        env = os.environ if environment is None else environment
        url, self.model = (
            (value or env.get(ENVIRONMENT + name, "")).strip()
            for value, name in ((c.url, "URL"), (c.model, "MODEL"))
        )
        self._key = (env.get(ENVIRONMENT + "KEY", "") if key is None else key).strip()
        if not url or not self.model:
            raise ConfigError(
                "The teacher's URL or model is missing.",
                f"Set {ENVIRONMENT}URL and {ENVIRONMENT}MODEL, or choose no teacher.",
            )
        if not self._key.isascii() or not self._key.isprintable():
            raise ConfigError("The teacher's key holds odd characters.", "Copy it again.")
        self._url = f"{check_url(url, bool(self._key))}/chat/completions"
        self._clock, self._wait = clock, wait
        self.breaker = CircuitBreaker(c.failures, c.rest, c.longest_rest)
        self.budget = Budget(c.per_hour, c.per_day, c.tokens_per_day)
        self._names: set[str] = set()

    def __repr__(self) -> str:
        return f"EndpointTeacher(model={self.model!r})"

    def describe(self, request: TeacherRequest) -> TeacherAnswer:
        """Ask, at most `tries` times within the deadline.

        Raises:
            TeacherError: with the reason of the last try; "resting", "budget" and "privacy" ask nobody.
        """
        c, start = self.config, self._clock.steady()
        body = chat_body(request, self.model, self._picture(request), c.max_tokens, c.strict)
        if not self.breaker.allow(start):
            wait = self.breaker.wait(start)
            raise TeacherError("resting", f"The teacher failed often and rests {wait:.0f} s more.", _FIX)
        try:
            answer = self._tries(request, body, start)
        except TeacherError as error:
            if error.reason == "budget":
                self.breaker.withdrawn()
            else:
                self.breaker.failed(self._clock.steady(), fatal=error.reason == "refused")
            raise
        except BaseException:
            self.breaker.withdrawn()
            raise
        self.breaker.succeeded()
        return answer

    def _tries(self, request: TeacherRequest, body: bytes, start: float) -> TeacherAnswer:
        c = self.config
        failure: TeacherError | None = None
        for attempt in range(c.tries):
            now = self._clock.steady()
            if used := self.budget.exhausted(now):
                if failure is not None:
                    raise failure
                raise TeacherError("budget", f"The teacher's budget of {used} is used up.", _FIX)
            self.budget.ask(now)
            left = c.deadline - (now - start)
            pause = c.back_off * 2.0**attempt
            try:
                return self._once(request, body, start, left)
            except TeacherError as error:
                if math.isfinite(error.retry_after):
                    pause = max(pause, error.retry_after)
                left = c.deadline - (self._clock.steady() - start) - pause
                if error.reason not in _AGAIN or attempt + 1 == c.tries or left < 0.1:
                    raise
                failure = error
            self._wait(pause)
        raise AssertionError("unreachable: the last try returns or raises")

    def _once(self, request: TeacherRequest, body: bytes, start: float, left: float) -> TeacherAnswer:
        c = self.config
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        cost = 1000 + c.max_tokens  # unless the server says
        try:
            reply = post_json(
                self._url, body, headers, deadline=left, connect=c.connect, max_bytes=c.max_bytes
            )
            _check(reply)
            scene, cost = read_completion(reply.body)
        finally:
            self.budget.spend(self._clock.steady(), cost)
        scene = clean_scene(scene, request.known)
        if scene.scenario not in request.known and scene.scenario not in SCENARIOS:
            if len(self._names | {scene.scenario}) > c.new_names:
                raise TeacherError("budget", f"It named more than {c.new_names} new scenarios.", _FIX)
            self._names.add(scene.scenario)
        return TeacherAnswer(scene, f"endpoint:{self.model}", self._clock.steady() - start, cost)

    def _picture(self, request: TeacherRequest) -> bytes | None:
        if request.image is None:
            return None
        image = request.image
        if self.config.blur_heads:
            if request.persons is None:
                raise TeacherError(
                    "privacy",
                    "Nobody looked for people in the picture, so heads cannot be blurred.",
                    "Turn the person detector on, or set blur_heads to false.",
                )
            image = blur_boxes(image, request.persons)
        return encode_jpeg(image, self.config.image_side)


def _check(reply: Reply) -> None:
    """Raise for everything but a JSON answer with status 200."""
    s = reply.status
    if s == 429 or s == 503:
        raise TeacherError("busy", f"The teacher's server is busy (HTTP {s}).", _FIX, reply.retry_after)
    if 300 <= s < 400:
        raise TeacherError("refused", f"The teacher's server redirects (HTTP {s}).", "Set the final URL.")
    if 400 <= s < 500:
        raise TeacherError(
            "refused",
            f"The teacher's server refuses (HTTP {s}).",
            "Check URL, key and model, and try strict: false.",
        )
    if s != 200:
        raise TeacherError("failed", f"The teacher's server failed (HTTP {s}).", _FIX)
    if reply.content_type != "application/json":
        raise TeacherError("format", "The teacher's answer is no JSON by its content type.", _FIX)
