"""A lockstep world for node tests: clock, TF, odometry and scans of a robot in a flat building."""

import numpy as np
import plan_world as world
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage

from lifelong_nav.core.geometry import compose2, inverse2, wrap
from lifelong_nav.core.types import Odometry, Pose2, Twist2
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.ros_clock import to_stamp
from lifelong_nav.nodes.tf import stamped

MOUNT = Pose2(0.2, 0.0, 0.0)


class NavWorld:
    """Robot truth in the building; odometry starts at its own origin and may drift."""

    def __init__(self, bench, segments, pose, map_to_odom=None, drift=0.0):
        self.bench, self.segments, self.time = bench, segments, 10.0
        self.pose, self.drift = pose, drift
        self.odom = compose2(inverse2(map_to_odom), pose) if map_to_odom else Pose2()
        self.v = self.w = 0.0
        self.circles = []
        self.on = {"odom", "scan", "tf"}
        self.rng = np.random.default_rng(0)
        self.plans = bench.hear("plan")
        mounts = [stamped(MOUNT, "base_link", "laser", 0.0)]
        if map_to_odom is not None:
            mounts.append(stamped(map_to_odom, "map", "odom", 0.0))
        self.clock()
        bench.say("/tf_static", TFMessage(transforms=mounts))
        bench.spin(timeout=0.3)

    def clock(self):
        self.bench.say("/clock", Clock(clock=to_stamp(self.time)))

    def step(self, v=0.0, w=0.0, dt=0.1):
        """Move the robot, say everything, let the nodes work."""
        self.time = round(self.time + dt, 6)
        self.v, self.w = v, w
        step = Pose2(v * dt, 0.0, w * dt)
        self.pose = compose2(self.pose, step)
        self.odom = compose2(self.odom, Pose2(v * dt * (1 + self.drift), 0.0, w * dt + self.drift * v * dt))
        self.clock()
        if "tf" in self.on:
            self.bench.say("/tf", TFMessage(transforms=[stamped(self.odom, "odom", "base_link", self.time)]))
        if "odom" in self.on:
            self.bench.say("odom", convert.odometry_to(Odometry(self.time, self.odom, Twist2(v, 0, w))))
        if "scan" in self.on:
            sensor = compose2(self.pose, MOUNT).array()
            scan = world.scan(self.segments, sensor, self.time, self.rng, self.circles, beams=240)
            self.bench.say("scan", convert.scan_to(scan, 0.1))
        self.bench.spin(timeout=0.015)

    def follow(self, seconds, until=lambda: False, to_odom=None):
        """Drive along the newest plan like a simple controller, for so many simulated seconds."""
        end = self.time + seconds
        while self.time < end and not until():
            self.step(*self._command(to_odom))
        return until()

    def _command(self, to_odom):
        if not self.plans or not self.plans[-1].poses:
            return 0.0, 0.0
        path = convert.path_from(self.plans[-1])
        here = self.pose if self.plans[-1].header.frame_id == "map" else self.odom
        away = np.hypot(path[:, 0] - here.x, path[:, 1] - here.y)
        if away[-1] < 0.12:
            return 0.0, float(np.clip(2.0 * wrap(path[-1, 2] - here.yaw), -1.5, 1.5))
        target = path[min(int(np.argmin(away)) + 5, len(path) - 1)]
        off = float(wrap(np.arctan2(target[1] - here.y, target[0] - here.x) - here.yaw))
        return (0.7 if abs(off) < 0.6 else 0.0), float(np.clip(2.5 * off, -1.5, 1.5))
