"""A picture made ready to leave the robot: heads unrecognisable, small, JPEG."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray

HEAD_SHARE = 0.34
"""Share of a person's box, from its top, that is made unrecognisable; generous for those who bend."""
_BLOCKS = 5


def blur_boxes(image: NDArray[np.uint8], boxes: FloatArray, share: float = HEAD_SHARE) -> NDArray[np.uint8]:
    """A copy in which the upper part of every box is replaced by a few flat blocks.

    Averages over blocks are what is kept; unlike a Gaussian blur that cannot be undone.

    Args:
        image: (H, W, 3) RGB.
        boxes: (N, 4) x0, y0, x1, y1 [px]; parts outside are cut, broken boxes cover the whole picture.
        share: of the box's height.
    """
    out = image.copy()
    height, width = image.shape[:2]
    for box in np.asarray(boxes, dtype=float).reshape(-1, 4):
        x0, y0, x1, y1 = box if np.isfinite(box).all() else (0.0, 0.0, width, height / share)
        pad = 0.1 * (x1 - x0)
        left, right = (int(np.clip(v, 0, width)) for v in (np.floor(x0 - pad), np.ceil(x1 + pad)))
        top, bottom = (
            int(np.clip(v, 0, height)) for v in (np.floor(y0 - pad), np.ceil(y0 + share * (y1 - y0)))
        )
        _flatten(out[top:bottom, left:right])
    return out


def encode_jpeg(image: NDArray[np.uint8], longest: int = 512, quality: int = 80) -> bytes:
    """JPEG of an RGB picture, its longer side at most `longest` [px]; no metadata.

    Raises:
        InputError: not an (H, W, 3) uint8 picture.
    """
    import cv2

    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"Picture of shape {image.shape}, {image.dtype}.", "Give (H, W, 3) uint8 RGB.")
    scale = longest / max(image.shape[:2])
    if scale < 1.0:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError("The picture cannot be encoded.", "Give RGB values.")
    return bytes(data.tobytes())


def _flatten(patch: NDArray[np.uint8]) -> None:
    """Replace a patch by at most `_BLOCKS` x `_BLOCKS` of its block means, in place."""
    rows = np.array_split(np.arange(patch.shape[0]), min(_BLOCKS, patch.shape[0]) or 1)
    columns = np.array_split(np.arange(patch.shape[1]), min(_BLOCKS, patch.shape[1]) or 1)
    for r in rows:
        for c in columns:
            if len(r) and len(c):
                block = patch[r[0] : r[-1] + 1, c[0] : c[-1] + 1]
                block[:] = block.mean(axis=(0, 1)).astype(np.uint8)
