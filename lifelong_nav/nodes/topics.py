"""The one table of topics: name, type, QoS, nominal rate, frame, who offers it, what it means.

Nodes create publishers and subscriptions from it, tests and `docs/topics.md` read it. Names are
relative (a namespace applies, remapping works), except those that ROS 2 fixes: /clock, /tf,
/tf_static, /diagnostics. No rclpy here: `nodes.qos` turns the words into profiles.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `rate` [Hz] is nominal, 0 for "when it changes"; `qos` names a profile of nodes.qos."""

    name: str
    type: str
    qos: str
    rate: float
    frame: str
    source: str
    doc: str


def _table(*topics: Topic) -> dict[str, Topic]:
    return {t.name: t for t in topics}


TOPICS: dict[str, Topic] = _table(
    Topic("scan", "sensor_msgs/msg/LaserScan", "sensor", 10, "laser", "robot or sim",
          "Planar lidar; no return is +inf."),
    Topic("odom", "nav_msgs/msg/Odometry", "sensor", 20, "odom", "robot or sim",
          "Wheel odometry: continuous, drifts."),
    Topic("imu", "sensor_msgs/msg/Imu", "sensor", 60, "imu", "robot or sim",
          "Angular rate and acceleration; no absolute heading."),
    Topic("joint_states", "sensor_msgs/msg/JointState", "sensor", 20, "", "robot or sim",
          "Wheels, lift, arm, gripper, pan and tilt."),
    Topic("camera/color/image_raw", "sensor_msgs/msg/Image", "sensor", 10, "camera_optical", "robot or sim",
          "rgb8 picture."),
    Topic("camera/depth/image_raw", "sensor_msgs/msg/Image", "sensor", 10, "camera_optical", "robot or sim",
          "32FC1 depth [m] registered to the colour picture (REP-118)."),
    Topic("camera/color/camera_info", "sensor_msgs/msg/CameraInfo", "sensor", 10, "camera_optical",
          "robot or sim", "Intrinsics of both pictures."),
    Topic("robot_description", "std_msgs/msg/String", "latched", 0, "", "robot or sim", "URDF."),
    Topic("map", "nav_msgs/msg/OccupancyGrid", "latched", 0, "map", "localization or map_server",
          "Building map: 0 free, 100 occupied, -1 unknown."),
    Topic("initialpose", "geometry_msgs/msg/PoseWithCovarianceStamped", "reliable", 0, "map", "operator",
          "Where the robot is, from RViz's tool."),
    Topic("pose", "geometry_msgs/msg/PoseWithCovarianceStamped", "reliable", 10, "map", "localization",
          "Localised pose with its covariance."),
    Topic("people", "lifelong_nav_interfaces/msg/TrackedPeople", "reliable", 10, "odom", "perception",
          "Tracked people with velocities and groups."),
    Topic("social_context", "lifelong_nav_interfaces/msg/SocialContext", "reliable", 10, "base_link",
          "context",
          "What is going on: scenario, captions, embedding, novelty; unknown when its sources are silent."),
    Topic("context_sample", "lifelong_nav_interfaces/msg/ContextSample", "reliable", 2, "base_link",
          "context", "What the learner of social context takes in: numbers, never pictures."),
    Topic("context_learner", "lifelong_nav_interfaces/msg/LearnerState", "latched", 1, "", "context_learner",
          "What the learner of social context does, and the model generation in use."),
    Topic("people_markers", "visualization_msgs/msg/MarkerArray", "reliable", 5, "odom", "view",
          "The same people for RViz and Foxglove."),
    Topic("goal_pose", "geometry_msgs/msg/PoseStamped", "reliable", 0, "map", "operator",
          "A goal from RViz's tool; same as the action `navigate`."),
    Topic("plan", "nav_msgs/msg/Path", "reliable", 2, "map", "planner",
          "Route from the robot to the goal; empty: stand still."),
    Topic("candidates", "lifelong_nav_interfaces/msg/TrajectoryChoice", "reliable", 5, "odom", "trajectory",
          "Candidate trajectories, what each costs by name, the chosen one and why."),
    Topic("trajectory", "nav_msgs/msg/Path", "reliable", 5, "odom", "trajectory",
          "The chosen trajectory, stamped in time; empty: follow the plan."),
    Topic("people_forecast", "lifelong_nav_interfaces/msg/PeopleForecast", "reliable", 5, "odom",
          "trajectory", "Where people may be in the next seconds: modes with probabilities."),
    Topic("trajectory_learner", "lifelong_nav_interfaces/msg/LearnerState", "latched", 1, "",
          "trajectory_learner", "What the learner of trajectories does, and the generation in use."),
    Topic("demonstrating", "std_msgs/msg/Bool", "latched", 0, "", "operator",
          "True while a person drives and shows how it is done: the learner takes note."),
    Topic("costmap", "nav_msgs/msg/OccupancyGrid", "latched", 1, "map", "planner",
          "What the planner routes over: 0 free to 100 lethal."),
    Topic("cmd_vel_raw", "geometry_msgs/msg/TwistStamped", "reliable", 20, "base_link", "controller",
          "What the controller wants; the gate decides."),
    Topic("predicted_path", "nav_msgs/msg/Path", "reliable", 10, "odom", "controller",
          "Where the controller expects to be, stamped in time."),
    Topic("cmd_vel", "geometry_msgs/msg/TwistStamped", "reliable", 20, "base_link", "gate",
          "The only command the base obeys (Twist with `stamped: false`)."),
    Topic("gate_state", "lifelong_nav_interfaces/msg/GateState", "reliable", 20, "base_link", "gate",
          "What the gate did to the command and why."),
    Topic("emergency_stop", "std_msgs/msg/Bool", "latched", 0, "", "operator",
          "True holds the robot until false."),
    Topic("heartbeat", "lifelong_nav_interfaces/msg/Heartbeat", "heartbeat", 5, "", "every node",
          "Signs of life."),
    Topic("joint_trajectory", "trajectory_msgs/msg/JointTrajectory", "reliable", 0, "", "manipulation",
          "Targets for lift, arm, gripper, pan and tilt."),
    Topic("sim/people", "lifelong_nav_interfaces/msg/TrackedPeople", "reliable", 10, "map", "sim",
          "Where people truly are; for scoring, never for driving."),
    Topic("sim/pose", "nav_msgs/msg/Odometry", "reliable", 20, "map", "sim",
          "Where the robot truly is; for scoring, never for driving."),
    Topic("sim/scene", "std_msgs/msg/String", "reliable", 2, "base_link", "sim",
          "The social scene as the simulator knows it (JSON); for teaching and scoring, never for driving."),
    Topic("sim/contacts", "lifelong_nav_interfaces/msg/Contact", "reliable", 0, "map", "sim",
          "The robot touched something."),
    Topic("/clock", "rosgraph_msgs/msg/Clock", "clock", 20, "", "sim or replay", "Simulated time."),
    Topic("/tf", "tf2_msgs/msg/TFMessage", "tf", 20, "", "robot, sim, localization",
          "Moving transforms (REP-105: map -> odom -> base_link)."),
    Topic("/tf_static", "tf2_msgs/msg/TFMessage", "tf_static", 0, "", "robot or sim",
          "Sensor mounts."),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "reliable", 1, "", "every node",
          "Health in the standard form."),
)  # fmt: skip

FRAMES = {
    "map": "fixed to the building; may jump when localisation corrects itself",
    "odom": "fixed where the robot started; continuous, drifts",
    "base_link": "the base, on the floor at the centre of rotation, x forward",
    "laser": "the planar lidar",
    "camera_optical": "the camera, z forward, x right, y down",
    "imu": "the inertial unit",
}


def message_class(type_name: str) -> Any:
    """The Python class of `package/kind/Name`; ImportError where the package is not installed."""
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)
