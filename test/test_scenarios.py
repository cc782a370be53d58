"""Every scenario that comes along can be drawn, driven and walked; broken files say what is broken."""

import copy

import numpy as np
import pytest

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.sim import scenario as scenarios
from lifelong_nav.sim.crowd import forces
from lifelong_nav.sim.crowd.replay import ReplayCrowd
from lifelong_nav.sim.crowd.state import RobotDisc
from lifelong_nav.sim.crowd.walkers import Walkers
from lifelong_nav.sim.scenario_build import Places, build

NAMES = scenarios.names()
FRANCIS = {
    "frontal_approach", "pedestrian_obstruction", "pedestrian_overtaking", "robot_overtaking", "down_path",
    "intersection_no_gesture", "intersection_gesture_wait", "intersection_gesture_proceed", "blind_corner",
    "narrow_hallway", "narrow_doorway", "entering_room", "exiting_room", "entering_elevator",
    "exiting_elevator", "following", "leading", "accompanying", "join_group", "leave_group", "crowd",
    "parallel_traffic", "perpendicular_traffic", "circular_crossing", "robot_crowding",
}  # fmt: skip

GOOD = {
    "family": "extra",
    "description": "A test.",
    "scene": {"outline": [0, 0, 10, 6], "regions": {"a": {"kind": "room", "low": [1, 1], "high": [9, 5]}}},
    "robot": {"start": [1, 1, 0], "goals": ["a", [8, 3]]},
    "people": [{"start": "a", "goals": ["a"], "count": 3, "wander": 2, "reaction": ["scared", "regular"]}],
    "events": [{"at": 5, "kind": "payload", "value": 10}, {"at": 2, "kind": "crowd_size", "value": 1}],
    "success": {"company": {"person": 0}},
}


def test_the_literature_is_complete():
    assert set(scenarios.names("francis")) == FRANCIS
    assert len(scenarios.names("olivia")) == 4
    assert {"queue", "photo_session"} <= set(scenarios.names("extra"))
    assert {"lifelong_day", "office_day"} <= set(scenarios.names("lifelong"))


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_builds_and_runs(name):
    scenario = scenarios.load(name)
    assert scenario.description.endswith(".")
    layouts = []
    for seed in (0, 1, 2):
        run = build(scenario, seed)
        places = Places(run.scene, name)
        spots = np.array([run.start.xy, *[g.xy for g in run.goals]])
        assert places.robot.free.ravel()[places.robot.cells(spots)].all(), "start and goals are free"
        for spot in spots[1:]:
            assert places.robot.connected(spots[0], spot)
        state = run.crowd.state()
        layouts.append(np.concatenate([state.positions.ravel(), spots.ravel()]))
        _people_can_walk(run, places)
        if seed == 0:
            _twenty_seconds(run)
    assert any(not np.array_equal(layouts[0], other) for other in layouts[1:]), "seeds differ"


def _people_can_walk(run, places):
    crowd = run.crowd
    if not isinstance(crowd, Walkers):
        return
    free = places.people
    for person, start in zip(crowd.people, crowd.bodies.positions, strict=True):
        assert np.hypot(*(start - person.start)) < 0.5, "starts on free floor"
        for goal in person.goals:
            assert free.free.ravel()[free.cells(np.array(goal))]
            assert np.isfinite(free.cost(start, np.array(goal)))
    distance = np.linalg.norm(crowd.bodies.positions - run.start.xy, axis=1)
    assert distance.min(initial=9.0) > 0.6, "nobody stands on the robot"


def _twenty_seconds(run):
    segments = run.crowd.segments
    robot = RobotDisc(run.start.xy, np.zeros(2))
    low = np.inf
    for k in range(400):
        run.crowd.step(0.05, robot)
        if k % 4 == 0 and len(segments):
            state = run.crowd.state()
            dx, dy = forces.segment_offsets(state.positions[state.present], segments)
            low = min(low, float(np.hypot(dx, dy).min(initial=np.inf)))
    assert low > 0.15
    assert np.isfinite(run.crowd.state().positions).all()


def test_same_seed_same_run():
    a, b = (build(scenarios.load("crowd"), 7) for _ in range(2))
    assert (a.start, a.goals, a.events) == (b.start, b.goals, b.events)
    for _ in range(40):
        a.crowd.step(0.05, None)
        b.crowd.step(0.05, None)
    np.testing.assert_array_equal(a.crowd.state().positions, b.crowd.state().positions)


def test_events_are_ordered_and_crowd_size_holds():
    data = copy.deepcopy(GOOD)
    data["events"].append({"at": 0, "kind": "crowd_size", "value": 2})
    run = build(scenarios.parse(data, "test"), 0)
    assert [e.kind for e in run.events] == ["crowd_size", "crowd_size", "payload"]
    assert run.crowd.state().present.tolist() == [True, True, False]


def broken(change):
    data = copy.deepcopy(GOOD)
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("family"), r"t\.family is missing"),
        (lambda d: d.update(family="mine"), r"t\.family is 'mine'"),
        (lambda d: d.update(robots={}), r"no field 'robots'"),
        (lambda d: d["robot"].update(goals=[]), r"robot\.goals is empty"),
        (lambda d: d["robot"].update(start=[1]), r"t\.robot\.start is \[1\]"),
        (lambda d: d["people"][0].update(speed="fast"), r"people\[0\]\.speed is 'fast'"),
        (lambda d: d["people"][0].update(speed=9), r"people\[0\]\.speed is 9"),
        (lambda d: d["people"][0].update(reaction="bold"), r"people\[0\]\.reaction is 'bold'"),
        (lambda d: d["people"][0].pop("start"), r"people\[0\] says nowhere to start"),
        (lambda d: d["people"][0].update(count=1.5), r"count is 1\.5, not a whole number"),
        (lambda d: d["events"][0].update(value=[1, 2]), r"events\[0\]\.value"),
        (lambda d: d["events"][0].update(kind="rain"), r"events\[0\]\.kind is 'rain'"),
        (lambda d: d.update(timeout=True), r"t\.timeout is True"),
        (lambda d: d.update(people={"a": 1}), r"t\.people is a mapping, not a list"),
        (lambda d: d.update(scene=3), r"t\.scene is 3"),
    ],
)
def test_broken_files_name_the_place(change, message):
    with pytest.raises(ConfigError, match=message):
        scenarios.parse(broken(change), "t")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["robot"].update(goals=["nowhere"]), "no region 'nowhere'"),
        (lambda d: d["scene"].update(walls=[[5, 0, 5, 6]]), "no way for the robot"),
        (lambda d: d["people"].append({"queue": "bar"}), "no queue 'bar'"),
        (lambda d: d["scene"].update(roof=1), r"t\.scene has no field 'roof'"),
        (lambda d: d["scene"]["regions"]["a"].pop("low"), r"regions\.a\.low is missing"),
    ],
)
def test_impossible_worlds_are_refused(change, message):
    data = broken(change)
    scenario = scenarios.parse(data, "t")
    with pytest.raises(ConfigError, match=message):
        build(scenario, 1)


def test_unknown_scenario_lists_the_known():
    with pytest.raises(ConfigError, match="frontal_approach"):
        scenarios.load("nonsense")


@pytest.mark.data
def test_replayed_people(tmp_path):
    data = {
        "family": "extra", "description": "Real people.", "scene": {}, "people": [],
        "robot": {"start": [-2, 4, 0], "goals": [[8, 6]]},
        "replay": {"file": "eth_ucy/eth/obsmat.txt", "start": 40, "duration": 30},
    }  # fmt: skip
    try:
        run = build(scenarios.parse(data, "real"), 0)
    except ConfigError as error:
        pytest.skip(str(error))
    assert isinstance(run.crowd, ReplayCrowd)
    assert run.scene.regions[0].name == "floor"
