"""From the raw output of a COCO detector to boxes: pre-processing, decoding, suppression, all numpy.

YOLOX (Ge et al., "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430; Apache-2.0) and FastestDet
(github.com/dog-qiuqiu/FastestDet; BSD-3). Scores are tested before anything is decoded, so that the
work after the network is that of the few cells that see a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.types import FloatArray

STRIDES = (8, 16, 32)
"""Pixels per cell of the three grids of YOLOX."""

PERSON = 0
"""The class index of a person in COCO's list of 80."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """N boxes in one picture, best first.

    `xyxy` (N, 4) [px] left, top, right, bottom, inside the picture; `scores` (N,) in [0, 1]; `labels`
    (N,) COCO class; `width`, `height` [px] of the picture.
    """

    xyxy: FloatArray
    scores: FloatArray
    labels: NDArray[np.int64]
    width: int
    height: int

    def __len__(self) -> int:
        return len(self.scores)

    @staticmethod
    def none(width: int, height: int) -> Boxes:
        """No boxes."""
        return Boxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64), width, height)


def fitted_size(width: int, height: int, longest: int) -> tuple[int, int]:
    """Width and height [px] of a network input for pictures of this shape: the longer side about `longest`.

    Both are multiples of 32; a 4:3 picture then costs a quarter less than the square input.
    """
    scale = longest / max(width, height)
    wide, high = (max(32, int(np.ceil(side * scale / 32 - 0.05)) * 32) for side in (width, height))
    return wide, high


def letterbox(rgb: NDArray[np.uint8], width: int, height: int) -> tuple[NDArray[np.float32], float]:
    """YOLOX's input: scaled into the upper left corner, grey around, BGR, 0 to 255.

    Args:
        rgb: (H, W, 3) uint8.
        width: of the input [px].
        height: of the input [px].

    Returns:
        (1, 3, height, width) float32, and input pixels per picture pixel.
    """
    import cv2

    h, w = rgb.shape[:2]
    scale = min(width / w, height / h)
    wide, high = max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale)))
    small = rgb if (wide, high) == (w, h) else cv2.resize(rgb, (wide, high), interpolation=cv2.INTER_LINEAR)
    out = np.full((1, 3, height, width), 114.0, dtype=np.float32)
    for channel in range(3):
        out[0, 2 - channel, :high, :wide] = small[..., channel]
    return out, scale


def squeezed(rgb: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    """FastestDet's input: stretched to fit, BGR, 0 to 1. (1, 3, height, width) float32."""
    import cv2

    small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)


def yolox_grid(width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """Cell corners (M, 2) in cells and strides (M,) [px], in the order of the output's rows."""
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(x.size, float(stride)))
    return np.concatenate(cells).astype(float), np.concatenate(strides)


def decode_yolox(
    raw: NDArray[np.float32], grid: tuple[FloatArray, FloatArray] | None, classes: NDArray[np.int64],
    least: float,
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:  # fmt: skip
    """Boxes above a score.

    Args:
        raw: (M, 5 + C): cx, cy, w, h, objectness, class scores.
        grid: as from `yolox_grid`; None where the network decodes boxes itself.
        classes: wanted class indices.
        least: smallest objectness times class score.

    Returns:
        (K, 4) left, top, right, bottom [px of the input], scores (K,), labels (K,).
    """
    likely = np.flatnonzero(raw[:, 4] >= least)
    scores = raw[likely, 4, None] * raw[likely][:, 5 + classes]
    best = scores.argmax(axis=1) if len(likely) else np.zeros(0, dtype=np.int64)
    score = scores[np.arange(len(likely)), best].astype(float)
    keep = score >= least
    rows = likely[keep]
    box = raw[rows, :4].astype(float)
    if grid is not None:
        cells, strides = grid[0][rows], grid[1][rows, None]
        box = np.concatenate(
            [(box[:, :2] + cells) * strides, np.exp(np.minimum(box[:, 2:], 8.0)) * strides], 1
        )
    half = 0.5 * box[:, 2:]
    return np.concatenate([box[:, :2] - half, box[:, :2] + half], axis=1), score[keep], classes[best[keep]]


def decode_fastestdet(
    raw: NDArray[np.float32], classes: NDArray[np.int64], least: float
) -> tuple[FloatArray, FloatArray, NDArray[np.int64]]:
    """Boxes above a score, as fractions of the picture.

    Args:
        raw: (5 + C, h, w): objectness, centre offsets (before tanh), sizes (before the logistic
            function), class scores.
        classes: wanted class indices.
        least: smallest score, objectness^0.6 * class^0.4 as its author weighs them.

    Returns:
        (K, 4) left, top, right, bottom in [0, 1], scores (K,), labels (K,).
    """
    high, wide = raw.shape[1:]
    flat = raw.reshape(len(raw), -1)
    likely = np.flatnonzero(flat[0] ** 0.6 >= least)
    scores = (
        np.clip(flat[0, likely], 0.0, 1.0) ** 0.6 * np.clip(flat[5 + classes][:, likely], 0.0, 1.0) ** 0.4
    )
    best = scores.argmax(axis=0) if len(likely) else np.zeros(0, dtype=np.int64)
    score = scores[best, np.arange(len(likely))].astype(float)
    keep = score >= least
    cells = likely[keep]
    centre = np.stack(
        [cells % wide + np.tanh(flat[1, cells]), cells // wide + np.tanh(flat[2, cells])], axis=1
    )
    centre /= (wide, high)
    half = 0.5 / (1.0 + np.exp(-flat[3:5, cells].T.astype(float)))
    return np.concatenate([centre - half, centre + half], axis=1), score[keep], classes[best[keep]]


def overlap(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(N, K) intersection over union of boxes (N, 4) and (K, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=2)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    other = np.prod(np.maximum(others[:, 2:] - others[:, :2], 0.0), axis=1)
    return common / np.maximum(area[:, None] + other[None] - common, 1e-9)


def suppress(
    boxes: FloatArray, scores: FloatArray, labels: NDArray[np.int64], most: float
) -> NDArray[np.int64]:
    """Indices that survive greedy non-maximum suppression within each class, best first.

    Args:
        boxes: (N, 4).
        scores: (N,).
        labels: (N,).
        most: greatest overlap (intersection over union) two boxes of a class may have.
    """
    order = np.argsort(-scores, kind="stable")[:300]
    clash = (overlap(boxes[order], boxes[order]) > most) & (labels[order][:, None] == labels[order][None])
    alive = np.ones(len(order), dtype=bool)
    for k in range(len(order)):
        if alive[k]:
            alive[k + 1 :] &= ~clash[k, k + 1 :]
    return order[alive]


def head_boxes(boxes: Boxes) -> FloatArray:
    """(N, 4) [px] boxes that cover the heads of people, with a margin, for blurring.

    A standing person is seven to eight heads tall and the box about 0.4 times as wide as tall; one cut
    off below is mostly head and shoulders, which shows in the box being wider. So: the upper fifth of
    the box or three fifths of its width, whichever is more, over its whole width but a tenth each side.
    """
    x0, y0, x1, y1 = boxes.xyxy.T
    wide, high = x1 - x0, y1 - y0
    tall = np.minimum(np.maximum(0.2 * high, 0.6 * wide), high)
    top = np.maximum(y0 - 0.05 * tall, 0.0)
    return np.stack([x0 + 0.1 * wide, top, x1 - 0.1 * wide, y0 + tall], axis=1)


def blurred(rgb: NDArray[np.uint8], rectangles: FloatArray, blocks: int = 4) -> NDArray[np.uint8]:
    """A copy of a picture (H, W, 3) in which rectangles (N, 4) [px] hold only `blocks` x `blocks` colours."""
    import cv2

    out = rgb.copy()
    for x0, y0, x1, y1 in np.round(rectangles).astype(int):
        part = out[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        if part.size:
            coarse = cv2.resize(part, (blocks, blocks), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(coarse, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return out
