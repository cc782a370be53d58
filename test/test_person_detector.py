"""The detector: decoding, suppression, wrong models, reshaping, and real weights on pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lifelong_nav.core.errors import ConfigError, InputError
from lifelong_nav.perception import detector_decode as dd
from lifelong_nav.perception.detector_files import NO_WEIGHTS
from lifelong_nav.perception.onnx_input import with_input_shape
from lifelong_nav.perception.person_detector import DetectorConfig, PersonDetector

PERSON = np.array([0])


def iou(a, b):
    return float(dd.overlap(np.array([a], dtype=float), np.array([b], dtype=float))[0, 0])


# --- decoding -----------------------------------------------------------------------------------


@given(st.integers(0, 1679), st.floats(0.4, 1.0), st.floats(0.4, 1.0))
def test_yolox_boxes_come_back_from_their_cell(cell, objectness, person):
    grid = dd.yolox_grid(320, 256)
    raw = np.zeros((1680, 85), dtype=np.float32)
    raw[:, 2:4] = 9e9  # never looked at where nothing is
    stride = grid[1][cell]
    raw[cell, :4] = 0.25, -0.5, np.log(2.0), np.log(3.0)
    raw[cell, 4:7] = objectness, person, 1.0
    boxes, scores, labels = dd.decode_yolox(raw, grid, PERSON, 0.1)
    middle = (grid[0][cell] + (0.25, -0.5)) * stride
    half = np.array([1.0, 1.5]) * stride
    assert boxes == pytest.approx(np.concatenate([middle - half, middle + half])[None], rel=1e-5, abs=1e-3)
    assert scores == pytest.approx([objectness * person], rel=1e-5)
    assert labels.tolist() == [0]
    decoded = raw.copy()
    decoded[cell, :4] = *middle, *(2 * half)
    assert dd.decode_yolox(decoded, None, PERSON, 0.1)[0] == pytest.approx(boxes, rel=1e-5, abs=1e-3)


def test_yolox_grid_has_a_row_per_cell_in_reading_order():
    cells, strides = dd.yolox_grid(64, 32)
    assert len(cells) == len(strides) == 8 * 4 + 4 * 2 + 2
    assert cells[1].tolist() == [1, 0]
    assert cells[8].tolist() == [0, 1]
    assert strides[[0, 31, 32, 40, 41]].tolist() == [8, 8, 16, 32, 32]


@given(st.integers(0, 21), st.integers(0, 21), st.floats(-1, 1), st.floats(-3, 3))
def test_fastestdet_boxes_come_back_from_their_cell(row, column, offset, size):
    raw = np.zeros((85, 22, 22), dtype=np.float32)
    raw[:6, row, column] = 0.9, offset, -offset, size, -size, 0.8
    boxes, scores, _ = dd.decode_fastestdet(raw, PERSON, 0.5)
    x, y = (column + np.tanh(offset)) / 22, (row + np.tanh(-offset)) / 22
    wide, high = 1 / (1 + np.exp(-size)), 1 / (1 + np.exp(size))
    assert boxes[0] == pytest.approx([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], abs=1e-5)
    assert scores == pytest.approx([0.9**0.6 * 0.8**0.4], rel=1e-5)


def test_nothing_found_is_empty_arrays():
    grid = dd.yolox_grid(64, 64)
    boxes, scores, labels = dd.decode_yolox(np.zeros((84, 85), dtype=np.float32), grid, PERSON, 0.3)
    assert boxes.shape == (0, 4)
    assert len(scores) == len(labels) == 0
    assert dd.decode_fastestdet(np.zeros((85, 4, 4), dtype=np.float32), PERSON, 0.3)[0].shape == (0, 4)
    assert len(dd.suppress(boxes, scores, labels, 0.5)) == 0
    assert dd.head_boxes(dd.Boxes.none(64, 48)).shape == (0, 4)


@given(
    hnp.arrays(float, (12, 2), elements=st.floats(0, 100)),
    hnp.arrays(float, (12, 2), elements=st.floats(1, 60)),
    hnp.arrays(float, 12, elements=st.floats(0, 1)),
    hnp.arrays(np.int64, 12, elements=st.integers(0, 1)),
)
def test_suppression_leaves_the_best_of_every_heap(corner, size, scores, labels):
    boxes = np.concatenate([corner, corner + size], axis=1)
    kept = dd.suppress(boxes, scores, labels, 0.4)
    assert (np.diff(scores[kept]) <= 0).all()
    overlap = dd.overlap(boxes, boxes)
    same = labels[:, None] == labels[None]
    for k in kept:
        assert not ((overlap[k] > 0.4) & same[k])[np.setdiff1d(kept, k)].any()
    for gone in np.setdiff1d(np.arange(12), kept):
        better = kept[scores[kept] >= scores[gone]]
        assert ((overlap[gone] > 0.4) & same[gone])[better].any()


@given(st.integers(40, 900), st.integers(40, 900), st.sampled_from([320, 416, 640]))
def test_pictures_of_any_shape_fit_the_input(width, height, longest):
    wide, high = dd.fitted_size(width, height, longest)
    assert wide % 32 == high % 32 == 0
    tensor, scale = dd.letterbox(np.full((height, width, 3), (10, 20, 30), dtype=np.uint8), wide, high)
    assert tensor.shape == (1, 3, high, wide)
    assert tensor[0, :, 0, 0].tolist() == [30.0, 20.0, 10.0]  # BGR
    assert round(width * scale) <= wide
    assert round(height * scale) <= high
    assert scale * max(width, height) > 0.8 * longest


def test_a_4_to_3_picture_costs_a_quarter_less():
    assert dd.fitted_size(320, 240, 416) == (416, 320)
    assert dd.fitted_size(640, 480, 320) == (320, 256)
    assert dd.fitted_size(480, 640, 416) == (320, 416)


# --- heads ------------------------------------------------------------------------------------------


@given(st.floats(0, 200), st.floats(0, 100), st.floats(5, 150), st.floats(5, 200))
def test_heads_are_on_top_of_people(x, y, wide, high):
    boxes = dd.Boxes(np.array([[x, y, x + wide, y + high]]), np.ones(1), np.zeros(1, dtype=int), 400, 400)
    x0, y0, x1, y1 = dd.head_boxes(boxes)[0]
    assert x <= x0 < x1 <= x + wide
    assert max(y - 0.2 * high, 0) <= y0 <= y
    assert y0 < y1 <= y + high + 1e-6
    assert y1 - y >= 0.2 * high - 1e-6


def test_blurring_hides_what_is_inside_and_nothing_else():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)
    before = picture.copy()
    out = dd.blurred(
        picture, np.array([[10.0, 5.0, 40.0, 35.0], [70.0, 50.0, 120.0, 90.0], [5.0, 5.0, 5.0, 9.0]])
    )
    assert np.array_equal(picture, before)
    assert len(np.unique(out[5:35, 10:40].reshape(-1, 3), axis=0)) <= 16
    assert len(np.unique(out[50:, 70:].reshape(-1, 3), axis=0)) <= 16
    outside = np.ones((60, 80), dtype=bool)
    outside[5:35, 10:40] = outside[50:, 70:] = False
    assert np.array_equal(out[outside], picture[outside])


# --- models that are none -----------------------------------------------------------------------------


def model(output, inputs=(1, 3, 64, 64), kind="Conv"):
    """A tiny network from a picture to an output of this shape."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    x = h.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, inputs)
    y = h.make_tensor_value_info("out", onnx.TensorProto.FLOAT, output)
    value = onnx.numpy_helper.from_array(np.full(output, 0.1, dtype=np.float32), "value")
    zero = onnx.numpy_helper.from_array(np.zeros((), dtype=np.float32), "zero")
    nodes = [
        h.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        h.make_node("Mul", ["mean", "zero"], ["nothing"]),
        h.make_node("Add", ["nothing", "value"], ["out"]),
    ]
    graph = h.make_graph(nodes, "toy", [x], [y], [value, zero])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("output", "inputs"),
    [((1, 1000), (1, 3, 64, 64)), ((1, 84, 5), (1, 3, 64, 64)), ((1, 77, 85), (1, 3, 64, 64)),
     ((1, 84, 85), (1, 1, 64, 64)), ((1, 84, 85), (2, 3, 64, 64))],
)  # fmt: skip
def test_other_networks_are_refused_with_their_shapes(output, inputs):
    with pytest.raises(InputError, match=r"no YOLOX|cannot load"):
        PersonDetector(model(output, inputs), DetectorConfig())


def test_networks_of_our_kinds_are_recognised():
    yolox = PersonDetector(model((1, 84, 85)), DetectorConfig())
    assert (yolox.kind, yolox.classes) == ("yolox", 80)
    fastest = PersonDetector(model((1, 85, 4, 4)), DetectorConfig())
    assert (fastest.kind, fastest.classes) == ("fastestdet", 80)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 1000, bytes(range(256)) * 100])
def test_files_that_are_no_networks(tmp_path, content):
    path = tmp_path / "yolox_nano.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"yolox_nano\.onnx"):
        PersonDetector.load(path)


def test_no_weights_is_said_and_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LIFELONG_NAV_DATA", str(tmp_path))
    monkeypatch.delenv("LIFELONG_NAV_WEIGHTS", raising=False)
    assert PersonDetector.load_or_none() == (None, NO_WEIGHTS)
    with pytest.raises(ConfigError, match="fetch-weights"):
        PersonDetector.load()
    with pytest.raises(ConfigError, match="no detector weights at"):
        PersonDetector.load(tmp_path / "mine.onnx")


def test_a_network_given_another_input_size_computes_the_same():
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    h = onnx.helper
    x = h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, (1, 3, 64, 64))
    y = h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, (1, 4, 32, 32))
    inner = h.make_tensor_value_info("c", onnx.TensorProto.FLOAT, (1, 4, 32, 32))
    weight = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)
    nodes = [h.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2]), h.make_node("Relu", ["c"], ["y"])]
    graph = h.make_graph(
        nodes, "g", [x], [y], [onnx.numpy_helper.from_array(weight, "w")], value_info=[inner]
    )
    small = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8).SerializeToString()
    large = with_input_shape(small, "x", (1, 3, 128, 96))
    picture = np.random.default_rng(1).normal(size=(1, 3, 128, 96)).astype(np.float32)
    whole = ort.InferenceSession(large).run(None, {"x": picture})[0]
    assert whole.shape == (1, 4, 64, 48)
    corner = ort.InferenceSession(small).run(None, {"x": picture[..., :64, :64]})[0]
    assert np.allclose(whole[..., :32, :32], corner, atol=1e-5)
    with pytest.raises(InputError, match="no input 'z'"):
        with_input_shape(small, "z", (1, 3, 8, 8))


@settings(max_examples=200)
@given(st.binary(max_size=300), st.integers(0, 400))
def test_reshaping_rubbish_raises_our_error_only(rubbish, cut):
    for data in (rubbish, model((1, 84, 85))[:cut]):
        with pytest.raises(InputError):
            with_input_shape(data, "nobody", (1, 3, 8, 8))


# --- real weights -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["yolox-nano", "fastestdet"])
def detector(request):
    try:
        found = PersonDetector.load(request.param, DetectorConfig(min_score=0.4))
    except ConfigError as error:
        pytest.skip(f"no detector weights ({error.what}): run lifelong-nav fetch-weights")
    return found


def test_a_person_on_a_real_photo_and_none_on_others(detector):
    photos = pytest.importorskip("skimage.data")
    boxes = detector.detect(photos.astronaut())
    assert iou(boxes.xyxy[0], (5, 15, 375, 510)) > 0.85
    face = np.array([170, 60, 275, 200])  # where the astronaut's face is
    head = dd.head_boxes(boxes)[0]
    assert (head[:2] <= face[:2]).all()
    assert (head[2:] >= face[2:]).all()
    for name in ("coffee", "chelsea", "rocket"):
        assert len(detector.detect(getattr(photos, name)())) == 0, name
    assert 15 in detector.detect_all(photos.chelsea()).labels  # a cat


def test_scale_and_padding_do_not_move_boxes(detector):
    photos, cv2 = pytest.importorskip("skimage.data"), pytest.importorskip("cv2")
    photo = photos.astronaut()
    wide = np.full((512, 900, 3), 90, dtype=np.uint8)
    wide[:, 300:812] = photo
    small = cv2.resize(wide, (450, 256), interpolation=cv2.INTER_AREA)
    assert iou(detector.detect(wide).xyxy[0], (305, 15, 675, 510)) > 0.75
    assert iou(detector.detect(small).xyxy[0] * 2, (305, 15, 675, 510)) > 0.75


def test_rendered_people_are_found_where_they_are(detector):
    from lifelong_nav.core.types import Twist2
    from lifelong_nav.sim import scenario, scenario_build
    from lifelong_nav.sim.engine import Simulation
    from lifelong_nav.sim.instances import person_ids
    from lifelong_nav.sim.readings import SimConfig

    run = scenario_build.build(scenario.load("queue"), 3)
    config = SimConfig(lidar_mode="fast", scan_rate=0.0, camera_rate=5.0)
    with Simulation(run.scene, run.crowd, config, 3, run.start) as sim:
        sim.command(Twist2(0.0))
        reading = next(r for r in (sim.step().rgbd for _ in range(20)) if r is not None)
        numbers = person_ids(sim.people.ids)
    wanted = []
    for number in numbers:
        rows, columns = np.nonzero(reading.frame.ids == number)
        if len(rows) > 250:
            wanted.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    boxes = detector.detect(reading.frame.rgb)
    assert len(wanted) >= 4
    overlap = dd.overlap(np.array(wanted, dtype=float), boxes.xyxy)
    assert (overlap.max(axis=1) > 0.5).mean() > 0.6  # some stand behind others
    assert (overlap.max(axis=0) > 0.3).mean() > 0.7


@pytest.mark.parametrize(
    "picture",
    [np.zeros((10, 10), dtype=np.uint8), np.zeros((10, 10, 3)), np.zeros((4, 10, 3), dtype=np.uint8), None],
)
def test_what_is_no_picture_is_refused(detector, picture):
    with pytest.raises(InputError, match="RGB"):
        detector.detect(picture)
