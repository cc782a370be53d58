"""How strange a moment is: distance to known scenarios in a whitened space of what the robot perceives.

A moment is three blocks side by side, each reduced to its principal components: frozen picture features,
embedded facts, and the embedding a head makes of both. The last tells what matters socially, the first two
what the head was never taught to look at; together they beat each alone. Two distances, both Euclidean after
whitening with the pooled within-scenario covariance, shrunk after Ledoit and Wolf (2004): to the nearest
scenario's mean (Mahalanobis, 1807.03888) and to the k-th nearest known moment (deep kNN, 2204.06507). A model
belongs to the head whose embeddings it was fitted on: both are stored as one generation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import InputError
from lifelong_nav.core.types import FloatArray

Embed = Callable[[FloatArray | None, FloatArray | None], FloatArray]
"""Voices (N, F) and (N, 3 D), one of which may be None, to embeddings (N, D)."""
VIEWS = ("both", "image", "facts")
"""Which voices a distance rests on; each has its own yardstick, for when the other is silent."""


@dataclass(frozen=True)
class View:
    """One yardstick. Rows (W,) are centred by `mean` (W,) and mapped by `map` (W, Q).

    `means` (S, Q) of the scenarios, `bank` (M, Q) known moments with their scenario numbers `bank_labels`;
    `units` (2,) typical Mahalanobis and kNN distance of known moments.
    """

    mean: FloatArray
    map: FloatArray
    means: FloatArray
    bank: FloatArray
    bank_labels: NDArray[np.int64]
    units: FloatArray

    def points(self, rows: FloatArray) -> FloatArray:
        """(N, Q) whitened."""
        out: FloatArray = (rows - self.mean) @ self.map
        return out

    def distances(self, points: FloatArray, k: int, skip_self: bool = False) -> tuple[FloatArray, FloatArray]:
        """(N, S) distances to the scenarios' means and (N,) to the k-th nearest known moment."""
        to_means = np.sqrt(np.maximum(squared(points, self.means), 0.0))
        k = min(k + int(skip_self), len(self.bank))
        near = np.partition(squared(points, self.bank), k - 1, axis=1)[:, k - 1]
        return to_means, np.sqrt(np.maximum(near, 0.0))


@dataclass(frozen=True)
class NoveltyModel:
    """Yardsticks for both voices and each alone; `scenarios` names the rows of the means."""

    scenarios: tuple[str, ...]
    views: Mapping[str, View]
    k: int
    knn_share: float

    def view_of(self, image: FloatArray | None, facts: FloatArray | None) -> str:
        """The view that the voices at hand allow, "" when neither speaks or has a yardstick."""
        name = "both" if image is not None and facts is not None else "image" if image is not None else ""
        name = name or ("facts" if facts is not None else "")
        return name if name in self.views else ""

    def strangeness(
        self, image: FloatArray | None, facts: FloatArray | None, embedding: FloatArray
    ) -> tuple[FloatArray, NDArray[np.int64], FloatArray]:
        """Score N moments with one view.

        Args:
            image: (N, F) frozen features, or None.
            facts: (N, 3 D) embedded clauses, or None.
            embedding: (N, D) what the head makes of the voices at hand.

        Returns:
            (N,) strangeness (about 1 for known moments), (N,) number of the nearest scenario, (N, Q) points.

        Raises:
            InputError: no voice, or none that has a yardstick.
        """
        name = self.view_of(image, facts)
        if not name:
            raise InputError("No voice to judge novelty by.", "Say 'unknown' instead.")
        view = self.views[name]
        points = view.points(stack(image, facts, embedding))
        to_means, knn = view.distances(points, self.k)
        return self._mix(view, to_means, knn), to_means.argmin(axis=1), points

    def _mix(self, view: View, to_means: FloatArray, knn: FloatArray) -> FloatArray:
        share = self.knn_share
        out: FloatArray = (1.0 - share) * to_means.min(axis=1) / view.units[0] + share * knn / view.units[1]
        return out


def fit_model(
    image: FloatArray | None,
    facts: FloatArray | None,
    embed: Embed,
    scenario: NDArray[np.str_],
    dims: tuple[int, int, int] = (96, 96, 48),
    emphasis: tuple[float, float, float] = (1.0, 1.0, 1.0),
    k: int = 5,
    knn_share: float = 0.25,
    bank: int = 3000,
    seed: int = 0,
) -> NoveltyModel:
    """Fit all views that the voices allow.

    Args:
        image: (N, F) features of known moments, rows with NaN are left out of views that need them.
        facts: (N, 3 D), likewise.
        embed: the head: voices (either may be None) to embeddings (N, D).
        scenario: (N,) names.
        dims: principal components kept of image, facts and embedding.
        emphasis: typical length of each block against the others.
        k: neighbour whose distance counts.
        knn_share: weight of the kNN distance against the Mahalanobis distance, 0 to 1.
        bank: known moments kept for kNN, scenarios equally.
        seed: of their choice.
    """
    names = tuple(str(s) for s in np.unique(scenario))
    labels = np.searchsorted(np.array(names), scenario)
    views = {}
    voices = {"image": image, "facts": facts}
    for view in VIEWS:
        wanted = [n for n in voices if view in ("both", n)]
        if any(voices[n] is None for n in wanted):
            continue
        rows = [np.asarray(voices[n], dtype=np.float32) for n in wanted]
        whole = np.isfinite(np.concatenate(rows, axis=1)).all(axis=1)
        if whole.sum() < 2 * len(names) + 4:
            continue
        blocks = {n: r[whole] for n, r in zip(wanted, rows, strict=True)}
        seen = embed(blocks.get("image"), blocks.get("facts"))
        parts = [*blocks.values(), seen]
        chosen = [i for i, n in enumerate(("image", "facts", "")) if n in (*wanted, "")]
        shape = [(dims[i], emphasis[i]) for i in chosen]
        views[view] = _fit_view(parts, labels[whole], len(names), shape, k, bank, seed)
    if not views:
        raise InputError("Too few known moments for a novelty model.", "Collect more of each scenario.")
    return NoveltyModel(names, views, k, knn_share)


def stack(image: FloatArray | None, facts: FloatArray | None, embedding: FloatArray) -> FloatArray:
    """(N, W) the blocks at hand side by side, float32."""
    blocks = (image, facts, embedding)
    voices = [np.atleast_2d(np.asarray(v, dtype=np.float32)) for v in blocks if v is not None]
    return np.concatenate(voices, axis=1)


def ledoit_wolf(rows: FloatArray) -> tuple[FloatArray, float]:
    """Covariance (Q, Q) of centred rows (N, Q), shrunk to a multiple of the identity, and by how much.

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", eq. 14.
    """
    n, q = rows.shape
    empirical = rows.T @ rows / n
    mu = np.trace(empirical) / q
    squares = rows * rows
    spread = float((empirical * empirical).sum() - q * mu * mu) / q
    noise = float((squares.T @ squares).sum() / n - (empirical * empirical).sum()) / (n * q)
    shrink = float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0.0 else 1.0
    return (1.0 - shrink) * empirical + shrink * mu * np.eye(q), shrink


def principal(rows: FloatArray, count: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """First principal directions (W, count) of centred rows (N, W) and the variances along them.

    Randomised subspace iteration (Halko et al. 0909.4061): thousands of columns in a fraction of a second.
    """
    n, width = rows.shape
    extra = min(count + 16, n, width)
    basis = np.random.default_rng(seed).normal(size=(width, extra)).astype(np.float32)
    for _ in range(4):
        basis, _ = np.linalg.qr(rows.T @ (rows @ basis))
    small = rows @ basis
    values, vectors = np.linalg.eigh(small.T @ small / n)
    best = values.argsort()[::-1][:count]
    return basis @ vectors[:, best], values[best]


def squared(a: FloatArray, b: FloatArray) -> FloatArray:
    """(N, M) squared Euclidean distances."""
    out: FloatArray = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2.0 * (a @ b.T)
    return out


def _fit_view(
    parts: list[FloatArray], labels: NDArray[np.int64], classes: int, shape: list[tuple[int, float]], k: int,
    bank: int, seed: int,
) -> View:  # fmt: skip
    rows, widths = np.concatenate(parts, axis=1), [p.shape[1] for p in parts]
    mean = rows.mean(axis=0)
    centred = (rows - mean).astype(np.float32)
    blocks, start = [], 0
    for width, (size, emphasis) in zip(widths, shape, strict=True):
        part = centred[:, start : start + width]
        basis, variances = principal(part, min(size, len(part) - 1, width), seed)
        # blocks of comparable length: shrinkage is towards equal variances
        blocks.append(emphasis * basis / np.sqrt(max(float(variances.sum()), 1e-12)))
        start += width
    reduce = np.zeros((sum(widths), sum(b.shape[1] for b in blocks)), dtype=np.float32)
    row = column = 0
    for block in blocks:
        reduce[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    points = centred @ reduce
    present = np.unique(labels)
    means = np.full((classes, points.shape[1]), np.inf)
    for c in present:
        means[c] = points[labels == c].mean(axis=0)
    covariance, _ = ledoit_wolf(points - means[labels])
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors / np.sqrt(np.maximum(values, 1e-9))
    points = points @ whiten
    centres = np.where(np.isfinite(means[:, :1]), np.nan_to_num(means, posinf=0.0) @ whiten, 1e6)
    chosen = _equally(labels, bank, seed)
    view = View(
        mean.astype(np.float32), (reduce @ whiten).astype(np.float32), centres.astype(np.float32),
        points[chosen].astype(np.float32), labels[chosen].astype(np.int64), np.ones(2),
    )  # fmt: skip
    to_means, knn = view.distances(points[chosen].astype(np.float32), k, skip_self=True)
    units = np.array([np.median(to_means.min(axis=1)), np.median(knn)])
    return View(view.mean, view.map, view.means, view.bank, view.bank_labels, np.maximum(units, 1e-6))


def _equally(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.intp]:
    """Up to `count` rows, every class with the same number where it has that many."""
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = max(count // len(classes), 1)
    rows = [rng.permutation(np.flatnonzero(labels == c))[:each] for c in classes]
    return np.sort(np.concatenate(rows))


def model_tensors(model: NoveltyModel) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors and facts of a model, for a checkpoint; the large ones at half precision."""
    tensors = {
        f"{name}.{f}": _stored(f, getattr(view, f))
        for name, view in model.views.items()
        for f in View.__dataclass_fields__
    }
    return tensors, {"scenarios": list(model.scenarios), "k": model.k, "knn_share": model.knn_share}


def model_from_tensors(tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> NoveltyModel:
    """What `model_tensors` took apart; KeyError or TypeError where it is incomplete."""
    names = {key.split(".")[0] for key in tensors if "." in key} & set(VIEWS)
    views = {n: View(*(_used(tensors[f"{n}.{f}"]) for f in View.__dataclass_fields__)) for n in names}
    return NoveltyModel(tuple(facts["scenarios"]), views, int(facts["k"]), float(facts["knn_share"]))


def _stored(name: str, values: Any) -> Any:
    return values.astype(np.float16) if name in ("map", "bank") else values


def _used(values: Any) -> Any:
    return values.astype(np.float32) if values.dtype == np.float16 else values
