"""The mobile manipulator as URDF: round diff-drive base, mast with lift, Panda arm, pan-tilt camera.

Text only; the Panda's meshes come from the installed pybullet_data (Apache-2.0), whose low-polygon
collision meshes serve as visuals too. The same text feeds PyBullet, robot_state_publisher and RViz.

The planar lidar sits in the middle of a slot between chassis and deck and sees all around.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lifelong_nav.core.errors import DependencyError

BASE_RADIUS = 0.27
WHEEL_RADIUS = 0.08
WHEEL_SEPARATION = 0.38
LIDAR_HEIGHT = 0.25
LIFT_RANGE = (0.0, 0.35)
HEIGHT = 1.36

WHEELS = ("left_wheel_joint", "right_wheel_joint")
ARM = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")
LIFT, PAN, TILT = "lift_joint", "head_pan_joint", "head_tilt_joint"
POSITION_JOINTS = (LIFT, *ARM, *FINGERS, PAN, TILT)
"""Joints under position control, in the order of `JointTargets`."""

TRAVEL = (-2.07, 0.28, 0.05, -3.02, -2.32, 3.33, -0.83)
"""Arm pose that stays within the base's footprint (found by search over the collision meshes)."""
READY = (0.0, -0.6, 0.0, -2.4, 0.0, 1.9, 0.785)
"""Arm pose to start reaching from."""

_DECK = 0.40
_CASTER_RADIUS = 0.04
_CASTER_X = 0.21
_CASTER_GAP = -0.003  # sprung: pressed in this far on level floor [m]
_MOUNT = (0.05, 0.0, 0.44)  # of the arm, lift down
_MAST_X, _MAST = -0.185, 0.80

# link: mass [kg], centre of mass, joint origin xyz, rpy, lower, upper, effort, velocity (Panda data sheet)
_PANDA = (
    (2.7, (0, -0.04, -0.05), (0, 0, 0.333), (0, 0, 0), -2.8973, 2.8973, 87, 2.175),
    (2.73, (0, -0.04, 0.06), (0, 0, 0), (-1.57079632679, 0, 0), -1.7628, 1.7628, 87, 2.175),
    (2.04, (0.01, 0.01, -0.05), (0, -0.316, 0), (1.57079632679, 0, 0), -2.8973, 2.8973, 87, 2.175),
    (2.08, (-0.03, 0.03, 0.02), (0.0825, 0, 0), (1.57079632679, 0, 0), -3.0718, -0.0698, 87, 2.175),
    (3.0, (0, 0.04, -0.12), (-0.0825, 0.384, 0), (-1.57079632679, 0, 0), -2.8973, 2.8973, 12, 2.61),
    (1.3, (0.04, 0, 0), (0, 0, 0), (1.57079632679, 0, 0), -0.0175, 3.7525, 12, 2.61),
    (0.2, (0, 0, 0.08), (0.088, 0, 0), (1.57079632679, 0, 0), -2.8973, 2.8973, 12, 2.61),
)

Vec = tuple[float, float, float]
_ZERO: Vec = (0.0, 0.0, 0.0)


def panda_meshes() -> Path:
    """Folder of the Panda's collision meshes, without importing PyBullet.

    Raises:
        DependencyError: pybullet_data is not installed.
    """
    spec = importlib.util.find_spec("pybullet_data")
    if spec is None or spec.origin is None:
        raise DependencyError(
            "The robot model needs pybullet_data.", "Install it with: pip install 'lifelong_nav[sim]'."
        )
    return Path(spec.origin).parent / "franka_panda" / "meshes" / "collision"


def robot_urdf(mesh_prefix: str | None = None, name: str = "lifelong_nav_robot") -> str:
    """The URDF.

    Args:
        mesh_prefix: put before each mesh's file name, such as "file:///.../" for RViz; None gives
            plain absolute paths (PyBullet).
        name: of the robot.
    """
    prefix = f"{panda_meshes()}/" if mesh_prefix is None else mesh_prefix
    parts = [*_base(), *_lift(), *_arm(prefix), *_gripper(prefix), *_head()]
    body = "\n".join(parts)
    return f'<?xml version="1.0"?>\n<robot name="{name}">\n{body}\n</robot>\n'


def ros_urdf() -> str:
    """The URDF with file:// mesh addresses, as robot_description wants it."""
    return robot_urdf(f"file://{panda_meshes()}/")


def _base() -> list[str]:
    chassis = [
        _visual(_cylinder(BASE_RADIUS, 0.16), (0, 0, 0.13), colour=(0.20, 0.22, 0.25)),
        _visual(_cylinder(BASE_RADIUS, 0.11), (0, 0, 0.345), colour=(0.88, 0.89, 0.90)),
        _visual(_cylinder(0.045, 0.08), (0, 0, 0.25), colour=(0.05, 0.05, 0.06)),
        _visual(_box(0.10, 0.14, _MAST), (_MAST_X, 0, _DECK + _MAST / 2), colour=(0.55, 0.57, 0.60)),
        _collision(_cylinder(BASE_RADIUS, 0.35), (0, 0, 0.225)),
        _collision(_box(0.10, 0.14, _MAST), (_MAST_X, 0, _DECK + _MAST / 2)),
    ]
    out = [_link("base_link", 55.0, (0.0, 0, 0.14), (1.1, 1.1, 1.9), *chassis)]
    at: Vec
    for side, y in (("left", WHEEL_SEPARATION / 2), ("right", -WHEEL_SEPARATION / 2)):
        wheel, upright = _cylinder(WHEEL_RADIUS, 0.04), (1.57079632679, 0, 0)
        # Rolls on a ball: a cylinder's contact in Bullet jumps about and shakes the robot by 3 m/s^2.
        tyre = _collision(f'<sphere radius="{WHEEL_RADIUS}"/>', _ZERO)
        geometry = (_visual(wheel, _ZERO, upright, (0.1, 0.1, 0.1)), tyre)
        out.append(_link(f"{side}_wheel", 1.5, _ZERO, (0.003, 0.005, 0.003), *geometry))
        at = (0, y, WHEEL_RADIUS)
        out.append(
            _joint(f"{side}_wheel_joint", "continuous", "base_link", f"{side}_wheel", at, axis=(0, 1, 0))
        )
    for end, x in (("front", _CASTER_X), ("rear", -_CASTER_X)):
        ball = f'<sphere radius="{_CASTER_RADIUS}"/>'
        geometry = (_visual(ball, _ZERO, colour=(0.3, 0.3, 0.3)), _collision(ball, _ZERO))
        out.append(_link(f"{end}_caster", 0.3, _ZERO, (1e-3, 1e-3, 1e-3), *geometry))
        at = (x, 0, _CASTER_RADIUS + _CASTER_GAP)
        out.append(_joint(f"{end}_caster_joint", "fixed", "base_link", f"{end}_caster", at))
    for frame, at in (("laser", (0, 0, LIDAR_HEIGHT)), ("imu", (0, 0, 0.2))):
        out += [_frame(frame), _joint(f"{frame}_joint", "fixed", "base_link", frame, at)]
    # Load carried on the deck; the simulator sets its mass.
    out.append(_link("payload", 0.01, _ZERO, (1e-4, 1e-4, 1e-4)))
    out.append(_joint("payload_joint", "fixed", "base_link", "payload", (0.0, 0, _DECK + 0.1)))
    return out


def _lift() -> list[str]:
    shelf, at = _box(0.30, 0.20, 0.04), (-0.03, 0, -0.02)
    geometry = (_visual(shelf, at, colour=(0.45, 0.47, 0.5)), _collision(shelf, at))
    return [
        _link("lift", 4.0, (-0.05, 0, -0.02), (0.03, 0.03, 0.04), *geometry),
        _joint(LIFT, "prismatic", "base_link", "lift", _MOUNT, axis=(0, 0, 1), limit=(*LIFT_RANGE, 800, 0.2)),
    ]


def _arm(prefix: str) -> list[str]:
    out = [_mesh_link("panda_link0", 2.9, (-0.04, 0, 0.05), f"{prefix}link0.obj")]
    out.append(_joint("panda_mount", "fixed", "lift", "panda_link0", _ZERO))
    for i, (mass, com, xyz, rpy, low, high, effort, velocity) in enumerate(_PANDA, start=1):
        colour = (0.85, 0.30, 0.16) if i in (3, 6) else (0.93, 0.93, 0.93)
        out.append(_mesh_link(f"panda_link{i}", mass, com, f"{prefix}link{i}.obj", colour=colour))
        parent, limit = f"panda_link{i - 1}", (low, high, effort, velocity)
        out.append(
            _joint(ARM[i - 1], "revolute", parent, f"panda_link{i}", xyz, rpy, axis=(0, 0, 1), limit=limit)
        )
    return out


def _gripper(prefix: str) -> list[str]:
    out = [
        _mesh_link("panda_hand", 0.81, (0, 0, 0.04), f"{prefix}hand.obj"),
        _joint(
            "panda_hand_joint", "fixed", "panda_link7", "panda_hand", (0, 0, 0.107), (0, 0, -0.785398163397)
        ),
    ]
    turns = (_ZERO, (0, 0, 3.14159265359))
    for joint, side, sign, turn in zip(FINGERS, ("left", "right"), (1, -1), turns, strict=True):
        link, com = f"panda_{side}finger", (0.0, 0.01 * sign, 0.02)
        out.append(_mesh_link(link, 0.1, com, f"{prefix}finger.obj", turn, (0.25, 0.25, 0.27)))
        limit = (0.0, 0.04, 60, 0.2)
        out.append(
            _joint(joint, "prismatic", "panda_hand", link, (0, 0, 0.0584), axis=(0, sign, 0), limit=limit)
        )
    out += [_frame("grasp_point")]
    out += [_joint("grasp_point_joint", "fixed", "panda_hand", "grasp_point", (0, 0, 0.105))]
    return out


def _head() -> list[str]:
    neck = _visual(_cylinder(0.025, 0.06), (0, 0, 0.02), colour=(0.2, 0.2, 0.22))
    case = _visual(_box(0.04, 0.13, 0.04), (0.01, 0, 0), colour=(0.15, 0.15, 0.17))
    blocked = _collision(_box(0.06, 0.14, 0.06), _ZERO)
    top = (_MAST_X, 0, _DECK + _MAST + 0.02)
    return [
        _link("head_pan", 0.4, _ZERO, (0.003, 0.003, 0.003), neck),
        _joint(PAN, "revolute", "base_link", "head_pan", top, axis=(0, 0, 1), limit=(-2.6, 2.6, 10, 2.0)),
        _link("head_tilt", 0.4, _ZERO, (0.003, 0.003, 0.003), case, blocked),
        _joint(
            TILT,
            "revolute",
            "head_pan",
            "head_tilt",
            (0, 0, 0.08),
            axis=(0, 1, 0),
            limit=(-0.6, 1.3, 10, 2.0),
        ),
        _frame("camera"),
        _joint("camera_joint", "fixed", "head_tilt", "camera", (0.032, 0, 0)),
        _frame("camera_optical"),
        _joint(
            "camera_optical_joint",
            "fixed",
            "camera",
            "camera_optical",
            _ZERO,
            (-1.57079632679, 0, -1.57079632679),
        ),
    ]


def _mesh_link(
    name: str, mass: float, com: Vec, file: str, turn: Vec = _ZERO, colour: Vec = (0.93, 0.93, 0.93)
) -> str:
    mesh = f'<mesh filename="{file}"/>'
    inertia = 0.002 if mass < 0.5 else 0.03
    shown = _visual(mesh, _ZERO, turn, colour)
    return _link(name, mass, com, (inertia,) * 3, shown, _collision(mesh, _ZERO, turn))


def _frame(name: str) -> str:
    """A link that is only a frame: PyBullet would make it 1 kg without an inertia."""
    return _link(name, 1e-3, _ZERO, (1e-6, 1e-6, 1e-6))


def _link(name: str, mass: float, com: Vec, inertia: Vec, *geometry: str) -> str:
    ixx, iyy, izz = inertia
    return (
        f'<link name="{name}"><inertial>{_origin(com)}<mass value="{mass}"/>'
        f'<inertia ixx="{ixx}" ixy="0" ixz="0" iyy="{iyy}" iyz="0" izz="{izz}"/></inertial>'
        f"{''.join(geometry)}</link>"
    )


def _joint(
    name: str, kind: str, parent: str, child: str, xyz: Vec, rpy: Vec = _ZERO, axis: Vec | None = None,
    limit: tuple[float, float, float, float] | None = None,
) -> str:  # fmt: skip
    text = f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
    text += _origin(xyz, rpy)
    if axis is not None:
        text += f'<axis xyz="{_numbers(axis)}"/>'
    if limit is not None:
        low, high, effort, velocity = limit
        text += f'<limit lower="{low}" upper="{high}" effort="{effort}" velocity="{velocity}"/>'
    return f"{text}</joint>"


def _visual(geometry: str, xyz: Vec, rpy: Vec = _ZERO, colour: Vec = (0.8, 0.8, 0.8)) -> str:
    material = "_".join(f"{round(c * 255):02x}" for c in colour)
    rgba = f'<material name="c_{material}"><color rgba="{_numbers(colour)} 1"/></material>'
    return f"<visual>{_origin(xyz, rpy)}<geometry>{geometry}</geometry>{rgba}</visual>"


def _collision(geometry: str, xyz: Vec, rpy: Vec = _ZERO) -> str:
    return f"<collision>{_origin(xyz, rpy)}<geometry>{geometry}</geometry></collision>"


def _origin(xyz: Vec, rpy: Vec = _ZERO) -> str:
    return f'<origin xyz="{_numbers(xyz)}" rpy="{_numbers(rpy)}"/>'


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{v:.12g}" for v in values)


def _cylinder(radius: float, length: float) -> str:
    return f'<cylinder radius="{radius}" length="{length}"/>'


def _box(x: float, y: float, z: float) -> str:
    return f'<box size="{x} {y} {z}"/>'
