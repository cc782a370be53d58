"""Making torchvision importable where its compiled operators do not match a CPU-only torch."""

from __future__ import annotations

import sys
from typing import Any

_keep_alive: list[Any] = []


def ensure_torchvision() -> str:
    """Import torchvision; call before importing timm or open_clip. Returns "native" or "shimmed".

    PyPI's torchvision is built for CUDA and fails beside a CPU torch with "operator torchvision::nms does
    not exist". Declaring the two operators by name lets all that is pure Python work (transforms, models);
    only nms itself stays unavailable. On a matching installation nothing is touched.

    Raises:
        ImportError: torch or torchvision is not installed.
        RuntimeError: torchvision fails for another reason.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return "shimmed" if _keep_alive else "native"
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep_alive.append(library)
    for name in [k for k in sys.modules if k.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    import torchvision  # noqa: F401

    return "shimmed"
