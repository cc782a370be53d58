"""The perception half of the stack fed by a bag; nothing moves.

ros2 launch lifelong_nav replay.launch.py bag:=/path/to/bag rate:=2.0
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction

from launch import LaunchDescription
from lifelong_nav.launch_actions import actions, declare, number, read

ARGUMENTS = {
    "bag": ("", "rosbag2 folder, .mcap, .db3 or ROS 1 .bag to play; empty: something else plays it."),
    "rate": ("1.0", "Times real time; 0: as fast as the nodes keep up."),
    "loop": ("1", "How many times to play the bag."),
}


def generate_launch_description():
    def bring_up(context):
        text = context.launch_configurations
        player = {
            "bag": text["bag"],
            "rate": number(context, "rate"),
            "loop": number(context, "loop", int),
            "wait_for": ["perception"],
        }
        overrides = {"bag_player": player} if text["bag"] else {}
        return actions(read(context, "replay", overrides))

    described = [
        DeclareLaunchArgument(name, default_value=default, description=doc)
        for name, (default, doc) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declare(use_sim_time="true"), *described, OpaqueFunction(function=bring_up)])
