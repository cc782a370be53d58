"""What the encoders cost: eager torch against the shipped onnxruntime path, and a whole context tick.

A part of `bench perception`. CPU milliseconds on one thread, taken frame by frame, in one run side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.evaluation.bench import Target
from lifelong_nav.perception.context import ContextEstimator
from lifelong_nav.perception.context_files import ModelFiles, load_parts

EAGER, SHIPPED = "eager torch", "shipped (onnxruntime)"
_WARM_UP = 5


@dataclass(frozen=True)
class Costs:
    """CPU ms by step and way, one number per frame; resident memory [MB] that the shipped path adds."""

    image: dict[str, list[float]]
    text: dict[str, list[float]]
    tick: list[float]
    memory: float


def measure(pictures: Sequence[NDArray[np.uint8]], clauses: Sequence[Sequence[str]], frames: int) -> Costs:
    """Time both ways on the same pictures and sentences.

    Args:
        pictures: (H, W, 3) RGB, used in turn.
        clauses: three sentences of facts each, used in turn.
        frames: how many of each to time.
    """
    parts = load_parts(ModelFiles(), learned=False)
    estimator = ContextEstimator(parts)
    with get_context("spawn").Pool(1) as fresh:
        memory = fresh.apply(added_memory, (pictures[0],))
    sentences = sorted({s for three in clauses for s in three})[:frames]
    image = {SHIPPED: _timed(lambda i: parts.trunk.features(pictures[i % len(pictures)]), frames)}
    text = {
        SHIPPED: _timed(lambda i: parts.text.encode([sentences[i % len(sentences)] + " "]), len(sentences))
    }
    tick = _timed(lambda i: _tick(estimator, i, pictures, clauses), frames)
    eager = _eager(pictures, sentences, frames)
    if eager is not None:
        image[EAGER], text[EAGER] = eager
    return Costs(image, text, tick, memory)


def added_memory(picture: NDArray[np.uint8]) -> float:
    """Resident memory [MB] that loading and running the shipped path adds to a fresh process."""
    before = psutil.Process().memory_info().rss
    ContextEstimator(load_parts(ModelFiles(), learned=False)).see(0.0, picture)
    return float((psutil.Process().memory_info().rss - before) / 1e6)


def _tick(
    estimator: ContextEstimator,
    i: int,
    pictures: Sequence[NDArray[np.uint8]],
    clauses: Sequence[Sequence[str]],
) -> None:
    stamp = 0.1 * i
    estimator.see(stamp, pictures[i % len(pictures)])
    estimator.sense(stamp, clauses[(i // 5) % len(clauses)])  # facts change a few times a second
    estimator.estimate(stamp)


def _eager(
    pictures: Sequence[NDArray[np.uint8]], sentences: Sequence[str], frames: int
) -> tuple[list[float], list[float]] | None:
    """The same model as open_clip builds it; None where torch is not installed."""
    try:
        from lifelong_nav.perception.sc_clip.open_clip_bundle import load_sc_clip

        model, transform = load_sc_clip()
    except LifelongNavError:
        return None
    import torch
    from PIL import Image

    from lifelong_nav.perception.sc_clip.open_clip_models import register

    tokenizer = register().get_tokenizer("sc-clip-lite0")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def see(i: int) -> Any:
        with torch.inference_mode():
            return model.encode_image(transform(Image.fromarray(pictures[i % len(pictures)]))[None])

    def read(i: int) -> Any:
        with torch.inference_mode():
            return model.encode_text(tokenizer([sentences[i % len(sentences)]]))

    try:
        return _timed(see, frames), _timed(read, min(frames, len(sentences)))
    finally:
        torch.set_num_threads(threads)


def _timed(work: Callable[[int], Any], frames: int) -> list[float]:
    for i in range(_WARM_UP):
        work(i)
    out = []
    for i in range(frames):
        started = time.process_time()
        work(i)
        out.append(1e3 * (time.process_time() - started))
    return out


def table(costs: Costs) -> tuple[str, Sequence[str], Sequence[Sequence[Any]]]:
    """Printable rows."""
    rows = [[f"image encoder, {way}", *percentiles(ms)] for way, ms in costs.image.items()]
    rows += [[f"text encoder, a sentence, {way}", *percentiles(ms)] for way, ms in costs.text.items()]
    rows += [["context tick: picture, facts, head, captions, novelty", *percentiles(costs.tick)]]
    rows += [["memory that the shipped path adds [MB]", costs.memory, ""]]
    return "Cost, CPU ms on one thread", ("what", "p50", "p99"), rows


def targets(costs: Costs) -> list[Target]:
    """Figures with goals."""
    p50 = {way: percentiles(ms)[0] for way, ms in costs.image.items()}
    out = [Target("image encoder, CPU ms p50", p50[SHIPPED], 5.0, "<=", p50)]
    if EAGER in p50:
        out.append(Target("image encoder: times faster than eager", p50[EAGER] / p50[SHIPPED], 3.0, ">="))
    return out


def percentiles(ms: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    return float(np.percentile(ms, 50)), float(np.percentile(ms, 99))
