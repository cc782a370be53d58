"""What the stack consists of: one description for launch files, the pip-only launcher and tests.

No ROS import here. `nodes_for` says which nodes run in a profile, with which parameters; the launch
files turn that into launch actions, `lifelong_nav.launcher` into processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.core.share import share_folder

PROFILES = ("robot", "sim", "replay")
DIE_WITH_PARENT = "LIFELONG_NAV_DIE_WITH_PARENT"
"""Environment variable: a node program ends when who started it is gone."""


@dataclass(frozen=True)
class NodeSpec:
    """One node: `target` is module:Class, `executable` what `ros2 run lifelong_nav` calls it."""

    name: str
    target: str
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    managed: bool = True

    @property
    def executable(self) -> str:
        """Name of the installed program."""
        return f"lifelong_nav_{self.name}"


def _node(name: str, cls: str, managed: bool = True) -> NodeSpec:
    return NodeSpec(name, f"lifelong_nav.nodes.{name}:{cls}", managed=managed)


ALL_NODES: dict[str, NodeSpec] = {
    spec.name: spec
    for spec in (
        _node("sim", "SimNode"),
        _node("localization", "LocalizationNode"),
        _node("perception", "PerceptionNode"),
        _node("context", "ContextNode"),
        _node("gate", "GateNode"),
        _node("controller", "ControllerNode"),
        _node("trajectory", "TrajectoryNode"),
        _node("planner", "PlannerNode"),
        _node("context_learner", "ContextLearnerNode"),
        _node("trajectory_learner", "TrajectoryLearnerNode"),
        _node("view", "ViewNode"),
        _node("bag_player", "BagPlayer", managed=False),
        _node("bag_recorder", "BagRecorder", managed=False),
        _node("supervisor", "Supervisor", managed=False),
    )
}
"""Every node, in order of bring-up: what others need comes first."""


@dataclass(frozen=True)
class Options:
    """How to run a profile. Same words as the launch arguments."""

    profile: str = "robot"
    namespace: str = ""
    use_sim_time: bool = False
    params_file: str = ""
    log_level: str = "info"
    autostart: bool = True
    respawn: bool = True
    map: str = ""
    localization: bool = True
    context: bool = True
    trajectories: bool = True
    learning: bool = True
    teacher: str = ""
    view: bool = False
    scan_topic: str = "scan"
    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Node name -> parameters that win over the files."""


def default_params_file() -> Path:
    """The parameter file used when none is named."""
    return share_folder("config") / "lifelong_nav.yaml"


def nodes_for(options: Options) -> list[NodeSpec]:
    """The nodes of a profile with their final parameters; those nobody supervises come last.

    Raises:
        ConfigError: unknown profile, or overrides for a node that does not run.
    """
    if options.profile not in PROFILES:
        raise ConfigError(f"Unknown profile '{options.profile}'.", f"Choose from {', '.join(PROFILES)}.")
    names = {
        "robot": ["perception", "gate", "controller", "planner"],
        "sim": ["sim", "perception", "gate", "controller", "planner"],
        "replay": ["perception"],
    }[options.profile]
    if options.context:
        names.insert(names.index("perception") + 1, "context")
    if options.trajectories and options.profile != "replay":
        names.insert(names.index("planner"), "trajectory")
    if options.learning and options.profile != "replay":
        names += ["context_learner"] * options.context + ["trajectory_learner"] * options.trajectories
    if options.localization and options.profile != "replay":
        names.insert(names.index("perception"), "localization")
    if options.view:
        names.append("view")
    alone = ["supervisor"]
    if options.profile == "replay" and "bag_player" in options.overrides:
        alone.append("bag_player")
    unknown = set(options.overrides) - set(names) - set(alone)
    if unknown:
        raise ConfigError(
            f"Parameters were given for nodes that do not run: {', '.join(sorted(unknown))}.",
            f"This profile runs {', '.join(names)}.",
        )
    extra: dict[str, dict[str, Any]] = {name: {} for name in [*names, *alone]}
    if options.map and "localization" in extra:
        extra["localization"]["map_file"] = options.map
    if options.teacher and "context_learner" in extra:
        extra["context_learner"]["teacher"] = options.teacher
    extra["supervisor"] = {"nodes": names, "autostart": options.autostart}
    specs = []
    for name in [*names, *alone]:
        parameters = {
            "use_sim_time": options.use_sim_time, **extra[name], **options.overrides.get(name, {})
        }  # fmt: skip
        specs.append(replace(ALL_NODES[name], parameters=parameters, remappings=_remappings(options)))
    return specs


def ros_arguments(spec: NodeSpec, options: Options, overrides_file: Path | None) -> list[str]:
    """Command-line arguments that give one node its name, namespace, remappings and parameters.

    Args:
        spec: the node.
        options: namespace, log level, parameter file.
        overrides_file: YAML that holds `spec.parameters` (see `overrides_document`), read last.
    """
    out = ["--ros-args", "-r", f"__node:={spec.name}"]
    if options.namespace:
        out += ["-r", f"__ns:=/{options.namespace.strip('/')}"]
    for old, new in spec.remappings:
        out += ["-r", f"{old}:={new}"]
    out += ["--params-file", options.params_file or str(default_params_file())]
    if overrides_file is not None:
        out += ["--params-file", str(overrides_file)]
    return [*out, "--log-level", options.log_level]


def overrides_document(spec: NodeSpec, options: Options) -> dict[str, Any]:
    """`spec.parameters` as a ROS parameter document keyed by the full node name, which beats wildcards."""
    full_name = "/".join(["", *filter(None, [options.namespace.strip("/")]), spec.name])
    return {full_name: {"ros__parameters": dict(spec.parameters)}}


def _remappings(options: Options) -> tuple[tuple[str, str], ...]:
    out: list[tuple[str, str]] = []
    if options.namespace:
        out += [("/tf", "tf"), ("/tf_static", "tf_static")]  # one tree per robot, as Nav2 does
    if options.scan_topic != "scan":
        out.append(("scan", options.scan_topic))
    return tuple(out)
