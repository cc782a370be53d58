"""The simulated building: PyBullet physics, people, sensors, rendering. No ROS here."""
