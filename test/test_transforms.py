"""The transform buffer against composed ground truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core import geometry as g
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.transforms import TransformBuffer, TransformError, interpolate
from lifelong_nav.core.types import Pose2, Pose3


def pose(rng):
    q = rng.normal(size=4)
    return Pose3(rng.normal(size=3), q / np.linalg.norm(q))


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_lookups_in_a_random_tree_match_composition(seed):
    rng = np.random.default_rng(seed)
    buffer, world = TransformBuffer(), {"f0": np.eye(4)}
    for i in range(1, 8):
        parent = f"f{rng.integers(i)}"
        p = pose(rng)
        buffer.insert(parent, f"f{i}", p, 1.0, static=bool(rng.integers(2)))
        world[f"f{i}"] = world[parent] @ g.matrix(p)
    for _ in range(10):
        a, b = f"f{rng.integers(8)}", f"f{rng.integers(8)}"
        found = g.matrix(buffer.lookup(a, b, 1.0))
        np.testing.assert_allclose(found, np.linalg.inv(world[a]) @ world[b], atol=1e-8)


def test_interpolation_is_exact_for_steady_turning():
    buffer = TransformBuffer()
    for t in (0.0, 1.0):
        buffer.insert("odom", "base", g.lift(Pose2(2.0 * t, 0.0, 1.0 * t)), t)
    p = g.flatten(buffer.lookup("odom", "base", 0.25))
    assert (p.x, p.yaw) == (pytest.approx(0.5), pytest.approx(0.25))
    halfway = interpolate(g.lift(Pose2(yaw=3.0)), g.lift(Pose2(yaw=-3.0)), 0.5)
    assert abs(g.xyzw_to_yaw(halfway.quaternion)) == pytest.approx(np.pi)


def test_unknown_disconnected_and_old_are_different_sentences():
    buffer = TransformBuffer(keep=2.0)
    for i in range(50):
        buffer.insert("odom", "base", Pose3(), i * 0.1)
    assert buffer.newest("base") == pytest.approx(4.9)
    assert buffer.newest("x") is None
    with pytest.raises(TransformError, match="No transform connects"):
        buffer.lookup("map", "base")
    with pytest.raises(TransformError, match="away"):
        buffer.lookup("odom", "base", 1.0)
    with pytest.raises(TransformError, match="away"):
        buffer.lookup("odom", "base", 9.0)
    buffer.lookup("odom", "base", 5.0)
    buffer.insert("odom", "base", Pose3(), 0.0)  # time ran back: the past is another run's
    assert buffer.newest("base") == 0.0
    buffer.clear()
    with pytest.raises(TransformError):
        buffer.lookup("odom", "base")


@pytest.mark.parametrize(
    ("parent", "child", "p"),
    [("a", "a", Pose3()), ("", "b", Pose3()), ("a", "b", Pose3(np.array([np.nan, 0, 0]))),
     ("a", "b", Pose3(np.zeros(3), np.zeros(4)))],
)  # fmt: skip
def test_bad_transforms_are_refused(parent, child, p):
    with pytest.raises(InputError):
        TransformBuffer().insert(parent, child, p, 0.0)
