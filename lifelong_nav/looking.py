"""`lifelong-nav look PICTURE...`: what the robot takes a picture to show, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError, require_package
from lifelong_nav.core.types import FloatArray
from lifelong_nav.perception.context import ContextEstimator
from lifelong_nav.perception.context_files import ModelFiles, load_parts
from lifelong_nav.perception.sc_clip.image_trunk import Trunk

_SHOWN = 3


def run(pictures: Sequence[Path], captions: Path | None = None, model: Path | None = None) -> int:
    """Print scenario, captions and novelty of each picture.

    Args:
        pictures: image files.
        captions: a text file with one caption a line; the pictures are ranked against them as well.
        model: folder of the model; None for the shipped one.

    Raises:
        InputError: a picture or the captions cannot be read.
    """
    parts = load_parts(ModelFiles(model_dir=str(model or "")))
    own = _lines(captions) if captions is not None else []
    vectors = parts.text.encode(own) if own else None
    estimator = ContextEstimator(parts)
    for path in pictures:
        picture = read_picture(path)
        estimator.see(0.0, picture)
        context = estimator.estimate(0.0)
        print(f"{path}: {context.text}")
        for name, p in list(context.probabilities.items())[:_SHOWN]:
            print(f"  {100 * p:5.1f} %  {name}")
        if vectors is not None:
            _rank("  your captions, by the trained model:", vectors @ context.embedding, own)
            guess = pretrained_guess(parts.trunk, picture)
            if guess is not None:
                _rank("  your captions, by what the pretrained backbone knows:", vectors @ guess, own)
        print(f"  novelty {context.novelty:.2f}")
    return 0


def pretrained_guess(trunk: Trunk, picture: NDArray[np.uint8]) -> FloatArray | None:
    """(D,) unit vector of the open-vocabulary part alone: ImageNet's classes as sentences (ConSE).

    It knows more kinds of things than the scenes that the head was trained on. None for other trunks.
    """
    words = next((p.slice for p in trunk.parts if p.name == "words"), None)
    if words is None:
        return None
    vector = trunk.features(picture)[0, words]
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-8))


def _rank(title: str, scores: FloatArray, texts: Sequence[str]) -> None:
    print(title)
    for i in np.argsort(-scores)[:_SHOWN]:
        print(f"  {scores[i]:7.3f}  {texts[i]}")


def read_picture(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of an image file.

    Raises:
        InputError: no such file, or no picture.
    """
    cv2 = require_package("cv2", "vision")
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Name image files, e.g. PNG or JPEG.")
    picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"{path} is no picture that OpenCV reads.", "Convert it to PNG or JPEG.")
    return np.ascontiguousarray(picture[..., ::-1])


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read captions from {path} ({error}).", "Give a UTF-8 text file.") from error
    return [line for line in lines if line]
