"""`lifelong-nav replay BAG`: a bag through the live perception nodes, faster or slower than it was."""

from __future__ import annotations

import argparse
import os
from typing import Any

from lifelong_nav.launcher import Launcher, RecorderProcess
from lifelong_nav.stack import Options, nodes_for


def run(a: argparse.Namespace, overrides: dict[str, dict[str, Any]]) -> int:
    """Bring the nodes up, play, bring them down, print what became of it; 0 when the bag was played whole."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    player = overrides.pop("bag_player", {})
    options = Options(
        profile="replay", namespace=a.namespace, use_sim_time=True, params_file=a.params_file,
        log_level=a.log_level, context=not a.no_context, learning=False,
        view=a.view, scan_topic="scan", overrides=overrides,
    )  # fmt: skip
    values: dict[str, Any] = {
        "rate": a.rate, "loop": a.loop, "start": a.start, "duration": a.duration, "topics": list(a.topics),
        "remap": list(a.remap), "wait_for": ["perception"], **player,
    }  # fmt: skip
    from lifelong_nav.nodes.bag_player import play
    from lifelong_nav.nodes.neighbours import refuse_company
    from lifelong_nav.replay.reader import open_bag

    open_bag(a.bag).close()  # a bag that cannot be played starts no process
    refuse_company([spec.name for spec in nodes_for(options)], a.namespace)
    with Launcher(options, composed=a.composed) as launcher:
        launcher.start()
        recorder = RecorderProcess(a.record) if a.record else None

        def watch() -> bool:
            launcher.poll()
            return False

        try:
            ns = ["--ros-args", "-r", f"__ns:=/{a.namespace.strip('/')}"] if a.namespace else []
            for old, new in nodes_for(options)[0].remappings:  # /tf goes where the nodes hear it
                ns += ["-r", f"{old}:={new}"]
            summary = play(a.bag, values, until=watch, ros_args=ns)
        finally:
            if recorder is not None:
                recorder.stop()
    print(summary)
    return 0 if summary.complete else 1
