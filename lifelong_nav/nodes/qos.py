"""The QoS profiles that the topic table names."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _profile(depth: int, reliable: bool = True, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


PROFILES: dict[str, QoSProfile] = {
    "sensor": _profile(5, reliable=False),
    "reliable": _profile(10),
    "latched": _profile(1, latched=True),
    "heartbeat": _profile(50),
    "clock": _profile(1, reliable=False),
    "tf": _profile(100),
    "tf_static": _profile(100, latched=True),
}
