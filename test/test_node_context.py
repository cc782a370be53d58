"""Social context as real nodes with the shipped model: voices, silence, bad input, a learned generation."""

import time

import numpy as np
import pytest
from lifelong_nav_interfaces.msg import Heartbeat, LearnerState, SocialContext
from rclpy.parameter import Parameter
from ros_support import Bench
from sensor_msgs.msg import Image as ImageMsg
from std_msgs.msg import String

from lifelong_nav.core.config import specs
from lifelong_nav.core.errors import DependencyError, InputError
from lifelong_nav.core.types import Image, LaserScan, Odometry, People, Pose2, TrackedPerson, Twist2
from lifelong_nav.nodes import context as context_module
from lifelong_nav.nodes import convert, convert_context
from lifelong_nav.nodes.context import ContextNode
from lifelong_nav.nodes.context_learner import ContextLearnerNode
from lifelong_nav.nodes.learner_teachers import SimTeacher
from lifelong_nav.perception.social_scene import SCENARIOS
from lifelong_nav.perception.teachers import TeacherError, TeacherRequest

pytestmark = pytest.mark.ros
PICTURE = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


class World:
    """Says what a robot in an empty corridor with one person ahead would sense, stamped now."""

    def __init__(self, bench):
        self.bench = bench
        self.camera = self.lidar = True
        self._next = 0.0

    def tick(self):
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 0.1
        now = self.bench.probe.get_clock().now().nanoseconds * 1e-9
        if self.camera:
            self.bench.say(
                "camera/color/image_raw", convert.image_to(Image(now, "camera_optical", "rgb8", PICTURE))
            )
        if self.lidar:
            ranges = np.full(180, 4.0, dtype=np.float32)
            scan = LaserScan(now, "base_link", -np.pi, 2 * np.pi / 180, 0.05, 12.0, ranges)
            self.bench.say("scan", convert.scan_to(scan, 0.1))
            people = People(now, "base_link", (TrackedPerson(1, 2.0, 0.1, -1.0, 0.0),))
            self.bench.say("people", convert.people_to(people))
            self.bench.say("odom", convert.odometry_to(Odometry(now, Pose2(), Twist2(0.5))))


@pytest.fixture
def make(tmp_path, ros):
    benches = []

    def build(*kinds, **params):
        params = {"state_dir": str(tmp_path / "learned"), **params}
        nodes = []
        for kind in kinds:
            own = {k: v for k, v in params.items() if k in {s.name for s in specs(kind.CONFIG)}}
            nodes.append(kind(parameter_overrides=[Parameter(k, value=v) for k, v in own.items()]))
        bench = Bench(*nodes)
        benches.append(bench)
        return bench, World(bench)

    yield build
    for bench in benches:
        bench.__exit__()


def test_both_voices_speak_and_add_up(make):
    bench, world = make(ContextNode)
    heard = bench.hear("social_context")
    bench.activate()
    full = lambda: any(m.state == SocialContext.FULL for m in heard)  # noqa: E731
    assert bench.spin(full, timeout=15.0, each=world.tick)
    context = convert_context.context_from([m for m in heard if m.state == SocialContext.FULL][-1])
    assert set(context.probabilities) == set(SCENARIOS)
    assert sum(context.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    assert list(context.probabilities.values()) == sorted(context.probabilities.values(), reverse=True)
    assert context.image_share + context.facts_share == pytest.approx(1.0, abs=1e-3)
    for caption in context.captions:
        assert caption.score == pytest.approx(caption.image_share + caption.facts_share, abs=1e-3)
    assert "ahead" in context.facts
    assert context.space
    assert 0.0 <= context.novelty <= 1.0


def test_a_silent_camera_is_said_and_its_claim_is_gone(make):
    bench, world = make(ContextNode, start_delay=0.0)
    heard = bench.hear("social_context")
    bench.activate()
    assert bench.spin(lambda: heard and heard[-1].state == SocialContext.FULL, timeout=15.0, each=world.tick)
    world.camera = False
    assert bench.spin(lambda: heard[-1].state == SocialContext.FACTS, timeout=5.0, each=world.tick)
    assert "unknown" in heard[-1].text.lower()
    assert heard[-1].image_share == pytest.approx(0.0, abs=1e-6)
    node = bench.nodes[0]
    assert bench.spin(lambda: node.health()[0] == Heartbeat.DEGRADED, timeout=5.0, each=world.tick)
    assert "camera" in node.health()[1]
    world.lidar = False
    assert bench.spin(lambda: heard[-1].state == SocialContext.UNKNOWN, timeout=6.0, each=world.tick)
    assert not heard[-1].embedding
    assert not heard[-1].scenarios
    assert not heard[-1].captions
    world.camera = world.lidar = True
    assert bench.spin(lambda: heard[-1].state == SocialContext.FULL, timeout=6.0, each=world.tick)


def test_broken_pictures_are_counted_and_nothing_else_happens(make):
    bench, world = make(ContextNode)
    heard = bench.hear("social_context")
    bench.activate()
    world.camera = False
    bench.spin(lambda: len(heard) > 2, timeout=10.0, each=world.tick)
    bench.say("camera/color/image_raw", ImageMsg(encoding="rgb8", width=7, height=7, step=3, data=[1, 2, 3]))
    bench.say("camera/color/image_raw", ImageMsg(encoding="yuv17", width=1, height=1, step=1, data=[1]))
    count = len(heard)
    assert bench.spin(lambda: len(heard) > count + 3, timeout=5.0, each=world.tick)
    assert bench.nodes[0].health()[0] != Heartbeat.FAILED
    assert all(m.state != SocialContext.FULL for m in heard)


def test_without_onnxruntime_the_robot_drives_on_and_says_so(make, monkeypatch):
    def missing(files):
        raise DependencyError("onnxruntime is not installed.", "pip install 'lifelong_nav[vision]'")

    monkeypatch.setattr(context_module, "load_parts", missing)
    bench, world = make(ContextNode)
    heard = bench.hear("social_context")
    bench.activate()
    assert bench.spin(lambda: len(heard) > 2, timeout=10.0, each=world.tick)
    assert {m.state for m in heard} == {SocialContext.UNKNOWN}
    assert "onnxruntime" in bench.nodes[0].health()[1]


def test_the_learner_opens_a_generation_and_the_context_takes_it_over(make, tmp_path):
    bench, world = make(ContextNode, ContextLearnerNode, teacher="sim")
    states, heard = bench.hear("context_learner"), bench.hear("social_context")
    bench.activate()
    assert bench.spin(lambda: heard and heard[-1].generation == 1, timeout=30.0, each=world.tick)
    assert states[-1].generation == 1
    assert states[-1].samples > 100
    assert (tmp_path / "learned" / "generations" / "current").read_text().strip() == "1"
    learner = bench.nodes[1]
    assert bench.spin(lambda: learner._figures.get("seen", 0) > 2, timeout=15.0, each=world.tick)
    assert states[-1].state != LearnerState.FAULT
    assert learner.health()[0] == Heartbeat.OK


def test_the_simulator_teaches_only_about_its_own_time():
    teacher = SimTeacher()
    with pytest.raises(TeacherError):
        teacher.describe(TeacherRequest(1.0))
    text = String(
        data='{"scenario": "queue", "environment": "hall", "density": "crowded", "grouping": "queue"}'
    ).data
    teacher.hear(1.2, text)
    assert teacher.describe(TeacherRequest(1.0)).scene.scenario == "queue"
    with pytest.raises(TeacherError):
        teacher.describe(TeacherRequest(3.0))
    teacher.hear(3.0, '{"scenario": "dance"}')
    with pytest.raises((TeacherError, InputError)):
        teacher.describe(TeacherRequest(3.0))
