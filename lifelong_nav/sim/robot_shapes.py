"""The robot's looks, read from its URDF: primitives and the Panda's low-polygon meshes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lifelong_nav.core.errors import SimError
from lifelong_nav.core.geometry import matrix, rpy_to_xyzw
from lifelong_nav.core.types import FloatArray, Pose3
from lifelong_nav.sim.robot_urdf import robot_urdf
from lifelong_nav.sim.shapes import ROBOT_ID, Shape


@lru_cache(maxsize=1)
def robot_shapes() -> tuple[tuple[str, Shape], ...]:
    """Every visual of the robot: its link's name and the shape in that link's frame.

    Shape ids are `ROBOT_ID` + the link's place in the URDF (base 0).
    """
    root = ET.fromstring(robot_urdf())  # noqa: S314  (our own text)
    out = []
    for index, link in enumerate(root.findall("link")):
        for visual in link.findall("visual"):
            out.append((str(link.get("name")), _shape(visual, ROBOT_ID + index)))
    return tuple(out)


def _shape(visual: ET.Element, body: int) -> Shape:
    origin, geometry = visual.find("origin"), visual.find("geometry")
    colour_element = visual.find("material/color")
    if origin is None or geometry is None or colour_element is None:
        raise SimError("A visual of the robot's URDF is incomplete.", "Mend robot_urdf.py.")
    xyz, rpy = _numbers(origin, "xyz"), _numbers(origin, "rpy")
    pose = matrix(Pose3(xyz, rpy_to_xyzw(*rpy)))
    red, green, blue, _ = _numbers(colour_element, "rgba")
    colour = (float(red), float(green), float(blue))
    solid = geometry[0]
    if solid.tag == "box":
        x, y, z = _numbers(solid, "size")
        return Shape("box", (float(x), float(y), float(z)), colour, body, pose)
    if solid.tag == "mesh":
        vertices, faces = load_obj(Path(str(solid.get("filename"))))
        return Shape("mesh", (1.0, 1.0, 1.0), colour, body, pose, vertices, faces)
    across = 2.0 * float(str(solid.get("radius")))
    length = float(solid.get("length", across))
    return Shape(
        "cylinder" if solid.tag == "cylinder" else "sphere", (across, across, length), colour, body, pose
    )


def load_obj(path: Path) -> tuple[FloatArray, NDArray[np.int64]]:
    """Vertices (V, 3) and triangles (F, 3) of a Wavefront OBJ file; polygons are fanned."""
    vertices: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(w) for w in words[1:4]])
        elif words[0] == "f":
            corners = [int(w.split("/")[0]) for w in words[1:]]
            corners = [c - 1 if c > 0 else len(vertices) + c for c in corners]
            faces += [(corners[0], corners[i], corners[i + 1]) for i in range(1, len(corners) - 1)]
    points, triangles = np.array(vertices), np.array(faces, dtype=np.int64)
    merged, back = np.unique(points.round(6), axis=0, return_inverse=True)
    return merged, back.reshape(-1)[triangles]


def _numbers(element: ET.Element, name: str) -> FloatArray:
    return np.array([float(v) for v in str(element.get(name)).split()])
