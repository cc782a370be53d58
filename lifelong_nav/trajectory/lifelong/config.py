"""Parameters of learning from demonstrations."""

from __future__ import annotations

from dataclasses import dataclass, field

from lifelong_nav.core.config import param


@dataclass(frozen=True)
class RecorderConfig:
    """What counts as a demonstration."""

    period: float = param(0.2, "s", 0.05, 1.0, "Time between the poses that are kept.")
    stride: float = param(0.6, "s", 0.1, 10.0, "Time between two moments that are learned from.")
    max_gap: float = param(0.6, "s", 0.1, 5.0, "A longer silence ends a demonstration.")
    max_speed: float = param(1.8, "m/s", 0.1, 5.0, "Faster is no demonstration.")
    max_yaw_rate: float = param(2.5, "rad/s", 0.1, 10.0, "Turning faster is no demonstration.")
    jump: float = param(0.25, "m", 0.02, 2.0, "Pose and speed may disagree by so much between two poses.")
    contact: float = param(0.0, "m", -0.3, 0.5, "A free gap to a person below this is a contact.")
    least_way: float = param(0.4, "m", 0.0, 5.0, "The robot must move at least so far within the horizon.")
    least_future: float = param(3.6, "s", 0.6, 6.0, "So much of what came after must be known.")
    hindsight: float = param(
        10.0, "s", 6.0, 60.0, "Where it is after so long is the goal, when none is known."
    )
    simplify: float = param(
        0.8, "m", 0.0, 3.0, "Bends smaller than this are the way people expect, not the way to the goal."
    )
    episode: float = param(20.0, "s", 5.0, 600.0, "Longer demonstrations count as several.")
    speed: float = param(0.8, "m/s", 0.05, 3.0, "Speed to travel at, when none is known.")


@dataclass(frozen=True)
class UpdateConfig:
    """How the heads learn from demonstrations without losing what they knew."""

    iterations: int = param(240, "", 1, 5000, "Steps of one update.")
    batch_new: int = param(32, "", 1, 4096, "Demonstrated moments per step.")
    batch_replay: int = param(64, "", 0, 4096, "Remembered moments per step.")
    rate: float = param(1e-3, "", 1e-6, 1.0, "Peak learning rate of Adam.")
    chance_weight: float = param(0.3, "", 0.0, 10.0, "Weight of naming the best mode.")
    distill: float = param(1.0, "", 0.0, 100.0, "Weight of staying where remembered moments were.")
    noise: float = param(0.05, "", 0.0, 1.0, "Noise on queries, in their standard deviations.")
    smoothing: float = param(0.95, "", 0.0, 0.999, "Share of the running mean of weights kept per step.")
    clip: float = param(1.0, "", 1e-3, 100.0, "Largest norm of a gradient.")
    evaluate_every: int = param(40, "", 1, 1000, "Steps between two looks at the held-out moments.")


@dataclass(frozen=True)
class GuardConfig:
    """What is asked of candidate heads."""

    min_gain: float = param(0.05, "", 0.0, 1.0, "Share by which demonstrations, held out, must come nearer.")
    tolerance: float = param(0.03, "", 0.0, 1.0, "Share by which older moments may come farther away.")
    contact: float = param(0.01, "", 0.0, 1.0, "Share of moments by which contacts may grow.")
    max_change: float = param(1.5, "", 0.0, 10.0, "Largest change of a weight, relative to its own norm.")
    strange: float = param(0.3, "", 0.0, 1.0, "Share of demonstrated moments that may be like no known mode.")
    quantile: float = param(
        0.99, "", 0.5, 1.0, "Known moments nearer to their best mode than this are usual."
    )
    keep: int = param(8, "", 2, 1000, "Generations kept on disk.")


@dataclass(frozen=True)
class LearnerConfig:
    """When the learner learns, and how much it keeps."""

    min_moments: int = param(48, "", 8, 100_000, "New moments before it learns.")
    min_held: int = param(12, "", 2, 10_000, "Held-out demonstrated moments before it learns.")
    settle: float = param(5.0, "s", 0.0, 3600.0, "Quiet since the last moment before learning starts.")
    more: float = param(1.5, "", 1.0, 10.0, "After a refusal, growth of the store before the next try.")
    budget: int = param(6000, "", 100, 1_000_000, "Demonstrated moments kept on disk, about 1.6 KB each.")
    save_every: float = param(10.0, "s", 0.0, 3600.0, "Between two writes of what was shown.")


@dataclass(frozen=True)
class Configs:
    """All parameters of the learner."""

    recorder: RecorderConfig = field(default_factory=RecorderConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    guard: GuardConfig = field(default_factory=GuardConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
