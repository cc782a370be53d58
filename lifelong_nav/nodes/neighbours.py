"""Is another stack running where ours would? Two on one domain would drive each other's robots."""

from __future__ import annotations

import time
from collections.abc import Collection

import rclpy

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.nodes.scripted import context

_DISCOVERY = 1.0


def refuse_company(names: Collection[str], namespace: str = "") -> None:
    """Look at the graph for a second and refuse to start beside nodes of the same names.

    Args:
        names: of the nodes about to start.
        namespace: theirs.

    Raises:
        ConfigError: some of them run already.
    """
    wanted = {(name, f"/{namespace.strip('/')}") for name in names}
    with context():
        node = rclpy.create_node(f"look_{time.monotonic_ns()}")
        try:
            end = time.monotonic() + _DISCOVERY
            found: set[tuple[str, str]] = set()
            while time.monotonic() < end and not found:
                found = wanted & set(node.get_node_names_and_namespaces())
                time.sleep(0.05)
        finally:
            node.destroy_node()
    if found:
        raise ConfigError(
            f"A stack runs here already ({', '.join(sorted(name for name, _ in found))}).",
            "Stop it, or start this one with another ROS_DOMAIN_ID or --namespace.",
        )
