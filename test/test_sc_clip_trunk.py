import json
import shutil

import numpy as np
import pytest

from lifelong_nav.core.errors import CheckpointError, ConfigError, InputError
from lifelong_nav.core.share import share_folder
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.image_trunk import ImageTrunk, Trunk, as_images, fit_input

MODEL = share_folder("models") / "sc_clip"
shipped = pytest.mark.skipif(not (MODEL / "trunk" / "trunk.json").is_file(), reason="no trained model")


def picture(height=240, width=320, seed=0):
    """A smooth coloured scene with a bright bar; noise alone looks like nothing to a network."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    base = np.stack([np.sin(x / (20 + 9 * i) + seed) + np.cos(y / (15 + 7 * i)) for i in range(3)], -1)
    base[:, width // 3 : width // 3 + 20] += 2.0 * rng.random(3)
    return np.clip(128 + 50 * base, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trunk():
    return ImageTrunk.load(MODEL / "trunk")


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((2, 4, 4, 3), np.int64),
        [None],
    ],
)
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(InputError):
        as_images(bad)


def test_the_whole_picture_is_squeezed_in_and_nothing_cropped():
    image = np.zeros((100, 400, 3), np.uint8)
    image[:, :40, 0] = 255
    image[:, -40:, 2] = 255
    out = fit_input([image], 160, 224)[0]
    assert out.shape == (160, 224, 3)
    assert out[:, :15, 0].min() > 200 < out[:, -15:, 2].min()


@shipped
def test_any_size_and_any_number_of_pictures(trunk):
    assert isinstance(trunk, Trunk)
    images = [picture(), picture(480, 640, 1), picture(33, 17, 2)]
    out = trunk.features(images)
    assert out.shape == (3, trunk.dim)
    assert np.isfinite(out).all()
    for image, row in zip(images, out, strict=True):
        np.testing.assert_allclose(trunk.features(image)[0], row, atol=2e-2 * np.abs(row).max())
    assert trunk.features([]).shape == (0, trunk.dim)
    assert trunk.parts[-1].stop == trunk.dim == sum(p.stop - p.start for p in trunk.parts)


@shipped
def test_left_and_right_are_told_apart(trunk):
    image = picture()
    a, b = trunk.features([image, image[:, ::-1].copy()])
    late = next(p.slice for p in trunk.parts if p.name == "late")
    left, _, right = np.split(a[late], 3)
    mirrored_left = np.split(b[late], 3)[0]
    assert np.linalg.norm(right - mirrored_left) < np.linalg.norm(left - mirrored_left)


@shipped
def test_a_damaged_or_foreign_trunk_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="fp9"):
        ImageTrunk.load(MODEL / "trunk", "fp9")
    folder = tmp_path / "trunk"
    shutil.copytree(MODEL / "trunk", folder)
    card = json.loads((folder / "trunk.json").read_text())
    file = folder / card["files"][card["precision"]]["name"]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))
    with pytest.raises(CheckpointError):
        ImageTrunk.load(folder)
    file.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        ImageTrunk.load(folder)
    (folder / "trunk.json").write_text(json.dumps({**card, "schema": "another"}))
    with pytest.raises(CheckpointError, match="schema"):
        ImageTrunk.load(folder)


@shipped
def test_the_shipped_head_fits_the_shipped_trunk(trunk):
    head = ContextHead.load(MODEL / "head", trunk=trunk.version)
    out = head.embed(trunk.features([picture(), picture(seed=4)])).fused
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1.0, atol=1e-5)


def test_stride_two_padding_equals_tensorflows():
    torch = pytest.importorskip("torch")
    from lifelong_nav.perception.sc_clip import trunk_model

    layers = pytest.importorskip("timm.layers")
    x = torch.randn(1, 4, 12, 20, generator=torch.Generator().manual_seed(0))
    for kernel in (3, 5):
        theirs = layers.Conv2dSame(4, 6, kernel, stride=2, bias=False)
        ours = trunk_model.EvenSameConv2d(4, 6, kernel, 2, bias=False)
        ours.load_state_dict(theirs.state_dict())
        torch.testing.assert_close(ours(x), theirs(x))


def test_grid_means_are_means_of_cells():
    torch = pytest.importorskip("torch")
    from lifelong_nav.perception.sc_clip.trunk_model import grid_means

    x = torch.arange(2 * 3 * 4 * 7, dtype=torch.float32).reshape(2, 3, 4, 7)
    out = grid_means(x, 2, 3).reshape(2, 2, 3, 3)
    torch.testing.assert_close(out[1, 0, 2], x[1, :, :2, 5:].mean((1, 2)))
    torch.testing.assert_close(out[0, 1, 1], x[0, :, 2:, 2:5].mean((1, 2)))


@shipped
def test_the_open_clip_model_says_what_the_robot_says(trunk):
    torch = pytest.importorskip("torch")
    pytest.importorskip("open_clip")
    image_module = pytest.importorskip("PIL.Image")
    from lifelong_nav.perception.sc_clip.open_clip_bundle import load_sc_clip
    from lifelong_nav.perception.sc_clip.open_clip_trunk import OpenClipTrunk

    model, transform = load_sc_clip()
    head = ContextHead.load(MODEL / "head")
    images = [picture(160, 224, s) for s in range(3)]  # no resizing: two libraries would differ there
    with torch.inference_mode():
        pixels = torch.stack([transform(image_module.fromarray(i)) for i in images])
        theirs = model.encode_image(pixels, normalize=True).numpy()
        features = model.visual.trunk.forward_features(pixels).numpy()
    np.testing.assert_allclose(head.embed(features).fused, theirs, atol=2e-3)  # the same arithmetic
    ours = head.embed(trunk.features(images)).fused
    assert ((ours * theirs).sum(1) > 0.85).all()  # int8 against fp32 on pictures unlike any other
    wrapped = OpenClipTrunk.wrap(model, transform, "test")
    np.testing.assert_allclose(wrapped.features(images), theirs, atol=1e-5)


def test_an_unknown_architecture_or_a_missing_file_is_said(tmp_path):
    pytest.importorskip("open_clip")
    from lifelong_nav.perception.sc_clip.open_clip_trunk import OpenClipTrunk

    with pytest.raises(CheckpointError, match="missing"):
        OpenClipTrunk.load("ViT-B-32", tmp_path / "none.pt")
    (tmp_path / "some.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match="NoSuchNet"):
        OpenClipTrunk.load("NoSuchNet", tmp_path / "some.safetensors")
