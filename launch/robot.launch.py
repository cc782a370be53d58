"""The stack on a real robot: scan, odom and TF in, cmd_vel out.

ros2 launch lifelong_nav robot.launch.py map:=/path/to/map.yaml
"""

from launch.actions import OpaqueFunction

from launch import LaunchDescription
from lifelong_nav.launch_actions import actions, declare, read


def generate_launch_description():
    def bring_up(context):
        return actions(read(context, "robot"))

    return LaunchDescription([*declare(), OpaqueFunction(function=bring_up)])
