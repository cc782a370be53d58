"""Simulated readings as ROS messages, with all publishers of the sim node in one place."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point
from lifelong_nav_interfaces.msg import Contact as ContactMsg
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Imu, JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from lifelong_nav.core import geometry
from lifelong_nav.core.types import FloatArray, Image, Odometry, Pose3
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.ros_clock import to_stamp
from lifelong_nav.nodes.tf import stamped
from lifelong_nav.sim.camera import Intrinsics
from lifelong_nav.sim.engine import Contact, Sensed, Truth
from lifelong_nav.sim.readings import RgbdReading
from lifelong_nav.sim.robot_urdf import LIDAR_HEIGHT
from lifelong_nav.sim.sensors import ImuSample

_KINDS = {
    "wall": ContactMsg.WALL, "person": ContactMsg.PERSON, "object": ContactMsg.OBJECT,
    "door": ContactMsg.DOOR,
}  # fmt: skip
_ODOMETRY_VARIANCE = np.diag([1e-3, 1e-3, 4e-3])


class SimPublishers:
    """Everything the simulated robot says.

    Args:
        node: owner of the publishers.
        intrinsics: of the camera.
        scan_period: seconds between scans.
    """

    def __init__(self, node: StackNode, intrinsics: Intrinsics, scan_period: float) -> None:
        offer = node.offer
        self._clock, self._odom, self._scan = offer("/clock"), offer("odom"), offer("scan")
        self._imu, self._joints = offer("imu"), offer("joint_states")
        self._color, self._depth = offer("camera/color/image_raw"), offer("camera/depth/image_raw")
        self._info = offer("camera/color/camera_info")
        self._tf, self._tf_static = offer("/tf"), offer("/tf_static")
        self._description = offer("robot_description")
        self._people, self._pose, self._contacts = (
            offer("sim/people"),
            offer("sim/pose"),
            offer("sim/contacts"),
        )
        self._scene = offer("sim/scene")
        self._scan_period = scan_period
        self._intrinsics = intrinsics
        self._template = camera_info(intrinsics)

    def static(self, stamp: float, urdf: str) -> None:
        """Mounts and description, once."""
        up = Pose3(np.array([0.0, 0.0, LIDAR_HEIGHT]))
        self._tf_static.publish(
            TFMessage(transforms=[stamped(up, "base_link", f, stamp) for f in ("laser", "imu")])
        )
        self._description.publish(String(data=urdf))

    def clock(self, stamp: float) -> None:
        """The simulated time."""
        self._clock.publish(Clock(clock=to_stamp(stamp)))

    def readings(self, sensed: Sensed) -> None:
        """Odometry with TF first, so that what follows finds its transform; then the rest."""
        odometry = sensed.odometry
        message = convert.odometry_to(
            Odometry(odometry.stamp, odometry.pose, odometry.twist, covariance=_ODOMETRY_VARIANCE)
        )
        self._tf.publish(TFMessage(transforms=[stamped(odometry.pose, "odom", "base_link", sensed.stamp)]))
        self._odom.publish(message)
        if sensed.scan is not None:
            self._scan.publish(convert.scan_to(sensed.scan, self._scan_period))
        for sample in sensed.imu:
            self._imu.publish(imu_message(sample))
        self._joints.publish(
            JointState(
                header=convert.header(sensed.stamp, ""),
                name=list(sensed.joint_names),
                position=array.array("d", sensed.joint_positions),
                velocity=array.array("d", sensed.joint_velocities),
            )
        )

    def picture(self, reading: RgbdReading, base: FloatArray) -> None:
        """Colour, depth, intrinsics and where the camera is on the robot; `base` (4, 4) in the map."""
        mount = geometry.pose3(np.linalg.inv(base) @ geometry.matrix(reading.pose))
        self._tf.publish(TFMessage(transforms=[stamped(mount, "base_link", "camera_optical", reading.stamp)]))
        self._template.header = convert.header(reading.stamp, "camera_optical")
        self._info.publish(self._template)
        frame = reading.frame
        self._color.publish(convert.image_to(Image(reading.stamp, "camera_optical", "rgb8", frame.rgb)))
        self._depth.publish(convert.image_to(Image(reading.stamp, "camera_optical", "32FC1", frame.depth)))

    def truth(self, truth: Truth, people: bool) -> None:
        """Where everything really is, for scoring."""
        self._pose.publish(
            convert.odometry_to(Odometry(truth.stamp, truth.robot_pose, truth.robot_twist, "map"))
        )
        if people:
            self._people.publish(convert.people_to(truth.people))

    def scene(self, text: str) -> None:
        """The social scene as JSON, for teaching and scoring."""
        self._scene.publish(String(data=text))

    def contacts(self, contacts: Sequence[Contact]) -> None:
        """Touches that began."""
        for contact in contacts:
            x, y, z = (float(v) for v in contact.position)
            self._contacts.publish(
                ContactMsg(
                    header=convert.header(contact.stamp, "map"), kind=_KINDS[contact.kind],
                    name=contact.name, position=Point(x=x, y=y, z=z), speed=float(contact.speed),
                )
            )  # fmt: skip


def camera_info(intrinsics: Intrinsics) -> CameraInfo:
    """sensor_msgs/CameraInfo of a pinhole."""
    return CameraInfo(
        width=intrinsics.width, height=intrinsics.height, distortion_model="plumb_bob",
        d=intrinsics.d.tolist(), k=intrinsics.k.ravel(), r=np.eye(3).ravel(), p=intrinsics.p.ravel(),
    )  # fmt: skip


def imu_message(sample: ImuSample) -> Any:
    """sensor_msgs/Imu; orientation is not measured (covariance -1, as the message says)."""
    out = Imu(header=convert.header(sample.stamp, "imu"))
    out.orientation_covariance[0] = -1.0
    w, a = out.angular_velocity, out.linear_acceleration
    w.x, w.y, w.z = (float(v) for v in sample.angular_velocity)
    a.x, a.y, a.z = (float(v) for v in sample.linear_acceleration)
    return out
