"""Carries out navigation errands: goals in, routes out. Works on the building's map or without any.

Goals come from the action `navigate` and the topic `goal_pose`; a new one replaces the running one.
With a map the route is planned in frame `map`, without one in `odom` on a grid that grows on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from lifelong_nav_interfaces.action import Navigate
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future

from lifelong_nav.core import geometry
from lifelong_nav.core.clock import is_fresh
from lifelong_nav.core.errors import InputError
from lifelong_nav.core.transforms import TransformError
from lifelong_nav.core.types import FloatArray, Odometry, People, Pose2, Twist2
from lifelong_nav.nodes import convert
from lifelong_nav.nodes.base import StackNode
from lifelong_nav.nodes.planner_config import PlannerConfig
from lifelong_nav.nodes.tf import make_tf
from lifelong_nav.trajectory.cost_grid import CostGrid
from lifelong_nav.trajectory.costmap import Costmap
from lifelong_nav.trajectory.errand import Errand, ErrandCode, Goal, Phase
from lifelong_nav.trajectory.escape import open_place
from lifelong_nav.trajectory.polite_goal import PoliteGoal
from lifelong_nav.trajectory.route import Route, RouteError, RoutePlanner
from lifelong_nav.trajectory.social_layer import people_in_frame, social_cost, someone_near


class PlannerNode(StackNode):
    """See the module's docstring."""

    NAME, CONFIG = "planner", PlannerConfig

    def setup(self) -> None:
        """Build costmap and planner; offer the action."""
        c = self.config
        self._costmap = Costmap(c, frame_id=c.odom_frame)
        self._planner = RoutePlanner(c)
        self._polite = PoliteGoal(c, c.robot_radius)
        self._escaper = RoutePlanner(c)
        self._odometry: Odometry | None = None
        self._people: People | None = None
        self._scan_at = -np.inf
        self._planned_at = self._solved_at = -np.inf
        self._cancelled = False
        self._route: Route | None = None
        self._retreat: Route | None = None
        self._asked: PoseStamped | None = None
        self._errand: Errand | None = None
        self._handle: Any = None
        self._social_version = 0
        self._social_key: tuple[Any, ...] = ()
        self._social_grid: CostGrid | None = None
        self._tf = make_tf(self)
        self.on_cleanup_do(self._tf.close)
        self._plan_out = self.offer("plan")
        self._costmap_out = self.offer("costmap")
        self.listen("map", self._on_map)
        self.listen("odom", self._on_odometry)
        self.listen("scan", self._on_scan)
        self.listen("people", self._on_people)
        self.listen("goal_pose", self._on_goal_pose)
        server = ActionServer(
            self, Navigate, "navigate", self._execute,
            goal_callback=self._on_goal, handle_accepted_callback=self._on_accepted,
            cancel_callback=self._on_cancel,
        )  # fmt: skip
        self.on_cleanup_do(server.destroy)
        self.every(0.1, self._tick)
        self.every(1.0, self._show_costmap)

    def retune(self) -> None:
        """Take over new parameters; the costmap starts from the map again."""
        self._planner.config = self._escaper.config = self.config
        self._costmap.config = self.config
        if self._errand is not None:
            self._errand.config = self.config

    def stop(self) -> None:
        """End the errand; the robot stands."""
        self._finish(ErrandCode.CANCELLED, "The planner was stopped.")
        self._send(None)

    def time_jumped(self) -> None:
        """What was seen and driven belongs to another time."""
        self._finish(ErrandCode.INTERNAL, "Time ran back (a bag looped or the simulation restarted).")
        self._costmap.reset()
        self._tf.clear()
        self._scan_at = self._planned_at = -np.inf
        self._odometry = self._people = None

    # ---- inputs ------------------------------------------------------------------------------------

    def _on_map(self, message: Any) -> None:
        if not self.config.use_map:
            return
        grid = convert.grid_from(message)
        self._costmap = Costmap(self.config, grid)
        self._route = self._retreat = None
        self.get_logger().info(f"planning on a map of {grid.shape[1]} x {grid.shape[0]} cells")

    def _on_odometry(self, message: Any) -> None:
        self._odometry = convert.odometry_from(message)

    def _on_people(self, message: Any) -> None:
        self._people = convert.people_from(message)

    def _on_scan(self, message: Any) -> None:
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        if 0.0 <= stamp - self._scan_at < 0.999 / self.config.costmap_rate:
            return
        scan = convert.scan_from(message)
        try:
            sensor = geometry.flatten(self._tf.lookup(self._costmap.frame_id, scan.frame_id, scan.stamp))
        except TransformError as error:
            self.degraded("tf", error.what)
            return
        self.degraded("tf", None)
        self._scan_at = stamp
        self._costmap.update(scan, sensor, self._people_here())

    def _on_goal_pose(self, message: PoseStamped) -> None:
        self._begin(message, Navigate.Goal(pose=message), None)

    # ---- the action --------------------------------------------------------------------------------

    def _on_goal(self, request: Navigate.Goal) -> GoalResponse:
        return GoalResponse.ACCEPT if self.active else GoalResponse.REJECT

    def _on_accepted(self, handle: Any) -> None:
        future = Future(executor=self.executor)
        handle.lifelong_nav_end = future
        handle.execute()  # before anything can end it: only an executing goal may be aborted
        self._guard("navigate", self._begin, handle.request.pose, handle.request, handle)

    def _on_cancel(self, handle: Any) -> CancelResponse:
        if handle is self._handle:
            self._cancelled = True
        return CancelResponse.ACCEPT

    async def _execute(self, handle: Any) -> Navigate.Result:
        """Waits, without blocking, until the errand has ended."""
        return await handle.lifelong_nav_end

    def _begin(self, pose: PoseStamped, request: Navigate.Goal, handle: Any) -> None:
        """Replace the running errand by a new one."""
        self._finish(ErrandCode.PREEMPTED, "A newer goal replaced this one.")
        c, now = self.config, self.clock.now()
        yaw_tolerance = None if request.yaw_tolerance < 0.0 else request.yaw_tolerance or c.yaw_tolerance
        goal = Goal(Pose2(), request.xy_tolerance or c.xy_tolerance, yaw_tolerance, max(request.timeout, 0.0))
        self._errand, self._handle, self._asked = Errand(goal, c, now), handle, pose
        self._cancelled = False
        self._route = self._retreat = None
        self._planned_at = -np.inf
        try:
            checked = geometry.flatten(convert.pose_from(pose.pose))
            if pose.header.frame_id not in ("map", c.odom_frame) or request.xy_tolerance < 0.0:
                raise InputError(
                    f"A goal in frame '{pose.header.frame_id}' with tolerance {request.xy_tolerance} m "
                    "cannot be served.", f"Use frame 'map' or '{c.odom_frame}' and tolerances >= 0.",
                )  # fmt: skip
        except InputError as error:
            self._finish(ErrandCode.BAD_GOAL, str(error))
            return
        self.get_logger().info(f"goal: x {checked.x:.2f}, y {checked.y:.2f} in '{pose.header.frame_id}'")
        self._tick()

    def _finish(self, code: ErrandCode, message: str) -> None:
        """End the running errand, if any, and tell whoever asked for it."""
        if self._errand is None:
            return
        self._errand.end(self.clock.now(), code, message)
        result, handle = self._errand.result, self._handle
        assert result is not None
        self._errand = self._handle = self._asked = None
        self._route = self._retreat = None
        words = f"errand ended: {result.code.name} {result.message}"
        if result.code is ErrandCode.NONE:
            self.get_logger().info(words)
        else:
            self.get_logger().warning(words)
        self.stats |= {"last errand": result.code.name, "last message": result.message}
        if handle is None:
            return
        if result.code is ErrandCode.NONE:
            handle.succeed()
        elif result.code is ErrandCode.CANCELLED and handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()
        handle.lifelong_nav_end.set_result(
            Navigate.Result(
                error_code=int(result.code), error_msg=result.message, duration=float(result.duration),
                distance=float(result.distance), recoveries=int(result.recoveries),
            )
        )  # fmt: skip

    # ---- the errand --------------------------------------------------------------------------------

    def _tick(self) -> None:
        errand, now = self._errand, self.clock.now()
        if errand is None:
            return
        if self._cancelled:
            self._cancelled = False
            self._finish(ErrandCode.CANCELLED, "Cancelled by the client.")
            self._send(None)
            return
        pose = self._pose()
        if pose is not None:
            pose = self._aim(errand, pose)
        twist = self._odometry.twist if self._odometry is not None else Twist2()
        advice = errand.update(now, pose, twist, pose is not None and self._people_near(pose))
        if errand.result is None and pose is not None:
            if advice.clear:
                self._costmap.clear()
                self._route = None
            if advice.escape:
                self._escape(errand, pose, now)
            elif (advice.replan and now - self._planned_at > 0.5) or self._due(now):
                self._plan(errand, pose, now)
        if errand.result is not None:
            self._finish(errand.result.code, errand.result.message)
            self._send(None)
            return
        if advice.hold and errand.phase is not Phase.DRIVING:
            self._route = self._retreat = None
            self._send(None)
        self._report(errand, pose, now)

    def _due(self, now: float) -> bool:
        return not 0.0 <= now - self._planned_at < 0.999 / self.config.plan_rate

    def _aim(self, errand: Errand, pose: Pose2) -> Pose2 | None:
        """Express the goal in the planning frame as of now; None when that cannot be done."""
        assert self._asked is not None
        goal = geometry.flatten(convert.pose_from(self._asked.pose))
        frame = self._asked.header.frame_id
        if frame != self._costmap.frame_id:
            try:
                goal = geometry.compose2(
                    geometry.flatten(self._tf.lookup(self._costmap.frame_id, frame)), goal
                )
            except TransformError as error:
                self.degraded("goal", error.what)
                return None
        self.degraded("goal", None)
        g = errand.goal
        errand.goal = Goal(goal, g.xy_tolerance, g.yaw_tolerance, g.timeout)
        return pose

    def _plan(self, errand: Errand, pose: Pose2, now: float) -> None:
        self._planned_at = now
        self._retreat = None
        grid = self._grid()
        end = self._polite.end(now, grid, errand.goal.pose, self._standing())
        if self._route is not None and 0.0 <= now - self._solved_at < self.config.route_age:
            rest = self._planner.rest(grid, self._route, pose, end)
            if rest is not None:
                errand.route_found(now, rest.length, rest.goal)
                self._publish(errand, rest)
                return
        self._solved_at = now
        try:
            reach = max(errand.goal.xy_tolerance, self.config.goal_tolerance)
            route = self._planner.plan(grid, pose, end, reach)
        except RouteError as error:
            self._route = None
            errand.route_failed(now, error)
            self._send(None)
            return
        self._route = route
        errand.route_found(now, route.length, route.goal)
        self._publish(errand, route)

    def _publish(self, errand: Errand, route: Route) -> None:
        points = route.points
        if errand.goal.yaw_tolerance is None and len(points) > 1:
            points = points.copy()
            points[-1, 2] = points[-2, 2]
        self._send(points)

    def _escape(self, errand: Errand, pose: Pose2, now: float) -> None:
        """Drive to an open place near by; done when there, or when there is none."""
        self._route = None
        if self._retreat is None:
            grid = self._grid()
            place = open_place(grid, pose)
            try:
                self._retreat = None if place is None else self._escaper.plan(grid, pose, place)
            except RouteError:
                self._retreat = None
        if self._retreat is None:
            errand.escaped(now)
            return
        end = self._retreat.goal
        if np.hypot(end.x - pose.x, end.y - pose.y) < 0.25:
            self._retreat = None
            errand.escaped(now)
        elif self._due(now):
            self._planned_at = now
            self._send(self._retreat.points)

    def _grid(self) -> CostGrid:
        """Costs with the people who stay; the same object while neither changes, so that routes are cheap."""
        grid = self._costmap.grid()
        people, c = self._people_here(), self.config
        standing = self._standing()
        if people is None or standing is None:
            return grid
        still = standing.people
        # Quarter metres: trackers jitter, and each change costs a new solution.
        key = (grid.version, *sorted((round(4 * p.x), round(4 * p.y), p.group_id) for p in still))
        if not still:
            return grid
        if self._social_grid is None or key != self._social_key or self._social_grid.shape != grid.shape:
            extra = social_cost(grid, people, c.robot_radius, c)
            self._social_version -= 1
            self._social_grid = grid.with_extra(extra, self._social_version)
            self._social_key = key
        return self._social_grid

    # ---- helpers -----------------------------------------------------------------------------------

    def _standing(self) -> People | None:
        """Those of the tracked people who have stood for a while, in the planning frame."""
        people, c = self._people_here(), self.config
        if people is None:
            return None
        still = (p for p in people.people if p.speed < c.standing_speed and p.age >= c.standing_age)
        return People(people.stamp, people.frame_id, tuple(still))

    def _pose(self) -> Pose2 | None:
        """The robot in the planning frame, None when odometry or a transform is stale."""
        fresh = is_fresh(self.received("odom"), self.clock, self.config.input_timeout)
        self.degraded("odom", None if fresh else "no current odometry")
        seen = self._costmap.has_map or self._scan_at > -np.inf
        self.degraded("costmap", None if seen else "neither a map nor a scan yet")
        if not (fresh and seen):
            return None
        stamp = self._odometry.stamp if self._odometry is not None else None
        try:
            pose = geometry.flatten(self._tf.lookup(self._costmap.frame_id, self.config.base_frame, stamp))
        except TransformError as error:
            self.degraded("pose", error.what)
            return None
        self.degraded("pose", None)
        return pose

    def _people_here(self) -> People | None:
        """Tracked people in the planning frame, None when there are none or they are stale."""
        people, frame = self._people, self._costmap.frame_id
        if people is None or len(people) == 0:
            return None
        if not is_fresh(self.received("people"), self.clock, self.config.people_timeout):
            return None
        if people.frame_id == frame:
            return people
        try:
            shift = geometry.flatten(self._tf.lookup(frame, people.frame_id))
        except TransformError:
            return None
        return people_in_frame(people, shift, frame)

    def _people_near(self, pose: Pose2) -> bool:
        people = self._people_here()
        ahead = np.zeros((0, 2)) if self._route is None else self._route.points[:, :2]
        return people is not None and someone_near(people.positions(), pose, ahead)

    def _send(self, points: FloatArray | None) -> None:
        rows = np.zeros((0, 3)) if points is None else points
        self._plan_out.publish(convert.path_to(rows, self.clock.now(), self._costmap.frame_id))

    def _report(self, errand: Errand, pose: Pose2 | None, now: float) -> None:
        f = errand.feedback()
        self.stats |= {"errand": f.status, "remaining [m]": f.remaining, "recoveries": float(f.recoveries)}
        if self._handle is None or not self._handle.is_active:
            return
        here = pose or Pose2()
        self._handle.publish_feedback(
            Navigate.Feedback(
                current=convert.pose_stamped(here, now, self._costmap.frame_id),
                distance_remaining=float(f.remaining), eta=float(f.eta), recoveries=f.recoveries,
                status=f.status,
            )
        )  # fmt: skip

    def _show_costmap(self) -> None:
        if self._costmap_out.get_subscription_count() > 0:
            self._costmap_out.publish(convert.grid_to(self._grid().occupancy(), self.clock.now()))
