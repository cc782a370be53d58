"""A hinged door as URDF: PyBullet takes joint limits only from a file."""

from __future__ import annotations

from lifelong_nav.sim.scene import Door

THICKNESS = 0.04


def door_urdf(door: Door) -> str:
    """URDF of a leaf whose hinge stands at the origin; angle grows from 0 (closed, along +x) to `limit`."""
    w, h, m = door.width, door.height, door.mass
    ixx, iyy, izz = m * h * h / 12.0, m * (w * w + h * h) / 12.0, m * w * w / 12.0
    at = f'<origin xyz="{w / 2:.6g} 0 {h / 2:.6g}" rpy="0 0 0"/>'
    solid = f'<geometry><box size="{w:.6g} {THICKNESS} {h - 0.02:.6g}"/></geometry>'
    return (
        '<?xml version="1.0"?><robot name="door"><link name="frame"><inertial><mass value="0"/>'
        '<inertia ixx="0" ixy="0" ixz="0" iyy="0" iyz="0" izz="0"/></inertial></link>'
        f'<link name="leaf"><inertial>{at}<mass value="{m:.6g}"/><inertia ixx="{ixx:.6g}" ixy="0" ixz="0" '
        f'iyy="{iyy:.6g}" iyz="0" izz="{izz:.6g}"/></inertial><collision>{at}{solid}</collision></link>'
        '<joint name="hinge" type="revolute"><parent link="frame"/><child link="leaf"/>'
        f'<axis xyz="0 0 {door.swing}"/><limit lower="0" upper="{door.limit:.6g}" '
        'effort="200" velocity="10"/>'
        "</joint></robot>"
    )
