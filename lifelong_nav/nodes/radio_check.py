"""`python -m lifelong_nav.nodes.radio_check`: do two nodes here hear each other? For the doctor."""

from __future__ import annotations

import time

import rclpy
from std_msgs.msg import String

_PATIENCE = 8.0


def main() -> None:
    """Print the middleware's name and True or False."""
    rclpy.init()
    speaker, listener = rclpy.create_node("doctor_a"), rclpy.create_node("doctor_b")
    heard: list[String] = []
    listener.create_subscription(String, "doctor_check", heard.append, 1)
    publisher = speaker.create_publisher(String, "doctor_check", 1)
    end = time.monotonic() + _PATIENCE
    while not heard and time.monotonic() < end:
        publisher.publish(String(data="x"))
        rclpy.spin_once(listener, timeout_sec=0.1)
    print(rclpy.get_rmw_implementation_identifier(), bool(heard))
    rclpy.shutdown()


if __name__ == "__main__":
    main()
