"""Routes: shortest by an independent reckoning, off obstacles, around groups, and failures with codes."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifelong_nav.core.grid import OccupancyGrid
from lifelong_nav.core.types import People, Pose2, TrackedPerson
from lifelong_nav.trajectory.cost_grid import CostGrid
from lifelong_nav.trajectory.costmap import Costmap, CostmapConfig
from lifelong_nav.trajectory.field import goal_field
from lifelong_nav.trajectory.route import RouteError, RouteFailure, RoutePlanner
from lifelong_nav.trajectory.social_layer import social_cost

RES = 0.05


def office():
    """Six rooms on both sides of a corridor, 18 m x 10 m, doors 0.9 m wide."""
    data = np.zeros((200, 360), np.int8)
    data[[0, 1, -2, -1]] = 100
    data[:, [0, 1, -2, -1]] = 100
    data[78:81] = 100
    data[120:123] = 100
    for x in (120, 240):
        data[:80, x : x + 3] = 100
        data[120:, x : x + 3] = 100
    for x in (50, 170, 290):
        data[78:81, x : x + 18] = 0
        data[120:123, x : x + 18] = 0
    return OccupancyGrid(data, RES, (0.0, 0.0))


def free_grid(mask, resolution=0.1, frame="map"):
    """Cost 1 everywhere, lethal where the mask says."""
    cost = np.where(mask, np.inf, 1.0).astype(np.float32)
    return CostGrid(cost, np.ones_like(cost), resolution, (0.0, 0.0), frame)


@pytest.fixture(scope="module")
def office_grid():
    return Costmap(static=office()).grid()


def test_route_through_two_doors(office_grid):
    route = RoutePlanner().plan(office_grid, Pose2(1.0, 1.0, 0.0), Pose2(16.0, 9.0, 1.2))
    points = route.points
    assert np.hypot(*(points[0, :2] - (1.0, 1.0))) < 1e-9
    assert np.hypot(*(points[-1, :2] - (16.0, 9.0))) < 1e-9
    assert points[-1, 2] == pytest.approx(1.2)
    assert route.moved == pytest.approx(0.0)
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    assert steps.max() <= 0.1 + 1e-9
    assert route.length == pytest.approx(steps.sum())
    clear = office().data
    cells = office().to_cells(points[:, :2])
    assert (clear[cells[:, 0], cells[:, 1]] == 0).all()
    distance = np.array([office_grid.distance[office_grid.cell(*p)] for p in points[:, :2]])
    assert distance.min() > 0.28
    # Taut string through the two doors, as lower bound; corners and soft costs may add a little.
    taut = np.hypot(2.95 - 1, 4 - 1) + np.hypot(14.95 - 2.95, 6.05 - 4) + np.hypot(16 - 14.95, 9 - 6.05)
    assert route.length < 1.10 * taut
    hard = Costmap(CostmapConfig(soft_cost=0.0), office()).grid()
    assert RoutePlanner().plan(hard, Pose2(1.0, 1.0), Pose2(16.0, 9.0)).length < 1.03 * taut


def test_yaw_points_along_the_route(office_grid):
    points = RoutePlanner().plan(office_grid, Pose2(1, 1), Pose2(16, 9)).points
    step = np.diff(points[:, :2], axis=0)
    np.testing.assert_allclose(points[:-1, 2], np.arctan2(step[:, 1], step[:, 0]), atol=1e-9)
    turn = np.abs((np.diff(points[:-1, 2]) + np.pi) % (2 * np.pi) - np.pi)
    assert turn.max() < np.deg2rad(35), "corners are rounded"


def reference_cost(grid, goal):
    """Textbook Dijkstra in Python."""
    height, width = grid.shape
    togo = np.full((height, width), np.inf)
    togo[goal] = 0.0
    heap = [(0.0, goal)]
    while heap:
        d, (r, c) = heapq.heappop(heap)
        if d > togo[r, c]:
            continue
        for dr in (-1, 0, 1):
            for dc in (-1, 0, 1):
                a, b = r + dr, c + dc
                if (dr, dc) == (0, 0) or not (0 <= a < height and 0 <= b < width):
                    continue
                if not (
                    np.isfinite(grid.cost[a, b])
                    and np.isfinite(grid.cost[a, c])
                    and np.isfinite(grid.cost[r, b])
                ):
                    continue
                new = d + np.hypot(dr, dc) * grid.resolution * 0.5 * (grid.cost[r, c] + grid.cost[a, b])
                if new < togo[a, b] - 1e-9:
                    togo[a, b] = new
                    heapq.heappush(heap, (new, (a, b)))
    return togo


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.floats(0.0, 0.5))
def test_field_equals_textbook_dijkstra(seed, density):
    rng = np.random.default_rng(seed)
    mask = rng.random((14, 17)) < density
    mask[5, 6] = False
    cost = np.where(mask, np.inf, rng.uniform(1, 6, mask.shape)).astype(np.float32)
    grid = CostGrid(cost, np.ones_like(cost), 0.1, (0.0, 0.0), "map")
    field = goal_field(grid, (5, 6))
    expected = reference_cost(grid, (5, 6))
    np.testing.assert_array_equal(np.isfinite(field.togo), np.isfinite(expected))
    known = np.isfinite(expected)
    np.testing.assert_allclose(field.togo[known], expected[known], rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_random_clutter_route_is_free_or_refused(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((60, 60), bool)
    for r, c in rng.integers(0, 55, (12, 2)):
        mask[r : r + 5, c : c + 5] = True
    grid = free_grid(mask)
    start, goal = (Pose2(*rng.uniform(0.0, 6.0, 2), 0.0) for _ in range(2))
    try:
        route = RoutePlanner().plan(grid, start, goal, tolerance=0.3)
    except RouteError as error:
        if error.code not in (RouteFailure.GOAL_OCCUPIED, RouteFailure.NO_ROUTE):
            raise
        return
    assert np.isfinite(route.points).all()
    assert route.moved <= 0.3 + 1e-6
    inside = np.isfinite(grid.cost_at(route.points[:, :2]))
    if np.isfinite(grid.cost_at(start.xy)):
        assert inside.all()
    assert route.length <= route.cost + 0.3, "shortcuts never make it longer"
    assert route.length >= np.hypot(*(route.goal.xy - start.xy)) - 1e-6


def code_of(planner, *args, **kwargs):
    with pytest.raises(RouteError) as caught:
        planner.plan(*args, **kwargs)
    assert caught.value.what
    assert caught.value.fix
    return caught.value.code


def test_failures_have_codes(office_grid):
    planner = RoutePlanner()
    here, inside_wall = Pose2(1.0, 1.0), Pose2(6.07, 2.0)
    assert code_of(planner, office_grid, here, Pose2(99.0, 1.0)) is RouteFailure.OUT_OF_MAP
    assert code_of(planner, office_grid, Pose2(-5.0, 1.0), here) is RouteFailure.OUT_OF_MAP
    assert code_of(planner, office_grid, here, Pose2(float("nan"), 1.0)) is RouteFailure.OUT_OF_MAP
    assert code_of(planner, office_grid, here, inside_wall, tolerance=0.1) is RouteFailure.GOAL_OCCUPIED
    walled = np.zeros((50, 50), bool)
    walled[:, 25] = True
    assert code_of(planner, free_grid(walled), Pose2(1, 1), Pose2(4, 4)) is RouteFailure.NO_ROUTE
    assert (
        code_of(planner, free_grid(np.ones((50, 50), bool)), Pose2(1, 1), Pose2(4, 4))
        is RouteFailure.START_BLOCKED
    )


def test_an_occupied_goal_moves_to_the_nearest_free_place(office_grid):
    route = RoutePlanner().plan(office_grid, Pose2(1, 1), Pose2(5.95, 2.0), tolerance=0.6)
    assert 0.0 < route.moved <= 0.6
    assert np.isfinite(office_grid.cost_at(route.goal.xy))


def test_a_start_in_an_obstacle_margin_leads_out(office_grid):
    route = RoutePlanner().plan(office_grid, Pose2(0.2, 1.0), Pose2(4.0, 2.0))
    assert route.points[0, 0] == pytest.approx(0.2)
    assert np.isfinite(office_grid.cost_at(route.points[6:, :2])).all()


def test_field_is_kept_while_grid_and_goal_stay(office_grid):
    planner = RoutePlanner()
    goal = Pose2(16.0, 9.0)
    planner.plan(office_grid, Pose2(1.0, 1.0), goal)
    planner.plan(office_grid, Pose2(2.0, 1.5), goal)
    assert planner.solved == 1
    planner.plan(office_grid, Pose2(2.0, 1.5), Pose2(10.0, 9.0))
    assert planner.solved == 2


def test_start_equals_goal(office_grid):
    route = RoutePlanner().plan(office_grid, Pose2(1, 1), Pose2(1, 1, 0.5))
    assert route.length == 0.0
    assert route.points[-1, 2] == pytest.approx(0.5)


def test_still_free_sees_a_door_that_closed():
    from lifelong_nav.core.types import LaserScan

    costmap = Costmap(CostmapConfig(), office())
    planner = RoutePlanner()
    route = planner.plan(costmap.grid(), Pose2(3.0, 1.0), Pose2(3.0, 8.0))
    assert planner.still_free(costmap.grid(), route)
    angles = np.linspace(-np.pi, np.pi, 720, endpoint=False)
    door = np.abs(angles - np.pi / 2) < 0.25
    ranges = np.where(door, 2.95 / np.sin(np.where(door, angles, 1.0)), np.nan)
    costmap.update(LaserScan(0.0, "laser", -np.pi, np.pi / 360, 0.1, 10.0, ranges), Pose2(3.0, 1.0, 0.0))
    assert not planner.still_free(costmap.grid(), route)
    again = planner.plan(costmap.grid(), Pose2(3.0, 5.0), Pose2(3.0, 8.0))
    assert again.length > 0


def standing(id, x, y, group=-1, **kwargs):
    return TrackedPerson(id, x, y, group_id=group, age=10.0, **kwargs)


def test_route_goes_around_a_conversation_not_through_it():
    grid = free_grid(np.zeros((80, 120), bool))
    start, goal = Pose2(1.0, 4.0), Pose2(11.0, 4.0)
    # Two people face each other across the straight line, 1.8 m apart: the gap fits the robot.
    pair = [(6.0, 3.1), (6.0, 4.9)]
    strangers = People(0.0, "map", tuple(standing(i, x, y) for i, (x, y) in enumerate(pair)))
    friends = People(0.0, "map", tuple(standing(i, x, y, 7) for i, (x, y) in enumerate(pair)))
    middle = {}
    for name, people in (("strangers", strangers), ("friends", friends)):
        route = RoutePlanner().plan(grid.with_extra(social_cost(grid, people, 0.28), 1), start, goal)
        middle[name] = np.interp(6.0, route.points[:, 0], route.points[:, 1])
    assert abs(middle["friends"] - 4.0) > 1.3, "around the group"


def test_walkers_and_new_tracks_do_not_bend_the_route():
    grid = free_grid(np.zeros((40, 40), bool))
    walker = People(0.0, "map", (standing(1, 2.0, 2.0, vx=1.0), TrackedPerson(2, 2.0, 3.0, age=0.1)))
    assert not social_cost(grid, walker, 0.28).any()


def test_a_person_in_the_only_door_is_dear_but_not_a_wall():
    mask = np.zeros((40, 40), bool)
    mask[:, 20] = True
    mask[18:23, 20] = False
    grid = free_grid(mask)
    people = People(0.0, "map", (standing(1, 2.05, 2.05),))
    extra = social_cost(grid, people, 0.28)
    assert np.isfinite(extra).all()
    blocked = RoutePlanner().plan(grid.with_extra(extra, 1), Pose2(0.5, 2.0), Pose2(3.5, 2.0))
    assert blocked.cost > blocked.length + 10.0


def test_the_rest_of_a_route_serves_until_something_changes(office_grid):
    planner = RoutePlanner()
    goal = Pose2(16.0, 9.0, 0.3)
    route = planner.plan(office_grid, Pose2(1.0, 1.0), goal)
    half = Pose2(*route.points[len(route.points) // 2])
    rest = planner.rest(office_grid, route, half, goal)
    assert rest.length == pytest.approx(route.length / 2, abs=0.2)
    assert np.hypot(*(rest.points[0, :2] - half.xy)) < 0.06
    assert planner.rest(office_grid, route, Pose2(half.x, half.y + 0.5), goal) is None, "off the route"
    assert planner.rest(office_grid, route, half, Pose2(15.0, 9.0, 0.3)) is None, "another goal"
    blocked = office_grid.cost.copy()
    blocked[office_grid.cell(*route.points[-20, :2])] = np.inf
    wall = CostGrid(blocked, office_grid.distance, office_grid.resolution, office_grid.origin, "map", 99)
    assert planner.rest(wall, route, half, goal) is None, "no longer free"


def test_the_rest_is_given_up_when_someone_stops_on_it():
    grid = free_grid(np.zeros((80, 120), bool))
    planner = RoutePlanner()
    route = planner.plan(grid, Pose2(1.0, 4.0), Pose2(11.0, 4.0))
    assert planner.rest(grid, route, Pose2(2.0, 4.0), Pose2(11.0, 4.0)) is not None
    someone = People(0.0, "map", (standing(1, 6.0, 4.0),))
    dearer = grid.with_extra(social_cost(grid, someone, 0.28), 1)
    assert planner.rest(dearer, route, Pose2(2.0, 4.0), Pose2(11.0, 4.0)) is None
