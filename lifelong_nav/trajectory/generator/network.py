"""The trajectory prediction network while driving: a situation becomes up to six stamped trajectories.

    network = TrajectoryNetwork.load(models / "trajectories")
    candidates = network.propose(situation)     # [] with a reason in network.note when anything is wrong

After TPN of OLiVia-Nav (2409.13675): learned queries pass through cross-attention to context, lidar and
goal, here also to the tracked people, into one GRU head per mode. The queries come from a frozen trunk
(onnxruntime), the heads (numpy) may be exchanged while driving, which is what online learning does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import LifelongNavError
from lifelong_nav.core.geometry import rotation2, wrap
from lifelong_nav.core.types import FloatArray, Trajectory
from lifelong_nav.trajectory.generator.features import Features, features, lidar_features
from lifelong_nav.trajectory.generator.heads import MODES, Heads, motions
from lifelong_nav.trajectory.generator.trunk import Trunk
from lifelong_nav.trajectory.situation import LEARNED, TIMES, Candidate, Situation

TRUNK, HEADS, WITHOUT, SELECTION = "trunk", "heads", "heads_without", "selection"
"""Folders below models/trajectories."""


@dataclass(frozen=True)
class NetworkConfig:
    """Parameters of `TrajectoryNetwork`."""

    context: bool = param(True, doc="Hear the social context (off: as if unknown).")
    lidar: bool = param(True, doc="See the scan (off: free and unseen).")
    people: bool = param(True, doc="See the tracked people (off: nobody).")
    least_chance: float = param(0.02, "", 0.0, 0.5, "Modes less probable than this are not proposed.")
    apart: float = param(0.15, "m", 0.0, 2.0, "Modes nearer to a more probable one (mean) are not proposed.")


class TrajectoryNetwork:
    """Trunk and heads; use `load`. `note` says why the last call proposed nothing, empty when all is well."""

    def __init__(self, trunk: Trunk | None, heads: Heads | None, config: NetworkConfig | None = None) -> None:
        self.config = config or NetworkConfig()
        self.trunk, self.heads = trunk, heads
        self.note = ""
        self.chances: FloatArray = np.zeros(0)
        """Probabilities of the candidates proposed last."""

    @classmethod
    def load(
        cls, folder: Path, heads: Path | None = None, config: NetworkConfig | None = None
    ) -> TrajectoryNetwork:
        """Load what can be loaded; never raises: a network without weights proposes nothing and says why.

        Args:
            folder: models/trajectories.
            heads: folder of the heads to use instead of the shipped ones (a promoted generation); where
                they do not load, the shipped ones are used.
            config: parameters.
        """
        network = cls(None, None, config)
        try:
            network.trunk = Trunk.load(folder / TRUNK)
            version = network.trunk.version
            try:
                network.heads = Heads.load(heads or folder / HEADS, version)
            except LifelongNavError as error:
                if heads is None:
                    raise
                network.heads = Heads.load(folder / HEADS, version)
                network.note = f"The shipped heads are in use instead of those of {heads}: {error}"
        except (LifelongNavError, OSError, KeyError, ValueError) as error:
            network.note = f"The trajectory network is not in use: {error}"
        return network

    @property
    def ready(self) -> bool:
        """Are there weights?"""
        return self.trunk is not None and self.heads is not None

    def seen(self, situation: Situation) -> Features:
        """What the network is shown of a situation: `features` less what is switched off."""
        found = features(situation, self.trunk.space if self.trunk is not None else None)
        c = self.config
        if not c.context:
            found = replace(found, context=np.zeros_like(found.context), known=np.zeros_like(found.known))
        if not c.lidar:
            found = replace(found, lidar=lidar_features(None, situation.pose, situation.pose))
        if not c.people:
            found = replace(found, people=np.zeros_like(found.people), mask=np.zeros_like(found.mask))
        return found

    def propose(self, situation: Situation) -> list[Candidate]:
        """Candidates on `TIMES` in the situation's frame, likeliest first; none when anything is wrong."""
        self.chances = np.zeros(0)
        if self.trunk is None or self.heads is None:
            return []
        try:
            poses, twists, chances = self.run(self.seen(situation), situation)
        except Exception as error:  # a learned voice may fall silent, it may not stop the robot
            self.note = f"The trajectory network failed: {type(error).__name__}: {error}"
            return []
        if not (np.isfinite(poses).all() and np.isfinite(twists).all() and np.isfinite(chances).all()):
            self.note = "The trajectory network said something that is not finite."
            return []
        self.note = ""
        kept = distinct(poses, chances, self.config.least_chance, self.config.apart)
        self.chances = chances[kept]
        placed = in_frame(poses[kept], situation)
        return [
            Candidate(
                f"learned {k + 1}", LEARNED,
                Trajectory(situation.stamp, situation.frame_id, TIMES, placed[i], twists[k]),
            )
            for i, k in enumerate(kept)
        ]  # fmt: skip

    def run(self, shown: Features, situation: Situation) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Poses (K, 30, 3) in the robot's frame, twists (K, 30, 2), chances (K,) of all modes."""
        assert self.trunk is not None
        assert self.heads is not None
        query = self.trunk.queries(shown.batch())[0]
        twist = situation.twist
        return motions(self.heads.params, query, twist.vx, twist.wz, situation.speed)


def heads_for(folder: Path, scene: str) -> Path | None:
    """Heads below models/trajectories that never saw the recording `scene`, None for the shipped ones."""
    found = folder / WITHOUT / scene
    return found if scene and found.is_dir() else None


def distinct(poses: FloatArray, chances: FloatArray, least: float, apart: float) -> list[int]:
    """Modes worth proposing, most probable first: likely enough, and not a near-copy of a likelier one."""
    kept: list[int] = []
    for k in np.argsort(-chances, kind="stable")[:MODES]:
        if kept and chances[k] < least:
            break
        gaps = [np.hypot(*(poses[k, :, :2] - poses[j, :, :2]).T).mean() for j in kept]
        if all(gap >= apart for gap in gaps):
            kept.append(int(k))
    return kept


def in_frame(poses: FloatArray, situation: Situation) -> FloatArray:
    """Poses (..., 3) of the robot's frame in the situation's frame."""
    pose = situation.pose
    xy = poses[..., :2] @ rotation2(pose.yaw).T + pose.xy
    return np.concatenate([xy, wrap(poses[..., 2:] + pose.yaw)], axis=-1)
