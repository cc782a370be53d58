"""Bags in and out: reading any rosbag2 or ROS 1 bag safely, writing MCAP.

No ROS installation needed; the nodes publish what is read here.
"""
