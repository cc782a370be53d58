"""lifelong_nav: a robot that moves among people and keeps learning, on ROS 2."""

__version__ = "0.1.0"
