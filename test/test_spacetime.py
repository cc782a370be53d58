"""Search in space and time: optimal on small problems, and sensible among people."""

import itertools

import numpy as np
import pytest
from trajectory_world import ahead, corridor, situation

from lifelong_nav.trajectory import lattice
from lifelong_nav.trajectory.lattice import CLASS, MOVES, Layer, Prices
from lifelong_nav.trajectory.proxemics import ProxemicsConfig
from lifelong_nav.trajectory.search_costs import SearchConfig
from lifelong_nav.trajectory.spacetime import search

C, P = SearchConfig(), ProxemicsConfig()
T = np.arange(36) * 0.2


def problem(seed, steps, cone):
    rng = np.random.default_rng(seed)
    sides = [6 * k + 7 if cone else 7 for k in range(steps)]
    layers = [Layer(*(rng.exponential(1.0, (2, n, n)).astype(np.float32))) for n in sides]
    last = rng.exponential(2.0, (sides[-1], sides[-1])).astype(np.float32)
    prices = Prices(rng.uniform(0, 1, 8).astype(np.float32), rng.uniform(0, 1, 8).astype(np.float32))
    return layers, last, prices


def price(cells, layers, last, prices, cone):
    """Cost of a way, added up plainly."""
    total = 0.0
    for k, layer in enumerate(layers):
        move = cells[k + 1] - cells[k] - (3 if cone else 0)
        (kind,) = CLASS[(move == MOVES).all(axis=1)]
        here = tuple(cells[k + 1])
        total += prices.moves[kind] + layer.still[here] + prices.shares[kind] * layer.moving[here]
    return total + last[tuple(cells[-1])]


@pytest.mark.parametrize("cone", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_finds_what_brute_force_finds(seed, cone):
    layers, last, prices = problem(seed, 2, cone)
    start = np.array([0, 0] if cone else [3, 3])
    values = lattice.backward(layers, last, prices, cone)
    best = np.inf
    for a, b in itertools.product(MOVES, MOVES):
        one = start + a + (3 if cone else 0)
        two = one + b + (3 if cone else 0)
        inside = (one >= 0).all() and (one < layers[0].still.shape).all()
        if inside and (two >= 0).all() and (two < layers[1].still.shape).all():
            best = min(best, price(np.array([start, one, two]), layers, last, prices, cone))
    assert values[0][tuple(start)] == pytest.approx(best, rel=1e-5)
    way = lattice.descend(layers, values, prices, tuple(start), cone)
    assert price(way, layers, last, prices, cone) == pytest.approx(best, rel=1e-5)


def test_forwards_and_backwards_agree():
    layers, last, prices = problem(4, 4, True)
    values = lattice.backward(layers, last, prices, True)
    reached = lattice.forward(layers, np.zeros(len(MOVES), np.float32), prices)
    for k in range(1, 5):
        assert (reached[k] + values[k]).min() == pytest.approx(values[0][0, 0], rel=1e-5)
    k = 2
    through = np.unravel_index(np.argmin(reached[k] + values[k]), values[k].shape)
    way = lattice.ascend(layers, reached, prices, through, k)
    rest = lattice.descend(layers, values, prices, through, True, at=k)
    whole = np.concatenate([way, rest[1:]])
    assert price(whole, layers, last, prices, True) == pytest.approx(values[0][0, 0], rel=1e-5)


def gap(reference, start, velocity):
    """Least distance to somebody at constant velocity."""
    people = np.array(start) + np.array(velocity) * T[:, None]
    return np.linalg.norm(reference - people, axis=1)[T <= 6.0].min()


def test_straight_and_at_full_speed_when_nobody_is_there():
    best = search(situation(v=0.8), C, P).references[0]
    assert np.abs(best[:, 1]).max() < 0.05
    assert best[30, 0] == pytest.approx(4.8, abs=0.25)


def test_stops_at_the_goal():
    best = search(situation(goal=(2.0, 0.0)), C, P).references[0]
    assert np.linalg.norm(best[25:] - [2.0, 0.0], axis=1).max() < 0.2


def test_keeps_right_of_someone_coming():
    best = search(situation(ahead([6.0, 0.0], [-1.2, 0.0])), C, P).references[0]
    assert gap(best, [6.0, 0.0], [-1.2, 0.0]) > 0.7
    assert best[np.argmin(np.abs(T - 3.0)), 1] < -0.5


def test_passes_behind_who_crosses():
    start, velocity = [2.6, -2.6], [0.0, 0.9]
    best = search(situation(ahead(start, velocity)), C, P).references[0]
    assert gap(best, start, velocity) > 0.7
    crossed = np.argmax(best[:, 0] > start[0])
    assert start[1] + velocity[1] * T[crossed] > best[crossed, 1]


def test_waits_where_there_is_no_room_beside():
    start, velocity = [2.2, 0.0], [0.0, 0.0]
    someone = ahead([[2.2, 0.0], [9.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])
    best = search(situation(someone, field=corridor(1.2)), C, P).references[0]
    assert gap(best, start, velocity) > 0.6
    assert best[-1, 0] < 1.7


def test_does_not_go_between_members_of_a_group():
    pair = ahead([[3.0, 0.8], [3.0, -0.8]], np.zeros((2, 2)), groups=[1, 1])
    best = search(situation(pair), C, P).references[0]
    inside = (np.abs(best[:, 0] - 3.0) < 0.3) & (np.abs(best[:, 1]) < 0.8)
    assert not inside.any()


def test_others_differ():
    found = search(situation(ahead([2.5, 0.1], [0.0, 0.0])), C, P, most=3)
    assert len(found.names) == 3
    assert (np.diff(found.costs) >= 0).all()
    one, two = found.references[:2, 18, 1]
    assert one * two < 0.0
