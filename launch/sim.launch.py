"""The stack around the simulated robot.

ros2 launch lifelong_nav sim.launch.py scenario:=office_day seed:=3
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from launch import LaunchDescription
from lifelong_nav.launch_actions import actions, declare, number, read
from lifelong_nav.nodes.session import simulation_overrides

ARGUMENTS = {
    "scenario": ("office_day", "Name of a file in sim/scenarios, or a path to one."),
    "seed": ("0", "Seed of building, people and sensor noise."),
    "mode": ("realtime", "realtime, fast (as fast as the stack keeps up) or lockstep."),
}


def generate_launch_description():
    def bring_up(context):
        text = context.launch_configurations
        overrides = simulation_overrides(
            text["scenario"], number(context, "seed", int), text["mode"], text["map"]
        )
        return actions(read(context, "sim", overrides))

    described = [
        DeclareLaunchArgument(name, default_value=default, description=doc)
        for name, (default, doc) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declare(use_sim_time="true"), *described, OpaqueFunction(function=bring_up)])
