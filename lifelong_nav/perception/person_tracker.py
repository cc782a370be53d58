"""Multi-target tracking of people: constant-velocity Kalman filters, Hungarian assignment, track life.

A person owns up to two leg clusters per scan (Leigh et al., "Person Tracking and Following with 2D
Laser Scanners", ICRA 2015, joins legs the same way). A track is reported once it has shown that it
is no furniture: it moves, or stands where the lidar had looked through before. Someone who walked in
may then stand still for as long as they like; a track that never went anywhere fades.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.camera_fusion import Sighting, doubted, fold_in, trusted
from lifelong_nav.perception.people_config import PeopleConfig
from lifelong_nav.perception.tracks import Detections, Tracks, new_tracks, steady_motion

_FORBIDDEN = 1e6
_TOP = 4.0
_SURE = 2.0
_ANCHOR_RADIUS = 0.35


class PersonTracker:
    """People over time, from detections alone."""

    def __init__(self, config: PeopleConfig) -> None:
        self._config = config
        self.tracks = Tracks.empty()
        self._next_id = 1

    def clear(self) -> None:
        """Forget all tracks; ids are not used again."""
        self.tracks = Tracks.empty()

    def predict(self, dt: float) -> None:
        """Move all tracks by `dt` [s]."""
        t, a = self.tracks, self._config.sigma_accel**2
        step = np.eye(4)
        step[0, 2] = step[1, 3] = dt
        noise = np.zeros((4, 4))
        noise[[0, 1], [0, 1]] = a * dt**3 / 3.0  # continuous white acceleration
        noise[[0, 1], [2, 3]] = noise[[2, 3], [0, 1]] = a * dt**2 / 2.0
        noise[[2, 3], [2, 3]] = a * dt
        t.state = t.state @ step.T
        t.cov = step @ t.cov @ step.T + noise

    def update(
        self,
        stamp: float,
        dt: float,
        found: Detections,
        visible: Callable[[FloatArray], NDArray[np.bool_]],
        taken_before: Callable[[FloatArray, FloatArray], NDArray[np.bool_]],
    ) -> None:
        """Fold in the detections of one scan, after `predict`.

        Args:
            stamp: of the scan [s].
            dt: since the scan before [s].
            found: leg candidates.
            visible: (T, 2) spots -> (T,) True where the scan reaches.
            taken_before: (T, 2) spots, (T,) stamps -> (T,) True where something stood already then.
        """
        t, c = self.tracks, self._config
        first, second = self._assign(found)
        hit = np.flatnonzero(first >= 0)
        if len(hit):
            self._correct(hit, first[hit], second[hit], found, stamp)
            self._learn(hit, first[hit], second[hit], found, stamp, dt, taken_before)
        miss = first < 0
        seen_through = np.zeros(len(t), dtype=bool)
        if miss.any():
            seen_through[miss] = visible(t.state[miss, :2])
            held = trusted(t, stamp, c) & (stamp - t.judged < 0.5)  # legs are thin, bodies are not
            rate = np.where(seen_through & ~held, c.miss_rate, c.hidden_rate)
            t.life -= np.where(miss, rate * dt, 0.0)
        t.hidden = miss & ~seen_through
        self._confirm(stamp)
        self._bury(stamp)
        used = np.zeros(len(found), dtype=bool)
        used[first[first >= 0]] = used[second[second >= 0]] = True
        self._give_birth(stamp, found, ~used)

    def sight(self, sighting: Sighting, now: float, lidar_alive: bool) -> None:
        """Fold in what one picture says; it may be of a little before or after `now`.

        Args:
            sighting: people seen, and where none can be.
            now: stamp the tracks stand at.
            lidar_alive: scans come; without them the camera also decides how long tracks live.
        """
        self._next_id += fold_in(self.tracks, sighting, now, lidar_alive, self._next_id, self._config)
        self._bury(now)

    def reported(self, stamp: float) -> NDArray[np.int64]:
        """Indices of the tracks that are people now, oldest id first."""
        t, c = self.tracks, self._config
        unseen = stamp - t.seen
        return np.flatnonzero(
            t.confirmed
            & (
                (t.shape > np.where(t.walked > c.walker_distance, c.walker_shape, c.min_shape))
                | trusted(t, stamp, c)
            )
            & ~doubted(t, stamp, c)
            & (unseen <= np.where(t.hidden, c.coast_hidden, c.coast_visible) + 1e-6)
        )

    def _assign(self, found: Detections) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and second cluster of every track, -1 for none."""
        t, c = self.tracks, self._config
        first = np.full(len(t), -1)
        second = first.copy()
        if len(t) == 0 or len(found) == 0:
            return first, second
        away = found.xy[None] - t.state[:, None, :2]
        spread = t.cov[:, :2, :2] + np.eye(2) * c.sigma_single**2
        d2 = np.einsum("tdi,tij,tdj->td", away, np.linalg.inv(spread), away)
        metres = np.hypot(away[..., 0], away[..., 1])
        cost = d2 + np.log(np.linalg.det(spread))[:, None] - 1.5 * found.score[None]
        moving = np.hypot(t.state[:, 2], t.state[:, 3]) > 0.4
        static = (found.occupied >= 3) & (found.free == 0)
        cost += 5.0 * (moving[:, None] & static[None]) + 3.0 * ~t.confirmed[:, None]
        cost = np.where((d2 < c.gate) & (metres < 0.9), cost, _FORBIDDEN)
        rows, columns = linear_sum_assignment(cost)
        good = cost[rows, columns] < _FORBIDDEN
        first[rows[good]] = columns[good]

        free = np.ones(len(found), dtype=bool)
        free[columns[good]] = False
        free &= (found.width < 0.35) & (found.score > -0.6)
        owners = np.flatnonzero((first >= 0) & (found.width[first] < 0.35))
        if len(owners) and free.any():
            apart = np.hypot(*(found.xy[None] - found.xy[first[owners], None]).transpose(2, 0, 1))
            pair_cost = metres[owners] + 0.5 * apart + 1.0 * (moving[owners, None] & static[None])
            allowed = free[None] & (apart < c.leg_gap) & (metres[owners] < 0.55)
            allowed &= ~(moving[owners, None] & static[None])
            pair_cost = np.where(allowed, pair_cost, _FORBIDDEN)
            rows, columns = linear_sum_assignment(pair_cost)
            good = pair_cost[rows, columns] < _FORBIDDEN
            second[owners[rows[good]]] = columns[good]
        return first, second

    def _correct(
        self,
        hit: NDArray[np.int64],
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        found: Detections,
        stamp: float,
    ) -> None:
        """Kalman update of the tracks `hit`, Joseph form so that the covariance stays positive."""
        t, c = self.tracks, self._config
        both = second >= 0
        place = np.where(both[:, None], 0.5 * (found.xy[first] + found.xy[second]), found.xy[first])
        whole = both | (found.width[first] > 0.3)
        sigma = np.where(whole, c.sigma_pair, c.sigma_single) + 0.006 * found.distance[first]
        noise = np.eye(2)[None] * (sigma**2)[:, None, None]
        cov = t.cov[hit]
        gain = cov[:, :, :2] @ np.linalg.inv(cov[:, :2, :2] + noise)
        t.state[hit] += np.einsum("tij,tj->ti", gain, place - t.state[hit, :2])
        t.trail[hit] = np.roll(t.trail[hit], 1, axis=1)
        t.trail[hit, 0] = np.column_stack([np.full(len(hit), stamp), place])
        rest = np.tile(np.eye(4), (len(hit), 1, 1))
        rest[:, :, :2] -= gain
        cov = rest @ cov @ rest.transpose(0, 2, 1) + gain @ noise @ gain.transpose(0, 2, 1)
        t.cov[hit] = 0.5 * (cov + cov.transpose(0, 2, 1))

    def _learn(
        self,
        hit: NDArray[np.int64],
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        found: Detections,
        stamp: float,
        dt: float,
        taken_before: Callable[[FloatArray, FloatArray], NDArray[np.bool_]],
    ) -> None:
        """What the tracks `hit` tell about being people: shape, newness of the spot, motion."""
        t, c = self.tracks, self._config
        pace = float(np.clip(dt / 0.1, 0.4, 1.6))  # neighbouring scans are no independent witnesses
        t.seen[hit] = stamp
        t.hits[hit] += 1
        legs = np.where((second >= 0) | (found.width[first] > 0.3), 2.0, 1.0)
        t.legs[hit] += 0.3 * pace * (legs - t.legs[hit])
        score = found.score[first] + np.where(second >= 0, 0.4, 0.0)
        t.shape[hit] += 0.25 * (score - t.shape[hit])

        place = t.state[hit, :2]
        moved_on = np.hypot(*(place - t.anchor[hit]).T) > _ANCHOR_RADIUS
        t.anchor[hit[moved_on]] = place[moved_on]
        t.anchor_time[hit[moved_on]] = stamp

        speed = np.hypot(t.state[hit, 2], t.state[hit, 3])
        standing = speed < 0.2
        going = steady_motion(t.trail[hit], stamp)
        gain = c.newness_weight * found.newness()[first]
        gain += np.where(going, c.motion_weight, np.where(standing, -0.3, 0.0))
        t.evidence[hit] = np.clip(t.evidence[hit] + pace * gain, -3.0, _TOP)
        fine = 0.12 / found.spacing[first] >= c.stand_beams
        look = np.where(fine, score - c.stand_shape, -0.3)
        t.standing_look[hit] = np.clip(t.standing_look[hit] + pace * look, -1.0, _TOP)

        t.walked[hit] += np.where(going, speed * dt, 0.0)
        seen = trusted(t, stamp, c)[hit]
        proven = (
            seen | going | (t.walked[hit] > c.walker_distance) | (t.stander[hit] & (t.standing_look[hit] > 0))
        )
        step = np.where(proven, 0.6, np.where(t.evidence[hit] > 0.5, 0.1, -0.4))
        step += 0.2 * np.clip(t.shape[hit], -2.0, 1.0)
        step -= 1.5 * (standing & taken_before(place, t.anchor_time[hit] - 0.5) & ~seen)
        step -= 3.0 * (speed > c.max_speed)
        t.life[hit] = np.minimum(t.life[hit] + pace * step, _TOP)

    def _confirm(self, stamp: float) -> None:
        """Who is a person now: by steady motion, or standing, by the look of two legs seen well."""
        t, c = self.tracks, self._config
        open_to = ~doubted(t, stamp, c, 0.25)  # new people need the camera's consent where it looks
        mover = (t.walked > 0.1) & (t.evidence + t.shape >= c.confirm_evidence) & (t.shape > c.min_shape)
        t.confirmed |= open_to & mover & (t.hits >= c.confirm_hits) & (t.life > 0.5)
        speed = np.hypot(t.state[:, 2], t.state[:, 3])
        brisk = (speed > 0.5) & (speed < 2.5) & (t.shape > 0.7) & (t.evidence > c.brisk_evidence)
        t.confirmed |= open_to & brisk & (t.hits >= c.confirm_hits)
        t.stander |= (t.standing_look > c.stand_evidence) & (t.legs > 1.5)
        t.confirmed |= open_to & t.stander

    def _bury(self, stamp: float) -> None:
        t = self.tracks
        unsure = np.maximum(t.cov[:, 0, 0], t.cov[:, 1, 1]) > 2.0
        fresh = t.confirmed | ((t.camera > 0.0) & (stamp - t.judged < 1.0))
        dead = (t.life < 0.0) | unsure | (~fresh & (t.evidence < -1.5) & (t.hits > 4))
        dead |= ~fresh & (stamp - t.seen > 0.45)
        if len(t) > 1:  # one person, two tracks: the one with less behind it goes
            gap = np.hypot(*(t.state[:, None, :2] - t.state[None, :, :2]).transpose(2, 0, 1))
            single = t.legs < 1.5
            reach = 0.25 + 0.12 * (single[:, None].astype(float) + single[None])
            reach += 0.1 * ~(t.confirmed[:, None] & t.confirmed[None])
            weight = 1000.0 * t.confirmed + t.hits - 1e-9 * t.id
            sure = t.camera > _SURE  # seen in picture after picture: two of them are two people
            dead |= ((gap < reach) & ~(sure[:, None] & sure[None]) & (weight[None] > weight[:, None])).any(
                axis=1
            )
        t.keep(~dead)

    def _give_birth(self, stamp: float, found: Detections, candidates: NDArray[np.bool_]) -> None:
        """New tracks from clusters nobody owns, legs paired."""
        t, c = self.tracks, self._config
        candidates = candidates & (found.score > -0.6) & ~((found.occupied >= 4) & (found.free == 0))
        if len(t):
            gap = np.hypot(*(found.xy[:, None] - t.state[None, :, :2]).transpose(2, 0, 1))
            near = np.where(t.legs < 1.5, 0.55, 0.4)
            candidates &= ~((gap < near) & t.confirmed[None]).any(axis=1)
        index = np.flatnonzero(candidates)
        if len(index) == 0:
            return
        xy = found.xy[index]
        apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
        narrow = found.width[index] < 0.35
        pairable = narrow[:, None] & narrow[None] & (apart < c.leg_gap)
        left = np.ones(len(index), dtype=bool)
        place, score, new = [], [], []
        newness = found.newness()[index]
        rows, columns = np.nonzero(np.triu(pairable, 1))
        for k in np.argsort(apart[rows, columns], kind="stable"):
            i, j = rows[k], columns[k]
            if left[i] and left[j]:
                left[i] = left[j] = False
                place.append(0.5 * (xy[i] + xy[j]))
                score.append(0.5 * (found.score[index[i]] + found.score[index[j]]) + 0.3)
                new.append(0.5 * (newness[i] + newness[j]))
        alone = np.flatnonzero(left)
        place += list(xy[alone])
        score += list(found.score[index[alone]])
        new += list(newness[alone])
        born = new_tracks(
            np.array(place),
            self._next_id,
            stamp,
            np.array(score),
            c.newness_weight * np.array(new),
            c.sigma_speed,
        )
        self._next_id += len(born)
        t.extend(born)
