"""The errand's life: arrival, progress, the recovery ladder, patience with people, every way to fail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.types import Pose2, Twist2
from lifelong_nav.trajectory.cost_grid import CostGrid
from lifelong_nav.trajectory.errand import Advice, Errand, ErrandCode, ErrandConfig, Goal, Phase
from lifelong_nav.trajectory.escape import open_place
from lifelong_nav.trajectory.route import RouteError, RouteFailure

GOAL = Goal(Pose2(5.0, 0.0, 0.0), 0.25, 0.25)
STILL = Twist2()


def failure(code=RouteFailure.NO_ROUTE):
    return RouteError(code, "No way.", "Open the door.")


class Drive:
    """A robot at 10 Hz that goes straight for the goal when it has a route and is not blocked."""

    def __init__(self, goal=GOAL, config=None, now=100.0):
        self.now, self.pose = now, Pose2(0.0, 0.0, 0.0)
        self.errand = Errand(goal, config or ErrandConfig(), now)
        self.error = None
        self.blocked = False
        self.advices = []

    def run(self, seconds, people=False, pose=True):
        end = self.now + seconds
        while self.now < end - 1e-9 and self.errand.result is None:
            self.now += 0.1
            twist = STILL
            driving = self.errand.phase is Phase.DRIVING
            if driving and not self.blocked and pose and self.pose.x < 4.99:
                self.pose = Pose2(min(self.pose.x + 0.08, 5.0), 0.0, 0.0)
                twist = Twist2(0.8, 0, 0)
            advice = self.errand.update(self.now, self.pose if pose else None, twist, people)
            self.advices.append(advice)
            if advice.replan and self.errand.result is None:
                if self.error is None:
                    self.errand.route_found(self.now, 5.0 - self.pose.x, GOAL.pose)
                else:
                    self.errand.route_failed(self.now, self.error)
        return self.errand.result


def test_it_arrives():
    drive = Drive()
    result = drive.run(30)
    assert result.code is ErrandCode.NONE
    assert result.message == ""
    assert result.distance == pytest.approx(4.8, abs=0.3)
    assert result.duration == pytest.approx(6.0, abs=0.8)
    assert result.recoveries == 0
    assert drive.errand.update(999.0, drive.pose, STILL) == Advice(hold=True)


def test_passing_through_the_goal_is_not_arriving():
    errand = Errand(GOAL, ErrandConfig(), 0.0)
    errand.update(0.1, Pose2(5.0, 0.0, 0.0), Twist2(0.8, 0, 0))
    assert errand.result is None
    errand.update(0.2, Pose2(5.0, 0.0, 1.0), STILL)
    assert errand.result is None, "heading still off"
    errand.update(0.3, Pose2(5.0, 0.2, 0.2), STILL)
    assert errand.result.code is ErrandCode.NONE


def test_any_heading_will_do():
    errand = Errand(Goal(GOAL.pose, 0.25, None), ErrandConfig(), 0.0)
    errand.update(0.1, Pose2(5.0, 0.0, 3.0), STILL)
    assert errand.result.code is ErrandCode.NONE


def test_an_occupied_goal_ends_beside_it_and_says_so():
    errand = Errand(GOAL, ErrandConfig(), 0.0)
    errand.route_found(0.0, 4.6, Pose2(4.6, 0.0, 0.0))
    errand.update(0.1, Pose2(4.6, 0.0, 0.0), STILL)
    assert errand.result.code is ErrandCode.NONE
    assert "0.40 m" in errand.result.message


def test_feedback_counts_down():
    drive = Drive()
    drive.run(2.0)
    early = drive.errand.feedback()
    drive.run(2.0)
    late = drive.errand.feedback()
    assert late.remaining < early.remaining - 1.0
    assert late.eta < early.eta
    assert late.status == "driving"


def test_stuck_climbs_the_ladder_and_gives_up():
    drive = Drive(config=ErrandConfig(recoveries=4))
    drive.run(2.0)
    drive.blocked = True
    result = drive.run(200.0)
    assert result.code is ErrandCode.STUCK
    assert result.recoveries == 4
    assert "4 recoveries" in result.message
    clears = [k for k, a in enumerate(drive.advices) if a.clear]
    escapes = [k for k, a in enumerate(drive.advices) if a.escape]
    assert len(clears) == 2
    assert clears[0] < escapes[0] < clears[1], "gentle means first"


def test_a_freed_robot_starts_a_new_ladder():
    drive = Drive()
    drive.run(1.0)
    drive.blocked = True
    drive.run(12.0)
    assert drive.errand.recoveries == 1
    drive.blocked = False
    result = drive.run(60.0)
    assert result.code is ErrandCode.NONE
    assert result.recoveries == 1


def test_people_are_granted_more_time_than_things():
    drive = Drive(config=ErrandConfig(people_patience=30.0))
    drive.run(1.0)
    drive.blocked = True
    drive.run(25.0, people=True)
    assert drive.errand.recoveries == 0
    drive.run(10.0, people=True)
    assert drive.errand.recoveries >= 1, "but not for ever"


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (RouteFailure.NO_ROUTE, ErrandCode.NO_ROUTE),
        (RouteFailure.GOAL_OCCUPIED, ErrandCode.GOAL_OCCUPIED),
        (RouteFailure.START_BLOCKED, ErrandCode.STUCK),
        (RouteFailure.OUT_OF_MAP, ErrandCode.OUT_OF_MAP),
    ],
)
def test_no_route_ends_with_its_reason(cause, code):
    drive = Drive()
    drive.error = failure(cause)
    result = drive.run(200.0)
    assert result.code is code
    assert "No way." in result.message
    if cause is not RouteFailure.OUT_OF_MAP:
        assert any(a.clear for a in drive.advices)
        assert all(a.hold for a in drive.advices[1:]), "no route: stand still"
        assert not any(a.escape for a in drive.advices)


def test_a_door_that_opens_in_time_is_used():
    drive = Drive()
    drive.error = failure()
    drive.run(5.0)
    drive.error = None
    assert drive.run(60.0).code is ErrandCode.NONE


def test_a_missing_pose_holds_and_then_fails():
    drive = Drive()
    drive.run(2.0)
    drive.run(5.0, pose=False)
    assert drive.errand.phase is Phase.HELD
    assert drive.advices[-1].hold
    drive.run(1.0)
    assert drive.errand.phase is Phase.DRIVING
    assert drive.run(30.0, pose=False).code is ErrandCode.NO_POSE


def test_timeout_cancel_and_the_first_end_stands():
    drive = Drive(Goal(GOAL.pose, 0.25, 0.25, timeout=3.0))
    assert drive.run(10.0).code is ErrandCode.TIMEOUT
    drive.errand.end(drive.now, ErrandCode.CANCELLED, "too late")
    assert drive.errand.result.code is ErrandCode.TIMEOUT
    other = Errand(GOAL, ErrandConfig(), 0.0)
    other.end(1.0, ErrandCode.CANCELLED, "")
    assert other.result.message == "cancelled"


def test_circling_without_coming_nearer_is_stuck():
    errand = Errand(GOAL, ErrandConfig(gain_time=20.0, recoveries=0), 0.0)
    now = 0.0
    errand.route_found(now, 5.0, GOAL.pose)
    while errand.result is None and now < 60.0:
        now += 0.1
        angle = now
        errand.update(now, Pose2(np.cos(angle), np.sin(angle), angle), Twist2(1.0, 0, 1.0))
        errand.route_found(now, 5.0, GOAL.pose)
    assert errand.result.code is ErrandCode.STUCK
    assert now == pytest.approx(20.0, abs=1.0)


EVENTS = ["go", "block", "fail", "heal", "blind", "people", "back", "leap"]


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=25))
def test_whatever_happens_it_ends_in_time_with_a_reason(events):
    drive = Drive(config=ErrandConfig(recoveries=3, pose_patience=5.0))
    for event in events:
        if event == "block":
            drive.blocked = True
        elif event == "go":
            drive.blocked = False
        elif event == "fail":
            drive.error = failure()
        elif event == "heal":
            drive.error = None
        elif event == "back":
            drive.now -= 50.0
        elif event == "leap":
            drive.now += 1000.0
        drive.run(3.0, people=event == "people", pose=event != "blind")
    result = drive.run(600.0)
    assert result is not None
    assert (result.code is ErrandCode.NONE) or result.message
    assert np.isfinite([result.duration, result.distance]).all()
    assert result.duration >= 0


def test_codes_are_those_of_the_action():
    action = pytest.importorskip("lifelong_nav_interfaces.action")
    for code in ErrandCode:
        assert getattr(action.Navigate.Result, code.name) == code.value


def test_open_place_lies_behind_and_in_the_open():
    cost = np.ones((60, 60), np.float32)
    cost[:, 35:] = np.inf
    distance = np.tile(np.maximum(0.0, (35 - np.arange(60)) * 0.1).astype(np.float32), (60, 1))
    grid = CostGrid(cost, distance, 0.1, (0.0, 0.0), "map")
    place = open_place(grid, Pose2(3.3, 3.0, 0.0))
    assert place.x < 2.9
    assert np.isfinite(grid.cost_at(place.xy))
    cost[:] = np.inf
    assert open_place(grid, Pose2(3.3, 3.0, 0.0)) is None
