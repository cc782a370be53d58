"""Values, geometry, time, parameters and crash-safe files: what every other package stands on.

Numpy and transforms3d only; nothing here knows ROS, PyBullet or a network.
"""
