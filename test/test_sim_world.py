"""Things and people around the robot: pushing, doors, contacts as events, legs."""

import numpy as np
import pytest
from sim_support import Marchers, config, drive

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.types import Pose2
from lifelong_nav.sim.engine import Simulation
from lifelong_nav.sim.scene import Box, Door, FloorPatch, Scene, Wall

WALL = Scene("wall", walls=(Wall((1.0, -3.0), (1.0, 3.0)),))


def test_a_wall_stops_the_robot_and_is_one_event():
    with Simulation(WALL, None, config(), 0) as sim:
        contacts = [c for s in drive(sim, 4.0, 0.5) for c in s.contacts]
        pose = sim.truth().robot_pose
    assert [(c.kind, c.name, c.link) for c in contacts] == [("wall", "wall_0", "base_link")]
    assert contacts[0].speed == pytest.approx(0.5, abs=0.03)
    assert contacts[0].position[0] == pytest.approx(0.94, abs=0.03)
    assert pose.x < 0.94 - 0.26


def test_a_second_touch_is_a_second_event():
    with Simulation(WALL, None, config(), 0) as sim:
        contacts = []
        for v, seconds in ((0.5, 2.5), (-0.5, 1.0), (0.5, 3.0)):
            contacts += [c for s in drive(sim, seconds, v) for c in s.contacts]
    assert len(contacts) == 2


def crate(mass: float, friction: float = 0.6) -> Scene:
    return Scene(
        "crate", boxes=(Box("crate", "carton", 1.0, 0, size=(0.4, 0.4, 0.4), mass=mass, friction=friction),)
    )


def test_objects_sleep_until_pushed_and_heavy_ones_resist():
    with Simulation(crate(5.0), None, config(), 0) as sim:
        before = sim.truth().objects["crate"]
        drive(sim, 1.0)
        assert np.array_equal(before, sim.truth().objects["crate"])
    reached = []
    for mass in (2.0, 30.0, 80.0):
        with Simulation(crate(mass), None, config(), 0) as sim:
            contacts = [c for s in drive(sim, 3.0, 0.6) for c in s.contacts]
            reached.append(sim.truth().objects["crate"][0, 3])
            assert (contacts[0].kind, contacts[0].name) == ("object", "crate")
    assert reached[0] > 1.5
    assert reached[0] > reached[1] + 0.1 > reached[2] + 0.2


def hinged(friction: float = 2.0, swing: int = 1, angle: float = 0.0) -> Scene:
    """A door across the robot's way that opens away from it."""
    return Scene(
        "door", doors=(Door("d", 1.0, -0.5, np.pi / 2, 1.0, swing=swing, angle=angle, friction=friction),)
    )


def test_door_yields_to_the_robot_by_its_friction_and_only_one_way():
    opened = []
    for friction in (0.5, 15.0, 80.0):
        with Simulation(hinged(friction, swing=-1), None, config(), 0) as sim:
            contacts = [c for s in drive(sim, 3.0, 0.5) for c in s.contacts]
            opened.append(sim.truth().doors["d"])
            assert contacts[0].kind == "door"
    assert opened[0] > 0.8
    assert opened[0] > opened[1] > opened[2]
    with Simulation(hinged(0.5, swing=1), None, config(), 0) as sim:
        drive(sim, 3.0, 0.5)
        assert abs(sim.truth().doors["d"]) < 0.05
        assert sim.truth().robot_pose.x < 0.8


def test_people_open_doors_and_leave_them_open():
    scene, crowd = hinged(3.0, swing=1), Marchers([(-2.0, 0.0)], [(1.2, 0.0)])
    with Simulation(scene, crowd, config(), 0, Pose2(0.0, 5.0, 0.0)) as sim:
        drive(sim, 4.0)
        assert sim.truth().doors["d"] > 1.2


def test_doors_turn_when_asked_and_are_let_go():
    with Simulation(hinged(3.0), None, config(), 0, Pose2(0.0, 5.0, 0.0)) as sim:
        for goal in (1.0, 0.2, 9.0):
            sim.set_door("d", goal)
            drive(sim, 2.5)
            assert sim.truth().doors["d"] == pytest.approx(min(goal, 1.6), abs=0.15)
        with pytest.raises(ConfigError, match="door 'x'"):
            sim.set_door("x", 1.0)


def test_a_person_who_walks_into_the_robot_is_an_event_and_no_push():
    crowd = Marchers([(-2.0, 0.1)], [(1.2, 0.0)])
    with Simulation(Scene("s"), crowd, config(), 0) as sim:
        contacts = [c for s in drive(sim, 4.0) for c in s.contacts]
        pose = sim.truth().robot_pose
    assert [(c.kind, c.name) for c in contacts] == [("person", "person 0")]
    assert contacts[0].speed < 0.05
    assert 1.0 < contacts[0].stamp < 1.5
    assert np.hypot(pose.x, pose.y) < 0.02


def test_a_person_blocks_the_robot_without_being_run_over():
    with Simulation(Scene("s"), Marchers([(1.2, 0.0)], [(0.0, 0.0)]), config(), 0) as sim:
        contacts = [c for s in drive(sim, 4.0, 0.5) for c in s.contacts]
        pose = sim.truth().robot_pose
    assert contacts[0].name == "person 0"
    assert contacts[0].speed > 0.3
    assert pose.x < 1.2 - 0.25 - 0.27 + 0.02


def test_a_person_who_walks_pushes_boxes_but_no_sleeping_one_is_missed():
    crowd = Marchers([(-1.0, 0.0)], [(1.0, 0.0)])
    with Simulation(crate(3.0), crowd, config(), 0, Pose2(0.0, 5.0, 0.0)) as sim:
        drive(sim, 2.5)
        assert sim.truth().objects["crate"][0, 3] > 1.3


def test_lidar_sees_two_legs_and_no_body():
    for mode in ("exact", "fast"):
        crowd = Marchers([(1.5, 0.0)], [(0.0, 0.0)])
        with Simulation(
            Scene("s"), crowd, config(scan_rate=20.0, lidar_mode=mode, lidar_beams=1440), 0
        ) as sim:
            scan = drive(sim, 0.1)[-1].scan
        points = scan.points()
        hits = scan.valid() & (np.abs(scan.angles()) < 0.5)
        groups = np.count_nonzero(np.diff(np.concatenate([[0], hits.astype(int)])) == 1)
        assert groups == 2, mode
        assert np.ptp(points[:, 1]) < 0.45
        assert np.abs(points[:, 0] - 1.5).max() < 0.2


def test_floor_patches_and_their_names():
    scene = Scene("s", floors=(FloorPatch("ice", 0.0, 0.0, 20.0, 2.0, friction=0.02),))
    with Simulation(scene, None, config(), 0) as sim:
        drive(sim, 2.0, 0.8)
        slow = sim.truth().robot_pose.x
        sim.set_floor("ice", 0.9)
        drive(sim, 2.0, 0.8)
        assert sim.truth().robot_pose.x - slow > slow + 0.5
        with pytest.raises(ConfigError, match="no surface 'mud'"):
            sim.set_floor("mud", 0.5)
        with pytest.raises(ConfigError, match="impossible"):
            sim.set_floor("floor", -1.0)


def test_moved_furniture_is_seen_where_it_stands():
    scene = Scene("s", boxes=(Box("desk", "desk", 3.0, 0.0, size=(0.6, 0.6, 0.7)),))
    for mode in ("exact", "fast"):
        with Simulation(scene, None, config(scan_rate=20.0, lidar_mode=mode), 0) as sim:
            assert drive(sim, 0.1)[-1].scan.ranges[180] == pytest.approx(2.7, abs=0.01)
            sim.move_box("desk", Pose2(2.0, 0.0, 0.0))
            assert drive(sim, 0.1)[-1].scan.ranges[180] == pytest.approx(1.7, abs=0.01)
            with pytest.raises(ConfigError, match="'sofa'"):
                sim.move_box("sofa", Pose2())


def test_two_things_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="called 'a'"):
        Simulation(Scene("s", boxes=(Box("a", "box", 0, 2), Box("a", "box", 0, 4))), None, config(), 0)


def test_ramp_start_stands_on_the_ramp():
    scene = Scene("s", floors=(FloorPatch("r", 0.0, 0.0, 6.0, 4.0, slope=0.1),))
    with Simulation(scene, None, config(), 0, Pose2(1.0, 0.0, 0.0)) as sim:
        drive(sim, 1.0)
        state = sim.robot.state()
    assert state.position[2] == pytest.approx(4.0 * np.tan(0.1), abs=0.02)
    assert np.arcsin(-state.rotation[2, 0]) == pytest.approx(-0.1, abs=0.02)


def test_a_replayed_person_walks_through_and_is_met_again_behind():
    crowd = Marchers([(-1.5, 0.0)], [(1.0, 0.0)])
    with Simulation(Scene("s"), crowd, config(), 0) as sim:
        contacts = [c for s in drive(sim, 3.0) for c in s.contacts]
        assert len(contacts) == 1
        assert np.hypot(*sim.truth().robot_pose.xy) < 0.02
        assert drive(sim, 3.0, 0.0)[-1].contacts == ()
        assert sim.truth().people.people[0].x == pytest.approx(4.5, abs=0.1)


def test_the_outstretched_arm_meets_people_too():
    crowd = Marchers([(0.62, 1.5)], [(0.0, -0.5)])
    with Simulation(Scene("s"), crowd, config(), 0) as sim:
        sim.arm({"panda_joint1": 0.0, "panda_joint2": 0.6, "panda_joint4": -1.8, "panda_joint5": 0.0})
        contacts = [c for s in drive(sim, 4.0) for c in s.contacts]
    assert [(c.kind, c.link) for c in contacts if c.kind == "person"] == [("person", "arm")]
