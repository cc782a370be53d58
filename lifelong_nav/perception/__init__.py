"""From sensor data to what is around the robot: people, groups, where we are.

Plain functions and small stateful trackers on arrays; no ROS.
"""
