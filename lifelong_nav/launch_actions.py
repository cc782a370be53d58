"""What the launch files share: described arguments, and launch actions from the stack description.

Imported by the files in launch/ only, under a ROS installation: `launch` has no wheel.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml
from launch.actions import DeclareLaunchArgument, RegisterEventHandler
from launch.event_handlers import OnShutdown
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext
from lifelong_nav import stack
from lifelong_nav.core.errors import ConfigError

ARGUMENTS = {
    "namespace": ("", "ROS namespace of every node; topics are relative to it."),
    "use_sim_time": ("false", "Take time from /clock instead of the system clock."),
    "params_file": ("", "ROS parameter YAML; empty: the package's config/lifelong_nav.yaml."),
    "log_level": ("info", "debug, info, warn, error or fatal, for every node."),
    "autostart": ("true", "Bring the nodes up at once; else call <namespace>/supervisor/startup."),
    "respawn": ("true", "Start a node's process again when it ends."),
    "map": ("", "map_server YAML of the building; empty: none (a `map` topic is still used)."),
    "localization": ("true", "Run our localization; false: map -> odom comes from elsewhere (AMCL, SLAM)."),
    "context": ("true", "Say what is going on socially (needs onnxruntime)."),
    "trajectories": ("true", "Choose among candidate trajectories; false: the controller follows the route."),
    "learning": ("true", "Learn new scenarios and ways of driving meanwhile, in processes of their own."),
    "teacher": ("", "Whom the learner asks: none, endpoint, file; empty: the parameter file's choice."),
    "view": ("false", "Run the live view (needs rerun-sdk) at http://localhost:9090."),
    "scan_topic": ("scan", "Where the lidar publishes."),
}


def declare(**changed: str) -> list[DeclareLaunchArgument]:
    """Launch arguments, with other defaults where `changed` names them."""
    return [
        DeclareLaunchArgument(name, default_value=changed.get(name, default), description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]


def read(
    context: LaunchContext, profile: str, overrides: dict[str, dict[str, Any]] | None = None
) -> stack.Options:
    """The arguments as stack options."""
    text = {name: context.launch_configurations[name] for name in ARGUMENTS}
    flag = {n: text[n].lower() in ("true", "1", "yes", "on") for n in text}
    return stack.Options(
        profile=profile, namespace=text["namespace"], use_sim_time=flag["use_sim_time"],
        params_file=text["params_file"], log_level=text["log_level"], autostart=flag["autostart"],
        respawn=flag["respawn"], map=text["map"], localization=flag["localization"],
        context=flag["context"], trajectories=flag["trajectories"], learning=flag["learning"],
        teacher=text["teacher"], view=flag["view"], scan_topic=text["scan_topic"], overrides=overrides or {},
    )  # fmt: skip


def number(context: LaunchContext, name: str, kind: type = float) -> Any:
    """A launch argument as int or float.

    Raises:
        ConfigError: it is no such number.
    """
    text = context.launch_configurations[name]
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}:={text} is not {what}.", f"Example: {name}:=2") from None


def actions(options: stack.Options) -> list[Any]:
    """A launch action per node of the profile, and one that tidies up."""
    folder = Path(tempfile.mkdtemp(prefix="lifelong_nav_"))
    # launch abandons its processes when it gets SIGTERM or dies; a robot must not drive on without it
    environment = {stack.DIE_WITH_PARENT: "1"}
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as the pip-only launcher does
        environment[variable] = os.environ.get(variable, "1")
    out: list[Any] = []
    for spec in stack.nodes_for(options):
        kind = LifecycleNode if spec.managed else Node
        out.append(
            kind(
                package="lifelong_nav",
                executable=spec.executable,
                name=spec.name,
                namespace=options.namespace,
                output="screen",
                remappings=list(spec.remappings),
                parameters=[
                    options.params_file or str(stack.default_params_file()),
                    _file(spec, options, folder),
                ],
                respawn=options.respawn,
                respawn_delay=1.0,
                arguments=["--ros-args", "--log-level", options.log_level],
                additional_env=environment,
            )
        )
    tidy = OnShutdown(on_shutdown=lambda event, context: shutil.rmtree(folder, ignore_errors=True))
    return [*out, RegisterEventHandler(tidy)]


def _file(spec: stack.NodeSpec, options: stack.Options, folder: Path) -> str:
    """The node's overrides as a parameter file: typed, and read after the user's file."""
    path = folder / f"{spec.name}.yaml"
    path.write_text(yaml.safe_dump(stack.overrides_document(spec, options)))
    return str(path)
