"""The robot's body: model, grip, slopes, load, wear, watchdog."""

import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from sim_support import config, drive, travel

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.robot_shapes import robot_shapes
from lifelong_nav.sim.robot_urdf import (
    BASE_RADIUS,
    HEIGHT,
    LIDAR_HEIGHT,
    POSITION_JOINTS,
    WHEELS,
    robot_urdf,
    ros_urdf,
)  # fmt: skip
from lifelong_nav.sim.scene import FloorPatch, Scene

PLAIN = Scene("plain")


def floor(friction: float) -> Scene:
    return Scene("floor", friction=friction)


def ramp(friction: float, slope: float = 0.1) -> Scene:
    return Scene("ramp", friction=friction, floors=(FloorPatch("r", 5.5, 0, 10, 4, 0.0, friction, slope),))


def test_urdf_is_one_tree_with_the_frames_of_the_stack():
    root = ET.fromstring(robot_urdf())
    links = {link.get("name") for link in root.findall("link")}
    parents = {j.find("child").get("link"): j.find("parent").get("link") for j in root.findall("joint")}
    assert links - set(parents) == {"base_link"}
    assert set(parents.values()) <= links
    assert {"laser", "imu", "camera_optical", "panda_hand", "grasp_point"} <= links
    names = {j.get("name") for j in root.findall("joint")}
    assert {*WHEELS, *POSITION_JOINTS} <= names


def test_urdf_for_ros_names_meshes_that_exist():
    files = [m.get("filename") for m in ET.fromstring(ros_urdf()).iter("mesh")]
    assert len(files) == 22
    assert all(f.startswith("file:///") and Path(f[7:]).is_file() for f in files)


def test_folded_robot_fits_its_footprint_and_nothing_hides_the_lidar():
    with Simulation(PLAIN, None, config(), 0) as sim:
        links = sim.robot.link_transforms()
        base = links[0]
        crossing = []
        for name, shape in robot_shapes():
            pose = np.linalg.inv(base) @ links[sim.robot.links[name] + 1] @ shape.pose
            if shape.kind == "mesh":
                points = shape.vertices
            else:
                ring = np.linspace(0, 2 * np.pi, 32, endpoint=False)
                if shape.kind == "box":
                    flat = np.array([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
                else:
                    flat = 0.5 * np.stack([np.cos(ring), np.sin(ring)], axis=1)
                points = np.concatenate([np.column_stack([flat, np.full(len(flat), z)]) for z in (-0.5, 0.5)])
                points = points * shape.size
            points = points @ pose[:3, :3].T + pose[:3, 3]
            assert np.hypot(points[:, 0], points[:, 1]).max() < BASE_RADIUS + 0.005, name
            assert points[:, 2].max() < HEIGHT
            if points[:, 2].min() < LIDAR_HEIGHT < points[:, 2].max():
                crossing.append((name, np.hypot(points[:, 0], points[:, 1]).max()))
    assert [c for c in crossing if c[1] > 0.06] == []


def test_robot_stands_still_and_level():
    with Simulation(PLAIN, None, config(), 0, Pose2(1.0, 2.0, 0.5)) as sim:
        sensed = drive(sim, 2.0)
        truth, tilt = sim.truth(), sim.robot.state().rotation[2, 2]
    assert np.allclose(truth.robot_pose.array(), (1.0, 2.0, 0.5), atol=2e-3)
    assert np.degrees(np.arccos(min(tilt, 1.0))) < 0.5
    assert np.allclose(sensed[-1].imu[-1].linear_acceleration, (0, 0, 9.81), atol=0.1)
    assert sum(len(s.contacts) for s in sensed) == 0


def test_slip_grows_as_friction_falls():
    ahead = [travel(floor(mu), 3.0, 0.8)[0, 0] for mu in (0.8, 0.1, 0.05, 0.03, 0.015)]
    turned = [travel(floor(mu), 2.0, 0.0, 1.0)[0, 2] for mu in (0.8, 0.1, 0.05, 0.03, 0.015)]
    assert ahead[0] == pytest.approx(2.13, abs=0.1)
    assert all(a > b + 0.02 for a, b in itertools.pairwise(ahead))
    assert all(a > b for a, b in itertools.pairwise(turned))


def test_odometry_is_right_with_grip_and_wrong_without():
    truth, odometry = travel(floor(0.8), 4.0, 0.5, 0.4)
    assert np.abs(truth - odometry)[:2].max() < 0.05
    truth, odometry = travel(floor(0.03), 3.0, 0.8)
    assert odometry[0] - truth[0] > 0.5


def test_low_friction_slope_slides_back():
    with Simulation(ramp(0.08), None, config(), 0, Pose2(4.0, 0, 0)) as sim:
        xs = []
        for _ in range(6):
            drive(sim, 0.5, 0.6)
            xs.append(sim.robot.state().position[0])
        drive(sim, 2.0, 0.0)
        resting = sim.robot.state().position[0]
    assert max(xs) - 4.0 < 0.5  # wheels turn on the spot
    assert resting < xs[-1] - 0.1
    climbed = travel(ramp(0.8), 4.0, 0.8)[0]
    assert climbed[0] > 2.5


def test_payload_slows_the_start_and_torque_is_what_it_says():
    ahead = [travel(PLAIN, 1.0, 1.2, prepare=lambda s, m=m: s.set_payload(m))[0, 0] for m in (0, 20, 60, 120)]
    assert all(a > b + 0.01 for a, b in itertools.pairwise(ahead))
    # 2 x 5 Nm on 0.08 m wheels push about 205 kg by at most 0.62 m/s^2
    assert ahead[-1] <= 0.5 * 125.0 / 201.0 + 0.05  # the springs let the base lean forward under its load


def test_worn_wheel_bends_the_path_and_fools_the_odometry():
    truth, odometry = travel(PLAIN, 4.0, 0.6, prepare=lambda s: s.set_wheel_wear(0.94, 1.0))
    assert truth[2] > 0.2  # the left wheel falls behind
    assert abs(odometry[2]) < 0.05
    truth, odometry = travel(PLAIN, 4.0, 0.6, prepare=lambda s: s.set_wheel_wear(0.95, 0.95))
    assert truth[0] == pytest.approx(0.95 * odometry[0], rel=0.01)


def test_watchdog_stops_the_base():
    with Simulation(PLAIN, None, config(), 0) as sim:
        drive(sim, 2.0, 0.8)
        assert sim.truth().robot_twist.vx == pytest.approx(0.8, abs=0.05)
        for _ in range(40):
            sim.step()
        assert abs(sim.truth().robot_twist.vx) < 0.01


def test_commands_are_cut_to_the_drives_limits():
    with Simulation(PLAIN, None, config(max_speed=0.5), 0) as sim:
        drive(sim, 3.0, 5.0)
        assert sim.truth().robot_twist.vx == pytest.approx(0.5, abs=0.03)
        with pytest.raises(ConfigError, match="not finite"):
            sim.command(Twist2(float("nan")))


def test_arm_lift_and_head_go_where_they_are_told():
    with Simulation(PLAIN, None, config(), 0) as sim:
        goal = {"lift_joint": 0.3, "panda_joint1": 0.5, "panda_joint4": -1.5, "head_pan_joint": -0.7}
        sim.arm({**goal, "head_tilt_joint": 9.0})
        names, positions = (drive(sim, 5.0)[-1].joint_names, drive(sim, 1.0)[-1].joint_positions)
        at = dict(zip(names, positions, strict=True))
        for name, value in goal.items():
            assert at[name] == pytest.approx(value, abs=0.02), name
        assert at["head_tilt_joint"] == pytest.approx(1.3, abs=0.02)  # its limit
        with pytest.raises(ConfigError, match="no joint 'elbow'"):
            sim.arm({"elbow": 1.0})


@pytest.mark.parametrize(
    ("slope", "speed", "payload"), [(0.1, 0.3, 0.0), (0.08, 0.8, 0.0), (0.08, 0.5, 40.0)]
)
def test_ramps_are_crossed_straight_and_upright(slope, speed, payload):
    up = FloorPatch("up", 2.5, 0, 3, 2, slope=slope)
    down = FloorPatch("down", 5.5, 0, 3, 2, yaw=np.pi, slope=slope)
    with Simulation(Scene("hump", floors=(up, down)), None, config(), 0) as sim:
        sim.set_payload(payload)
        drive(sim, 8.5 / speed, speed)
        state = sim.robot.state()
    assert state.position[0] > 7.5
    assert abs(state.position[1]) < 0.6
    assert state.rotation[2, 2] > 0.999


def test_braking_tilts_the_lidar_little():
    with Simulation(PLAIN, None, config(), 0) as sim:
        tilts = []
        for v in (1.0, 0.0):
            for _ in range(40):
                drive(sim, 0.05, v)
                tilts.append(sim.robot.state().rotation[2, 2])
    assert np.degrees(np.arccos(min(1.0, min(tilts)))) < 2.5
