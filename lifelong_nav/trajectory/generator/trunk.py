"""The frozen part of the network on onnxruntime: features in, one query per mode out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lifelong_nav.core.errors import CheckpointError, require_package
from lifelong_nav.core.storage import read_json, sha256
from lifelong_nav.core.types import FloatArray
from lifelong_nav.trajectory.generator.features import SHAPES
from lifelong_nav.trajectory.generator.heads import MODES, QUERY

SCHEMA = "trajectories.trunk/1"
CARD, MODEL = "trunk.json", "trunk.onnx"
FIX = "Restore models/trajectories, or train again with: lifelong-nav train trajectories."


class Trunk:
    """Runs the exported trunk; use `load`. `version` names its space of queries, `space` that of captions."""

    def __init__(self, session: Any, card: dict[str, Any]) -> None:
        self._session = session
        self.card = card
        self.version, self.space = str(card["version"]), str(card["space"])

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Trunk:
        """Read card and network.

        Raises:
            CheckpointError: a file is missing, damaged, of another schema, or takes other inputs.
            DependencyError: onnxruntime is not installed.
        """
        card = read_json(folder / CARD)
        path = folder / MODEL
        if not isinstance(card, dict) or card.get("schema") != SCHEMA or "version" not in card:
            raise CheckpointError(f"{folder / CARD} is not of schema {SCHEMA}.", FIX)
        if not path.is_file() or sha256(path) != card.get("sha256"):
            raise CheckpointError(f"{path} is not the file its card describes.", FIX)
        runtime = require_package("onnxruntime", "vision")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise CheckpointError(f"{path} cannot be run ({error}).", FIX) from error
        told = {i.name: tuple(i.shape[1:]) for i in session.get_inputs()}
        if told != SHAPES:
            raise CheckpointError(f"{path} takes inputs {told}.", FIX)
        return cls(session, {"space": "", **card})

    def queries(self, batch: dict[str, FloatArray]) -> FloatArray:
        """(N, MODES, QUERY) float32 of inputs by name, each (N, ...)."""
        out: FloatArray = self._session.run(None, batch)[0]
        if out.shape[1:] != (MODES, QUERY):
            raise CheckpointError(f"The trunk answers with shape {out.shape}.", FIX)
        return np.asarray(out, dtype=np.float32)
