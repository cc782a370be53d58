"""The loss of SC-CLIP: OLiVia-Nav's Long-CLIP objective plus one term per attribute of the scene.

Long captions carry the detail and are matched by the whole embedding; short captions are matched by its
principal components only (PCE), so that what matters most lies in few directions (Long-CLIP, 2403.15378;
OLiVia-Nav, 2409.13675). Text vectors are constants here: the caption space does not move.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional


def same_caption(ids: torch.Tensor) -> torch.Tensor:
    """(B, B) target distribution per row: even over all rows that carry the same caption.

    Many pictures share a caption; taking only the diagonal as right would punish right answers.
    """
    same = (ids[:, None] == ids[None, :]).float()
    return same / same.sum(1, keepdim=True)


def contrastive(
    x: torch.Tensor,
    text: torch.Tensor,
    ids: torch.Tensor,
    temperature: float,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Symmetric contrastive loss with several right answers.

    Args:
        x: (B, D) unit embeddings.
        text: (B, D) unit caption vectors.
        ids: (B,) equal for equal captions.
        temperature: divides the cosines.
        weight: (B,) of the rows, None for ones.

    Returns:
        Scalar: mean of both directions' cross-entropies.
    """
    logits = x @ text.T / temperature
    targets = same_caption(ids)
    there = -(targets * logits.log_softmax(1)).sum(1)
    back = -(targets * logits.T.log_softmax(1)).sum(1)
    both = 0.5 * (there + back)
    return both.mean() if weight is None else (weight * both).sum() / weight.sum()


def principal_basis(x: torch.Tensor, basis: torch.Tensor, rounds: int = 1) -> torch.Tensor:
    """(D, k) orthonormal directions of most variance of rows (B, D), refined from an earlier `basis`.

    Orthogonal iteration: batches resemble each other, so one round from the last basis tracks the
    eigenvectors that Long-CLIP computes afresh per step, at a small share of the price. No gradient.
    """
    with torch.no_grad():
        centred = x - x.mean(0)
        for _ in range(rounds):
            basis, _ = torch.linalg.qr(centred.T @ (centred @ basis))
        return basis


def principal_part(x: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """PCE: rows (B, D) rebuilt from their mean and the components along `basis`, unit length again."""
    mean = x.mean(0)
    return functional.normalize((x - mean) @ basis @ basis.T + mean, dim=1)


def attribute_loss(
    x: torch.Tensor,
    prompts: Mapping[str, torch.Tensor],
    labels: Mapping[str, torch.Tensor],
    temperature: float,
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over attributes of the cross-entropy of choosing the right sentence among all of an attribute.

    Scoring each attribute on its own is what makes combinations work that were never seen together.

    Args:
        x: (B, D) unit embeddings.
        prompts: attribute -> (K, D) unit sentence vectors.
        labels: attribute -> (B,) index of the right sentence, -1 where unknown.
        temperature: divides the cosines.
        weight: (B,) of the rows, None for ones.
    """
    total = x.new_zeros(())
    weight = torch.ones(len(x)) if weight is None else weight
    for name, vectors in prompts.items():
        known = labels[name] >= 0
        if bool(known.any()):
            logits = x[known] @ vectors.T / temperature
            loss = functional.cross_entropy(logits, labels[name][known], reduction="none")
            total = total + (weight[known] * loss).sum() / weight[known].sum()
    return total / max(len(prompts), 1)
