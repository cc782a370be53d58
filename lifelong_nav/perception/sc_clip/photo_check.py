"""Does the tower know more than our renderer? Free captions retrieved for the photographs of scikit-image.

A sanity check on real pictures, no benchmark: a dozen photographs, none of them a robot's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lifelong_nav.core.errors import require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.sc_clip.attributes import Encoder
from lifelong_nav.perception.sc_clip.head import ContextHead
from lifelong_nav.perception.sc_clip.image_trunk import RgbImage, Trunk

PHOTO_CAPTIONS: dict[str, str] = {
    "astronaut": "A smiling woman in a space suit in front of a flag.",
    "chelsea": "A close view of the face of a cat.",
    "coffee": "A cup of coffee with a spoon on a wooden table.",
    "rocket": "A rocket on its launch pad is about to lift off.",
    "stereo_motorcycle": "A motorcycle is parked in a garage.",
    "camera": "A man in a coat looks through a camera on a tripod.",
    "page": "A page of printed text from a book.",
    "clock": "The hands of a clock show the time.",
    "coins": "Old coins lie in rows.",
    "hubble_deep_field": "Galaxies and stars in the deep night sky.",
    "brick": "A wall made of bricks.",
    "gravel": "The ground is covered with small stones.",
    "retina": "The inside of an eye as a doctor sees it.",
    "moon": "Craters on the surface of the moon.",
}
"""scikit-image's picture by name, and what a person would say of it."""


@dataclass(frozen=True)
class PhotoResult:
    """A photograph: the caption it should have, the one it got, the place of the right one (1 is best)."""

    name: str
    caption: str
    answer: str
    rank: int


def load_photos() -> dict[str, RgbImage]:
    """The photographs that come inside the scikit-image wheel, as (H, W, 3) uint8.

    Raises:
        DependencyError: scikit-image is not installed.
    """
    data = require_package("skimage.data", "learn")
    out = {}
    for name in PHOTO_CAPTIONS:
        try:
            picture = getattr(data, name)()
        except (AttributeError, OSError, ValueError, ImportError):
            continue  # some versions fetch it from the network
        picture = picture[0] if isinstance(picture, tuple) else picture
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        out[name] = np.ascontiguousarray(picture[..., :3], dtype=np.uint8)
    return out


def photo_check(
    trunk: Trunk, head: ContextHead | None, encoder: Encoder, photos: dict[str, RgbImage] | None = None
) -> list[PhotoResult]:
    """Retrieve a caption for every photograph among all their captions.

    Args:
        trunk: the frozen eye.
        head: whose image voice answers; None takes the trunk's open-vocabulary part alone.
        encoder: the text tower.
        photos: pictures by name; None loads scikit-image's.
    """
    photos = load_photos() if photos is None else photos
    names = list(photos)
    captions = np.asarray(encoder.encode([PHOTO_CAPTIONS[n] for n in names]), dtype=np.float32)
    features = trunk.features(list(photos.values()))
    if head is not None:
        vectors = head.embed(features).fused
    else:
        words = next(p for p in trunk.parts if p.name == "words")
        vectors = features[:, words.slice]
    return rank_captions(names, vectors, captions, PHOTO_CAPTIONS.__getitem__)


def rank_captions(
    names: list[str], vectors: FloatArray, captions: FloatArray, text: Callable[[str], str]
) -> list[PhotoResult]:
    """Results for N pictures and their N captions in the same order; what all pictures share is taken off."""
    apart = vectors - vectors.mean(0)
    scores = apart @ (captions - captions.mean(0)).T
    out = []
    for i, name in enumerate(names):
        order = np.argsort(-scores[i], kind="stable")
        rank = int(np.flatnonzero(order == i)[0]) + 1
        out.append(PhotoResult(name, text(name), text(names[int(order[0])]), rank))
    return out
