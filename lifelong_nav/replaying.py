"""`lifelong-nav replay BAG`: a bag through the live perception nodes, faster or slower than it was."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from typing import Any

from lifelong_nav.launcher import Launcher, RecorderProcess
from lifelong_nav.stack import Options

_GLOBAL = ("/clock", "/diagnostics", "/rosout", "/parameter_events")


def run(a: argparse.Namespace, overrides: dict[str, dict[str, Any]]) -> int:
    """Bring the nodes up, play, bring them down, print what became of it; 0 when the bag was played whole."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    player = overrides.pop("bag_player", {})
    options = Options(
        profile="replay", namespace=a.namespace, use_sim_time=True, params_file=a.params_file,
        log_level=a.log_level, view=a.view, scan_topic="scan", overrides=overrides,
    )  # fmt: skip
    values: dict[str, Any] = {
        "rate": a.rate, "loop": a.loop, "start": a.start, "duration": a.duration, "topics": list(a.topics),
        "remap": list(a.remap), "wait_for": ["perception"],
        "lockstep": "/".join(filter(None, [a.namespace.strip("/"), "scan"])), **player,
    }  # fmt: skip
    from lifelong_nav.nodes.bag_player import play
    from lifelong_nav.replay.reader import open_bag

    with open_bag(a.bag) as bag:  # a bag that cannot be played starts no process
        values["remap"] = into_namespace(bag.topics, a.namespace, values["remap"])
    with Launcher(options, composed=a.composed) as launcher:
        launcher.start()
        recorder = RecorderProcess(a.record) if a.record else None

        def watch() -> bool:
            launcher.poll()
            return False

        try:
            ns = ["--ros-args", "-r", f"__ns:=/{a.namespace.strip('/')}"] if a.namespace else []
            summary = play(a.bag, values, until=watch, ros_args=ns)
        finally:
            if recorder is not None:
                recorder.stop()
    print(summary)
    return 0 if summary.complete else 1


def into_namespace(topics: Collection[str], namespace: str, remap: Sequence[str]) -> list[str]:
    """Remappings that bring a bag recorded without a namespace to nodes that live in one.

    Args:
        topics: of the bag.
        namespace: of the nodes; "" for none.
        remap: `FROM:=TO` of the user, which win.
    """
    prefix = "/" + namespace.strip("/")
    if prefix == "/" or any(name.startswith(prefix + "/") for name in topics):
        return [*remap]
    named = {"/" + rule.partition(":=")[0].lstrip("/") for rule in remap}
    moved = [name for name in topics if name not in _GLOBAL and name not in named]
    return [*remap, *(f"{name}:={prefix}{name}" for name in moved)]
