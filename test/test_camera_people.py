"""People from boxes to places, and camera and lidar together: who is tracked, who is refuted, and when."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people_scans import Walker, film

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.geometry import lift, matrix, pose3, transform_points2
from lifelong_nav.core.types import Pose2
from lifelong_nav.perception.box_geometry import Camera, depth_of_box, place_people
from lifelong_nav.perception.camera_fusion import Sighting, fold_in
from lifelong_nav.perception.camera_people import CameraConfig, CameraPeople
from lifelong_nav.perception.detector_decode import Boxes
from lifelong_nav.perception.people import PeoplePerception
from lifelong_nav.perception.people_config import PeopleConfig
from lifelong_nav.perception.tracks import new_tracks

WIDTH, HEIGHT, FOCAL = 320, 240, 230.0
CAMERA = Camera(np.array([[FOCAL, 0, 159.5], [0, FOCAL, 119.5], [0, 0, 1.0]]), WIDTH, HEIGHT)
TURN = np.array([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
NOBODY = np.zeros((0, 2))


def eye(robot=Pose2(), height=1.2, pitch=0.0):  # noqa: B008
    """Pose of the optical frame on a mast of the robot, looking ahead, `pitch` [rad] down."""
    c, s = np.cos(pitch), np.sin(pitch)
    nod = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0], [0, 0, 0, 1.0]])
    return pose3(matrix(lift(robot, height)) @ nod @ TURN)


def box_of(place, pose, tall=1.7, wide=0.5):
    """Box (4,) around an upright body, not clipped."""
    transform = matrix(pose)
    rel = np.asarray(place) - transform[:2, 3]
    aside = np.array([-rel[1], rel[0]]) / np.hypot(*rel) * wide / 2
    corners = [(*(place + s * aside), z) for s in (-1, 1) for z in (0.0, tall)]
    pixels = CAMERA.pixels((np.array(corners) - transform[:3, 3]) @ transform[:3, :3])
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def boxes_of(places, pose, score=0.85, **body):
    """Boxes as a detector gives them: clipped, and nothing of people behind the camera."""
    transform = matrix(pose)
    out = []
    for place in places:
        ahead = (np.array([*place, 1.0]) - transform[:3, 3]) @ transform[:3, 2]
        box = box_of(np.asarray(place, dtype=float), pose, **body) if ahead > 0.3 else np.zeros(4)
        box = np.clip(box, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
        if (box[2:] - box[:2] > 6).all():
            out.append(box)
    n = len(out)
    return Boxes(np.array(out).reshape(n, 4), np.full(n, score), np.zeros(n, dtype=int), WIDTH, HEIGHT)


def depth_of(places, pose, wall=9.0, furniture=(), rng=None):
    """A depth image of people (boards 0.4 m wide) before a wall; `furniture`: (x, y, half width, height)."""
    transform = matrix(pose)
    depth = np.full((HEIGHT, WIDTH), wall)
    things = [(x, y, 0.2, 1.7, 0.13) for x, y in places] + [(*f, 0.0) for f in furniture]
    for x, y, half, tall, thick in sorted(things, key=lambda t: -np.hypot(t[0], t[1])):
        z = (np.array([x, y, 1.0]) - transform[:3, 3]) @ transform[:3, 2]
        if z < 0.3:
            continue
        x0, y0, x1, y1 = np.round(box_of(np.array([x, y]), pose, tall, 2 * half)).astype(int)
        depth[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = z - thick
    if rng is not None:
        depth += rng.normal(size=depth.shape) * (0.001 + 0.002 * depth**2)
        depth[rng.random(depth.shape) < 0.05] = np.nan
    return depth.astype(np.float32)


def view(stamp, places, pose, score=0.85, depth=None, returns=None, config=None):
    return CameraPeople(None, config).view(stamp, boxes_of(places, pose, score), CAMERA, pose, depth, returns)


# --- places -------------------------------------------------------------------------------------------

SPOTS = st.tuples(st.floats(1.5, 6.5), st.floats(-0.45, 0.45)).map(lambda p: (p[0], p[0] * p[1]))
ROBOTS = st.builds(Pose2, st.floats(-5, 5), st.floats(-5, 5), st.floats(-3, 3))


@settings(max_examples=60)
@given(SPOTS, ROBOTS, st.floats(-0.1, 0.25), st.integers(0, 9))
def test_depth_gives_the_place_wherever_the_robot_is(spot, robot, pitch, seed):
    place, pose = transform_points2(robot, np.array(spot)), eye(robot, pitch=pitch)
    seen = view(0.0, [place], pose, depth=depth_of([place], pose, rng=np.random.default_rng(seed)))
    if len(seen.places) == 0:
        assert abs(np.arctan2(spot[1], spot[0])) > 0.35  # out of the picture
        return
    assert seen.places.source == ("depth",)
    error = seen.places.xy[0] - place
    assert np.hypot(*error) < 0.12 + 0.03 * spot[0]
    assert error @ np.linalg.inv(seen.places.covariance[0]) @ error < 9.0


@settings(max_examples=60)
@given(SPOTS, ROBOTS, st.floats(1.52, 1.88), st.floats(-0.02, 0.02), st.integers(0, 9))
def test_without_depth_the_spread_is_honest(spot, robot, tall, tilt, seed):
    place = transform_points2(robot, np.array(spot))
    rng = np.random.default_rng(seed)
    boxes = boxes_of([place], eye(robot, pitch=tilt), tall=tall)  # the tilt is known a little wrongly
    jitter = Boxes(
        boxes.xyxy + rng.normal(size=boxes.xyxy.shape) * 2, boxes.scores, boxes.labels, WIDTH, HEIGHT
    )
    seen = CameraPeople(None).view(0.0, jitter, CAMERA, eye(robot))
    for xy, covariance in zip(seen.places.xy, seen.places.covariance, strict=True):
        error = xy - place
        assert error @ np.linalg.inv(covariance) @ error < 16.0
        assert np.sqrt(np.linalg.eigvalsh(covariance)[-1]) < 0.3 * spot[0] + 0.7


def test_lidar_gives_the_range_where_depth_has_none():
    pose, place = eye(), np.array([4.0, 0.8])
    legs = place + np.array([(0.0, 0.1), (0.0, -0.1), (-0.03, 0.1)])
    wall = np.stack([np.full(50, 7.5), np.linspace(-3, 3, 50)], axis=1)
    chair = np.array([[1.5, 0.3], [1.52, 0.32]])
    seen = view(0.0, [place], pose, returns=np.concatenate([wall, legs, chair]))
    assert seen.places.source == ("lidar",)
    assert seen.places.xy[0] == pytest.approx(place, abs=0.15)
    blind = np.full((HEIGHT, WIDTH), np.nan, dtype=np.float32)
    assert view(0.0, [place], pose, depth=blind, returns=legs).places.source == ("lidar",)
    only_far = view(0.0, [place], pose, depth=blind, returns=wall)
    assert only_far.places.source == ("size",)
    assert only_far.places.xy[0] == pytest.approx(place, abs=0.4)


def test_depth_is_the_persons_not_the_walls_nor_a_passers_by():
    depth = np.full((240, 320), 8.0)
    depth[60:200, 100:150] = 3.0
    depth[60:200, 100:112] = 1.4  # somebody's shoulder in front
    z, column, share = depth_of_box(np.array([95.0, 58.0, 155.0, 202.0]), depth)
    assert z == pytest.approx(3.0)
    assert 120 < column < 140
    assert share > 0.7
    assert depth_of_box(np.array([95.0, 58.0, 155.0, 202.0]), np.full((240, 320), np.nan)) is None
    assert depth_of_box(np.array([300.0, 10.0, 340.0, 60.0]), np.zeros((240, 320))) is None


@pytest.mark.filterwarnings("error")
@given(st.lists(st.sampled_from([0.0, np.nan, 1.0, 1.5, 4.0, 8.0]), min_size=24, max_size=24))
def test_any_patchwork_of_depth_gives_a_depth_that_was_measured_or_none(values):
    depth = np.kron(np.array(values).reshape(6, 4), np.ones((4, 3)))
    measured = depth_of_box(np.array([0.0, 0.0, 12.0, 24.0]), depth)
    if measured is not None:
        assert measured[0] in values
        assert 0 <= measured[1] <= 12
        assert 0 < measured[2] <= 1


def test_pictures_on_the_wall_are_no_people():
    pose = eye()
    transform = matrix(pose)
    poster = CAMERA.pixels(
        (np.array([(4.0, 0.5, 1.4), (4.0, -0.1, 1.9)]) - transform[:3, 3]) @ transform[:3, :3]
    )
    box = np.concatenate([poster.min(axis=0), poster.max(axis=0)])
    boxes = Boxes(box[None], np.ones(1), np.zeros(1, dtype=int), WIDTH, HEIGHT)
    wall = np.full((HEIGHT, WIDTH), 4.0)
    assert len(place_people(boxes, CAMERA, transform, wall)) == 0


def test_two_boxes_of_one_person_are_one_place_and_two_people_are_two():
    pose = eye()
    whole, half = box_of(np.array([3.0, 0.0]), pose), box_of(np.array([3.0, 0.03]), pose, tall=1.6)
    behind = box_of(np.array([4.5, 0.2]), pose)
    boxes = Boxes(
        np.array([whole, half, behind]), np.array([0.9, 0.6, 0.5]), np.zeros(3, dtype=int), WIDTH, HEIGHT
    )
    found = place_people(boxes, CAMERA, matrix(pose))
    assert found.box.tolist() == [0, 2]
    assert found.confidence.tolist() == [0.9, 0.5]


def test_a_lens_with_distortion_sees_the_same_person_at_the_same_place():
    cv2 = pytest.importorskip("cv2")
    bent = Camera(CAMERA.k, WIDTH, HEIGHT, np.array([-0.25, 0.05, 0.0, 0.0, 0.0]))
    points = np.array([[0.4, 0.1, 1.0], [-0.5, -0.3, 1.0], [0.0, 0.0, 1.0]])
    pixels = cv2.projectPoints(points, np.zeros(3), np.zeros(3), bent.k, bent.d)[0][:, 0]
    assert bent.rays(pixels) == pytest.approx(points, abs=1e-3)
    assert CAMERA.rays(CAMERA.pixels(points)) == pytest.approx(points)


def test_what_does_not_belong_together_is_refused():
    people = CameraPeople(None)
    rgb = np.zeros((120, 160, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="camera_info says 320 x 240"):
        people.look(0.0, rgb, CAMERA, eye())
    with pytest.raises(InputError, match="Register depth"):
        people.look(0.0, np.zeros((240, 320, 3), dtype=np.uint8), CAMERA, eye(), np.zeros((120, 160)))
    with pytest.raises(InputError, match="Calibrate"):
        Camera(np.zeros((3, 3)), 320, 240)
    with pytest.raises(InputError, match="not finite"):
        people.view(np.nan, Boxes.none(320, 240), CAMERA, eye())


def test_a_view_keeps_no_picture():
    seen = view(0.0, [(3.0, 0.0)], eye(), depth=depth_of([(3.0, 0.0)], eye()))
    values = [getattr(seen, f.name) for f in fields(seen)]
    assert not any(isinstance(v, np.ndarray) and v.dtype == np.uint8 for v in values)
    assert seen.sight.size <= WIDTH * HEIGHT / 16


# --- doubt --------------------------------------------------------------------------------------------


def test_doubt_is_for_places_where_somebody_would_have_been_seen():
    pose = eye()
    depth = depth_of([], pose, wall=6.0, furniture=[(3.0, 0.8, 0.4, 1.6), (2.5, -0.7, 0.3, 0.5)])
    seen = view(0.0, [], pose, depth=depth)
    spots = np.array([
        (4.0, 0.0),  # looked through
        (3.0, 0.8),  # a cupboard stands there: perhaps a person in it
        (4.5, 1.2),  # behind the cupboard
        (2.5, -0.7),  # a low stool, seen over
        (-3.0, 0.0),  # behind the camera
        (3.0, 3.5),  # beside the picture
        (0.5, 0.0),  # too near to be seen whole
        (7.0, 0.0),  # behind the wall
    ])  # fmt: skip
    assert seen.doubt(spots) == pytest.approx([1.0, CameraConfig().unsure, 0, 1.0, 0, 0, 0, 0])
    assert seen.doubt(NOBODY).shape == (0,)


def test_without_depth_doubt_is_weak_and_stops_behind_people():
    seen = view(0.0, [(2.0, 0.0)], eye())
    unsure = CameraConfig().unsure
    assert seen.doubt(np.array([(4.0, 0.0), (4.0, 1.5), (1.2, 0.2)])) == pytest.approx([0.0, unsure, unsure])


# --- the filter ---------------------------------------------------------------------------------------


def test_a_late_picture_says_what_it_would_have_said_in_time():
    """Update at t - d through the delayed model = update then, and predicted to t (no process noise)."""
    config = PeopleConfig(sigma_accel=0.1)
    noise, delay = np.diag([0.04, 0.09])[None], 0.3

    def track():
        t = new_tracks(np.array([[1.0, 2.0]]), 1, 0.0, np.zeros(1), np.zeros(1), 0.8)
        t.state[0, 2:] = 1.2, -0.4
        t.cov[0, :2, 2:] = t.cov[0, 2:, :2] = np.diag([0.02, 0.03])
        return t

    step = np.eye(4)
    step[0, 2] = step[1, 3] = delay

    def sighting(stamp):
        score = np.array([0.9])
        return Sighting(stamp, 0.1, np.array([[1.2, 1.9]]), noise, score, lambda s: np.zeros(len(s)))

    late, timely = track(), track()
    late.state, late.cov = late.state @ step.T, step @ late.cov @ step.T
    fold_in(late, sighting(0.0), delay, True, 2, config)
    fold_in(timely, sighting(0.0), 0.0, True, 2, config)
    assert late.state == pytest.approx(timely.state @ step.T, abs=2e-3)
    assert late.cov == pytest.approx(step @ timely.cov @ step.T, abs=2e-3)


def scans(walkers, seconds, furniture=True):
    """(scan, pose, people's places) at 10 Hz."""
    none = {} if furniture else {"segments": np.zeros((0, 4)), "furniture": np.zeros((0, 3))}
    for scan, pose, places, _ in film(walkers, lambda t: Pose2(), seconds, seed=3, **none):
        yield scan, pose, places


STANDING = [
    Walker((4.0, 0.6), (4.1, 0.6), waits=(0.0, 1e9)),
    Walker((3.0, -0.8), (3.1, -0.8), waits=(0.0, 1e9)),
]


def follow(walkers, seconds, see=True, hear=True, late=0.13, depth=True):
    """Run perception; pictures at 8 Hz, `late` [s]. Yields (people, true places) per scan."""
    perception, last, shot = PeoplePerception(), None, -1
    for scan, pose, places in scans(walkers, seconds):
        if hear:
            last = perception.update(scan, pose)
        while see and (shot + 1) / 8 <= scan.stamp - late + 1e-9:
            shot += 1
            then = np.array([w.at(shot / 8)[0] for w in walkers])
            picture = depth_of(then, eye(), wall=7.9) if depth else None
            last = perception.update_camera(view(shot / 8, then, eye(), depth=picture))
        yield last, places


def found(people, place, reach=0.5):
    xy = people.positions() if people is not None else NOBODY
    return len(xy) > 0 and np.hypot(*(xy - place).T).min() < reach


def test_who_stands_still_from_the_start_is_tracked_at_once_with_the_camera_and_not_without():
    alone = [[found(people, p) for p in places] for people, places in follow(STANDING, 3.0, see=False)]
    both = [[found(people, p) for p in places] for people, places in follow(STANDING, 3.0)]
    assert np.mean(both[5:]) == 1.0  # from 0.5 s on
    assert np.mean(alone[5:]) < 0.6
    people = list(follow(STANDING, 3.0))[-1][0]
    assert len(people) == 2
    assert {p.id for p in people.people} == {p.id for p in list(follow(STANDING, 1.0))[-1][0].people}


@pytest.mark.parametrize("depth", [True, False])
def test_the_camera_alone_tracks_people(depth):
    walkers = [Walker((2.5, -1.0), (5.5, 1.5), 1.0), STANDING[0]]
    hits, ids, errors = [], set(), []
    for people, places in list(follow(walkers, 3.0, hear=False, depth=depth))[6:]:
        hits += [found(people, p, 0.8) for p in places]
        ids |= {p.id for p in people.people}
        errors += [float(np.hypot(*(people.positions() - p).T).min()) for p in places]
    assert np.mean(hits) > 0.97
    assert len(ids) == 2
    assert np.median(errors) < (0.25 if depth else 0.45)


def test_delay_does_not_drag_walkers_behind():
    """Pictures 0.3 s late, of somebody at 1.3 m/s: 0.4 m behind if their stamp were ignored."""
    walker = Walker((2.0, -1.0), (6.0, -1.0), 1.3)
    along = []
    for people, places in list(follow([walker], 2.8, late=0.3))[12:]:
        assert found(people, places[0])
        along.append(min((p.x - places[0][0] for p in people.people), key=abs))
    assert abs(np.mean(along)) < 0.1


def test_ghosts_of_the_lidar_are_refuted_where_the_camera_looks_and_only_there():
    """Two pairs of table legs carried along as a walker moves: one in view, one behind the robot."""
    ghosts = [Walker((3.0, -1.0), (5.5, 0.5), 0.9), Walker((-3.0, -1.0), (-5.5, 0.5), 0.9)]

    def run(see):
        perception, seen, out = PeoplePerception(), -1.0, []
        for scan, pose, places in scans(ghosts, 3.5, furniture=False):
            people = perception.update(scan, pose)
            if see and scan.stamp - seen > 0.11:
                seen = scan.stamp
                nothing = np.full((HEIGHT, WIDTH), 7.9, dtype=np.float32)
                people = perception.update_camera(view(scan.stamp, [], eye(), depth=nothing))
            out.append([found(people, p) for p in places])
        return np.mean(out[15:], axis=0)

    assert (run(False) > 0.8).all()
    ahead, behind = run(True)
    assert ahead == 0.0
    assert behind > 0.8


def test_a_person_missed_by_the_detector_now_and_then_stays():
    walker, perception = [STANDING[0]], PeoplePerception()
    rng, out = np.random.default_rng(0), []
    for scan, pose, places in scans(walker, 6.0):
        people = perception.update(scan, pose)
        blink = rng.random() < 0.4
        picture = depth_of(places, eye(), wall=7.9)
        people = perception.update_camera(view(scan.stamp, [] if blink else places, eye(), depth=picture))
        out.append(found(people, places[0]))
    assert np.mean(out[10:]) > 0.97


def test_a_person_seen_once_stays_while_the_robot_looks_elsewhere():
    perception = PeoplePerception()
    for k, (scan, pose, places) in enumerate(scans([STANDING[0]], 8.0)):
        people = perception.update(scan, pose)
        if k < 10:
            people = perception.update_camera(view(scan.stamp, places, eye(), depth=depth_of(places, eye())))
    assert found(people, places[0])


def test_one_false_box_makes_no_person():
    perception = PeoplePerception()
    for k in range(20):
        places = [(4.0, 0.0)] if k == 5 else []
        nothing = np.full((HEIGHT, WIDTH), 6.0, dtype=np.float32) if k != 5 else depth_of(places, eye())
        people = perception.update_camera(view(k / 8, places, eye(), depth=nothing))
        assert len(people) == 0
    assert len(perception._tracker.tracks) == 0


# --- times --------------------------------------------------------------------------------------------


def test_old_double_and_very_late_pictures_change_nothing():
    perception = PeoplePerception()
    for scan, pose, places in scans(STANDING, 2.0):
        perception.update(scan, pose)
        last = perception.update_camera(view(scan.stamp, places, eye()))
    for stamp in (scan.stamp, scan.stamp - 0.2, scan.stamp - 30.0):
        assert perception.update_camera(view(stamp, [(2.0, 1.0)], eye())) is last


def test_scans_take_time_over_again_after_the_camera_led():
    perception = PeoplePerception()
    for k in range(10):
        perception.update_camera(view(k / 8, [(4.0, 0.6)], eye()))
    stamps = []
    for scan, pose, places in scans(STANDING, 2.0):
        stamp = 1.0 + scan.stamp  # at first older than where the camera had got to
        stamps.append(perception.update(replace(scan, stamp=stamp), pose).stamp)
        perception.update_camera(view(stamp + 0.15, places, eye()))  # the lidar's driver is the slower one
    assert stamps[-5:] == pytest.approx([1.0 + k / 10 for k in range(15, 20)])


def test_camera_time_that_jumps_back_starts_afresh():
    perception = PeoplePerception()

    def run():
        return [perception.update_camera(view(k / 8, [(4.0, 0.1 * k)], eye())) for k in range(20)]

    first, second = run(), run()
    assert len(first[-1]) == 1
    for a, b in zip(first, second, strict=True):
        assert [p.id for p in a.people] == [p.id for p in b.people]
        assert np.array_equal(a.positions(), b.positions())


def test_the_lidar_alone_goes_on_when_the_camera_dies():
    perception, walker = PeoplePerception(), [Walker((2.0, -1.0), (6.0, 1.0), 1.0)]
    hits = []
    for k, (scan, pose, places) in enumerate(scans(walker, 4.0)):
        people = perception.update(scan, pose)
        if k < 12:
            people = perception.update_camera(view(scan.stamp, places, eye(), depth=depth_of(places, eye())))
        hits.append(found(people, places[0]))
    assert np.mean(hits[4:]) > 0.9


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(-0.3, 0.5), st.integers(0, 3)), max_size=30))
def test_any_order_of_scans_and_pictures_keeps_the_tracks_sound(events):
    perception, now = PeoplePerception(), 0.0
    some = list(scans(STANDING, 0.4))
    for is_scan, step, k in events:
        now += step
        scan, pose, places = some[k]
        if is_scan:
            people = perception.update(replace(scan, stamp=now), pose)
        else:
            people = perception.update_camera(view(now, places[: k % 3], eye(), score=0.3 + 0.2 * k))
        t = perception._tracker.tracks
        assert np.isfinite(t.state).all()
        assert (np.linalg.eigvalsh(t.cov) > 0).all() if len(t) else True
        assert len({p.id for p in people.people}) == len(people)
        assert all(0.0 <= p.confidence <= 1.0 for p in people.people)


# --- people behind people, and the benchmark ----------------------------------------------------------


def test_who_stands_behind_somebody_is_placed_behind_them():
    pose = eye()
    front, behind, far = (2.5, 0.05), (4.0, 0.35), (6.0, -0.4)
    seen = view(0.0, [far, front, behind], pose, depth=depth_of([front, behind, far], pose))
    assert set(seen.places.source) == {"depth"}
    for place in (front, behind, far):
        assert np.hypot(*(seen.places.xy - place).T).min() < 0.25, place


def test_half_a_box_of_somebody_is_nobody_else():
    pose, place = eye(), np.array([3.0, 0.2])
    whole, chest = box_of(place, pose), box_of(place, pose)
    chest[3] = chest[1] + 0.45 * (chest[3] - chest[1])
    boxes = Boxes(np.array([chest, whole]), np.array([0.9, 0.8]), np.zeros(2, dtype=int), WIDTH, HEIGHT)
    found_ = place_people(boxes, CAMERA, matrix(pose), depth_of([tuple(place)], pose))
    assert found_.box.tolist() == [1]


def test_the_benchmark_says_when_it_cannot_measure(monkeypatch, tmp_path):
    from lifelong_nav.evaluation import camera_people_bench

    for variable in ("XDG_CACHE_HOME", "LIFELONG_NAV_DATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("LIFELONG_NAV_WEIGHTS", raising=False)
    result = camera_people_bench.run(quick=True)
    assert not result.targets
    assert "fetch-weights" in result.text()


def test_the_benchmark_counts_what_is_wanted_and_forgives_the_rest():
    from lifelong_nav.evaluation.camera_people_bench import _counts
    from lifelong_nav.evaluation.camera_people_world import Instant

    scan = next(scans([], 0.1))[0]
    places = np.array([(3.0, 0.0), (4.0, 1.0), (-3.0, 0.0)])
    yes = np.array([True, False, True])
    at = Instant(scan, Pose2(), np.arange(3), places, yes, yes, yes, ())
    reports = np.array([(3.2, 0.0), (4.0, 1.2), (2.0, -0.5), (-3.0, 0.1), (-5.0, 0.0), (9.0, 0.0)])
    wanted = np.array([True, False, False])
    # right, of somebody hidden, false, of somebody behind, false but behind, too far
    assert _counts(at, wanted, reports, True).tolist() == [True, False, True, False, False, False]
    assert _counts(at, wanted, reports, False).tolist() == [True, False, True, False, True, False]
    assert _counts(at, wanted, np.zeros((0, 2)), True).tolist() == []


def test_both_sources_beat_the_lidar_in_the_simulator(monkeypatch):
    from lifelong_nav.evaluation import camera_people_bench as bench
    from lifelong_nav.perception.detector_files import find_detector

    if find_detector() is None:
        pytest.skip("no detector weights: run lifelong-nav fetch-weights")
    monkeypatch.setattr(bench, "SCENARIOS", ("queue",))
    monkeypatch.setattr(bench, "SECONDS", (2.0, 2.0))
    tallies, detections = bench.measure(quick=True)
    both, lidar = tallies[bench.BOTH].total("in view"), tallies[bench.LIDAR].total("in view")
    assert both.recall > max(0.85, lidar.recall + 0.3)
    assert both.precision > 0.9
    assert both.rmse < 0.15
    assert len(detections) > 10
    assert {t.name for t in bench.targets(tallies, detections)} >= {"people in view: recall"}
