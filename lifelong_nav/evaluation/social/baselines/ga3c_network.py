"""The network of GA3C-CADRL (Everett et al., IROS 2018) in numpy: LSTM over the others, three dense layers.

Structure and normalisation are those of the graph stored beside the weights of the package
gym-collision-avoidance (MIT): observation = [number of others, distance to goal, heading, preferred speed,
radius, 7 values for each other].
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import DependencyError
from lifelong_nav.core.types import FloatArray
from lifelong_nav.evaluation.social.baselines.tf_checkpoint import read_tensors

PACKAGE = "gym_collision_avoidance"
WEIGHTS = "envs/policies/GA3C_CADRL/checkpoints/IROS18/network_01900000"
MAX_OTHERS = 19

_third, _twelfth = np.pi / 6.0, np.pi / 12.0
ACTIONS = np.array(
    [[1.0, a] for a in (-_third, -_twelfth, 0.0, _twelfth, _third)]
    + [[s, a] for s in (0.5, 0.0) for a in (-_third, 0.0, _third)]
)
"""(11, 2) what the network chooses from: share of the preferred speed, change of heading [rad]."""

_HOST_MEAN, _HOST_STD = np.array([0.0, 0.0, 1.0, 0.5]), np.array([5.0, 3.14, 1.0, 1.0])
_OTHER_MEAN = np.array([0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 1.0])
_OTHER_STD = np.array([5.0, 5.0, 1.0, 1.0, 1.0, 5.0, 1.0])


def weights_prefix() -> Path:
    """Where the installed package keeps the trained weights; the package itself is never imported.

    Raises:
        DependencyError: it is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DependencyError(
            "The Python package 'gym-collision-avoidance' with the trained weights is not installed.",
            "Install it without what it asks for, TensorFlow is not needed: "
            "pip install --no-deps gym-collision-avoidance==0.0.3.",
        )
    return Path(next(iter(spec.submodule_search_locations))) / WEIGHTS


class Ga3cNetwork:
    """Policy of GA3C-CADRL-10-LSTM.

    Raises:
        DependencyError: the package with the weights is not installed.
        CheckpointError: its files are damaged.
    """

    def __init__(self, prefix: Path | None = None) -> None:
        tensors = read_tensors(prefix or weights_prefix())
        self._lstm = _layer(tensors, "rnn/lstm_cell")
        self._dense = [_layer(tensors, n) for n in ("layer1", "layer2", "fullyconnected1")]
        self._policy = _layer(tensors, "logits_p")
        self._value = _layer(tensors, "logits_v")

    def evaluate(self, host: FloatArray, others: FloatArray) -> tuple[FloatArray, float]:
        """Preferences (11,) for `ACTIONS` (logits) and the value of the state.

        Args:
            host: (4,) distance to goal [m], heading relative to the goal's direction [rad], preferred speed
                [m/s], radius [m].
            others: (N, 7) with x towards the goal: x, y [m], vx, vy [m/s], radius, sum of radii, free
                distance [m]; the last one counts most, so the nearest stands last.
        """
        others = (others[-MAX_OTHERS:] - _OTHER_MEAN) / _OTHER_STD
        kernel, bias = self._lstm
        size = kernel.shape[1] // 4
        h, c = np.zeros(size), np.zeros(size)
        for other in others:
            i, j, f, o = np.split(np.concatenate([other, h]) @ kernel + bias, 4)
            c = _sigmoid(f + 1.0) * c + _sigmoid(i) * np.tanh(j)
            h = _sigmoid(o) * np.tanh(c)
        x = np.concatenate([(host - _HOST_MEAN) / _HOST_STD, h])
        for kernel, bias in self._dense:
            x = np.maximum(x @ kernel + bias, 0.0)
        value = x @ self._value[0] + self._value[1]
        return x @ self._policy[0] + self._policy[1], float(value[0])


def _layer(tensors: dict[str, NDArray[np.float32]], name: str) -> tuple[FloatArray, FloatArray]:
    # the names of variables were saved with the number of their output
    return tensors[f"{name}/kernel:0"].astype(float), tensors[f"{name}/bias:0"].astype(float)


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -60.0, 60.0))))
