"""Small bags for the tests, made with the libraries other people use (rosbags) and by hand."""

from pathlib import Path

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

SECOND = 1_000_000_000


def store2():
    store = get_typestore(Stores.LATEST)
    folder = Path(__file__).resolve().parent.parent / "interfaces" / "msg"
    types = {}
    for file in folder.glob("*.msg"):
        types.update(get_types_from_msg(file.read_text(), f"lifelong_nav_interfaces/msg/{file.stem}"))
    store.register(types)
    return store


def messages(store, count, beams=20, seed=0):
    """(topic, type, stamp, message): scans at 10 Hz, odometry at 20 Hz, one person message per second."""
    t = store.types
    rng = np.random.default_rng(seed)

    def header(stamp, frame):
        time = t["builtin_interfaces/msg/Time"](int(stamp // SECOND), int(stamp % SECOND))
        cls = t["std_msgs/msg/Header"]
        return cls(0, time, frame) if "seq" in cls.__annotations__ else cls(time, frame)

    out = []
    for i in range(count):
        stamp = 5 * SECOND + i * SECOND // 10
        scan = t["sensor_msgs/msg/LaserScan"](
            header(stamp, "laser"), -1.0, 1.0, 2.0 / beams, 0.0, 0.1, 0.05, 10.0,
            rng.uniform(1, 5, beams).astype(np.float32), np.zeros(0, np.float32),
        )  # fmt: skip
        out.append(("/scan", "sensor_msgs/msg/LaserScan", stamp, scan))
        point, quaternion = t["geometry_msgs/msg/Point"], t["geometry_msgs/msg/Quaternion"]
        vector, twist = t["geometry_msgs/msg/Vector3"], t["geometry_msgs/msg/Twist"]
        for half in range(2):
            s = stamp + half * SECOND // 20
            pose = t["geometry_msgs/msg/PoseWithCovariance"](
                t["geometry_msgs/msg/Pose"](point(0.1 * i, 0.0, 0.0), quaternion(0.0, 0.0, 0.0, 1.0)),
                np.zeros(36),
            )
            speed = t["geometry_msgs/msg/TwistWithCovariance"](
                twist(vector(0.5, 0.0, 0.0), vector(0.0, 0.0, 0.1)), np.zeros(36)
            )
            odom = t["nav_msgs/msg/Odometry"](header(s, "odom"), "base_link", pose, speed)
            out.append(("/odom", "nav_msgs/msg/Odometry", s, odom))
        if i % 10 == 0 and "lifelong_nav_interfaces/msg/TrackedPeople" in t:
            people = t["lifelong_nav_interfaces/msg/TrackedPeople"](header(stamp, "odom"), [])
            out.append(("/people", "lifelong_nav_interfaces/msg/TrackedPeople", stamp, people))
    out.sort(key=lambda item: item[2])
    return out


def write2(path, count=20, storage="mcap", mode="none", seed=0, beams=20):
    """A rosbag2 folder by the rosbags library; returns [(topic, stamp, cdr)]."""
    store = store2()
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    writer = Writer2(path, version=9, storage_plugin=plugin)
    writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    out = []
    with writer:
        connections = {}
        for topic, kind, stamp, message in messages(store, count, beams, seed):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            data = bytes(store.serialize_cdr(message, kind))
            writer.write(connections[topic], stamp, data)
            out.append((topic, stamp, data))
    return out


def write1(path, count=20, compression=None, chunk_threshold=None):
    """A ROS 1 bag by the rosbags library; returns [(topic, stamp, message)]."""
    store = get_typestore(Stores.ROS1_NOETIC)
    writer = Writer1(path)
    if compression:
        writer.set_compression(Writer1.CompressionFormat[compression.upper()])
    if chunk_threshold:
        writer.chunk_threshold = chunk_threshold
    out = []
    with writer:
        connections = {}
        for topic, kind, stamp, message in messages(store, count):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], stamp, bytes(store.serialize_ros1(message, kind)))
            out.append((topic, stamp, message))
    return out


def ours(path, count=20, config=None, beams=20, seed=0):
    """A bag by our writer; returns [(topic, stamp, cdr)]."""
    from lifelong_nav.replay.writer import BagWriter, WriterConfig

    store = store2()
    out = []
    with BagWriter(path, config or WriterConfig(min_free_bytes=0)) as writer:
        for topic, kind, stamp, message in messages(store, count, beams, seed):
            writer.add_topic(topic, kind)
            data = bytes(store.serialize_cdr(message, kind))
            writer.write(topic, stamp, data)
            out.append((topic, stamp, data))
    return out


def read_all(path, limits=None):
    """([(topic, stamp, cdr)], lossy, notes) with our reader."""
    from lifelong_nav.replay.reader import open_bag

    with open_bag(path, limits) as bag:
        got = [(m.topic, m.stamp, bag.cdr(m)) for m in bag.messages()]
        return got, bag.lossy, bag.notes
