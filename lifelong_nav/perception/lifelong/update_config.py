"""Parameters of one update of the head."""

from __future__ import annotations

from dataclasses import dataclass

from lifelong_nav.core.config import param

LAYERS = {
    "output": ("image.w2", "facts.w2"),
    "output+facts": ("image.w2", "facts.w2", "facts.w1"),
    "all": ("image.w1", "image.w2", "facts.w1", "facts.w2"),
}
"""What may learn, by name. The first matrix of the picture voice soon learns looks by heart."""


@dataclass(frozen=True)
class UpdateConfig:
    """How the head learns from new samples without losing what it knew."""

    rank: int = param(16, "", 0, 256, "Rank of the adapters; 0 trains every weight (consolidation).")
    layers: str = param("output", doc="Matrices that learn.", choices=("output", "output+facts", "all"))
    iterations: int = param(150, "", 1, 5000, "Steps of one update.")
    batch_new: int = param(12, "", 1, 4096, "New moments per step.")
    batch_replay: int = param(148, "", 0, 4096, "Remembered moments per step, scenarios equally often.")
    rate: float = param(1e-3, "", 1e-6, 1.0, "Learning rate of Adam at its peak.")
    temperature: float = param(0.05, "", 1e-3, 1.0, "Of the softmax over cosines with scenario sentences.")
    caption_weight: float = param(0.3, "", 0.0, 10.0, "Weight of matching the long captions.")
    distill_weight: float = param(6.0, "", 0.0, 100.0, "Weight of staying where remembered moments were.")
    smoothing: float = param(0.95, "", 0.0, 0.999, "Share of the running mean of weights kept per step.")
    decay: float = param(1e-3, "", 0.0, 1.0, "Weight decay of what is trained.")
    voice_drop: float = param(0.1, "", 0.0, 0.9, "Chance that a moment is learned with one voice silent.")
    dropout: float = param(0.3, "", 0.0, 0.9, "Share of hidden units silenced per step.")
    noise: float = param(0.1, "", 0.0, 2.0, "Noise on inputs, in standard deviations of the voice.")
    clip: float = param(1.0, "", 1e-3, 100.0, "Largest norm of a gradient.")
    evaluate_every: int = param(10, "", 1, 1000, "Steps between two looks at the held-out moments.")
    tolerance: float = param(0.02, "", 0.0, 1.0, "Accuracy that old scenarios may lose on average, held-out.")
    tolerance_each: float = param(
        0.10, "", 0.0, 1.0, "Accuracy that a single old scenario may lose, or two held-out moments if more."
    )
