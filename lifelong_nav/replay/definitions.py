"""Message definitions: where they come from, and messages decoded or turned into CDR with them.

The definition embedded in a bag counts first, then the installed interfaces (`share/<package>/msg`),
then the ones that `rosbags` ships for every ROS release.
"""

from __future__ import annotations

import os
import re
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.source import Channel

OWN_PACKAGE = "lifelong_nav_interfaces"
_SEPARATOR = "=" * 80 + "\n"
_MAX_SEQUENCE = 1 << 26
_FRAMES = ("frame_id", "child_frame_id")
_SLASHED = re.compile(rb"[\x02-\x40]\0\0\0/[A-Za-z]")
"""A serialized string of up to 64 characters that begins with a slash."""
_HEAD = 1 << 16


def normal_type(name: str) -> str:
    """A type name in ROS 2 form: `sensor_msgs/LaserScan` becomes `sensor_msgs/msg/LaserScan`."""
    package, slash, rest = name.partition("/")
    return f"{package}/msg/{rest}" if slash and "/" not in rest else name


def share_folders() -> list[Path]:
    """The `share` folders in which ROS packages keep their .msg files, most specific first."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    return [Path(prefix) / "share" for prefix in dict.fromkeys([*prefixes, sys.prefix])]


def message_text(name: str) -> str | None:
    """The .msg text of `pkg/msg/Name` from the installed packages or, for ours, the source tree."""
    package, kind, short = (*name.split("/"), "", "")[:3]
    if kind != "msg" or not short.isidentifier() or not package.isidentifier():
        return None
    places = [share / package / "msg" / f"{short}.msg" for share in share_folders()]
    if package == OWN_PACKAGE:
        places.append(Path(__file__).parents[2] / "interfaces" / "msg" / f"{short}.msg")
    for place in places:
        if place.is_file():
            return place.read_text(encoding="utf-8")
    return None


@lru_cache(maxsize=16)
def live_types(distro: str = "latest") -> Any:
    """The rosbags typestore of a ROS release ("latest", "humble", ...) with our own messages added."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    names = {store.value.removeprefix("ros2_"): store for store in Stores}
    store = get_typestore(names.get(distro, Stores.LATEST))
    store.max_sequence_length = _MAX_SEQUENCE
    interfaces = Path(__file__).parents[2] / "interfaces" / "msg"
    folders = [share / OWN_PACKAGE / "msg" for share in share_folders()]
    for folder in [*folders, interfaces]:
        files = sorted(folder.glob("*.msg")) if folder.is_dir() else []
        found: dict[str, Any] = {}
        for file in files:
            found.update(
                get_types_from_msg(file.read_text(encoding="utf-8"), f"{OWN_PACKAGE}/msg/{file.stem}")
            )
        if found:
            store.register(found)
            break
    return store


def known_types(name: str, distro: str = "latest") -> Any | None:
    """A typestore that knows `name` and all it contains, or None; reads installed packages if it must."""
    store = live_types(distro)
    return store if name in store.fielddefs or _learn(store, name, 0) else None


def _learn(store: Any, name: str, depth: int) -> bool:
    from rosbags.typesys import get_types_from_msg

    text = message_text(name) if depth < 16 else None
    if text is None:
        return False
    types = get_types_from_msg(text, name)
    for _, (_, fields) in types.items():
        for _, desc in fields:
            inner = _inner(desc)
            if (
                inner
                and inner not in types
                and inner not in store.fielddefs
                and not _learn(store, inner, depth + 1)
            ):
                return False
    store.register({k: v for k, v in types.items() if k not in store.fielddefs})
    return True


def _inner(desc: Any) -> str | None:
    """The message type a field refers to, if it does."""
    while isinstance(desc[1], tuple) and isinstance(desc[1][0], tuple):
        desc = desc[1][0]
    return desc[1] if isinstance(desc[1], str) else None


def embedded_types(channel: Channel) -> Any | None:
    """A typestore of the definition that came with a channel; None where there is none that parses."""
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    if not channel.definition:
        return None
    types: dict[str, Any] = {}
    try:
        if channel.definition_format in ("ros2idl", "omgidl"):
            for part in channel.definition.split(_SEPARATOR):
                types.update(get_types_from_idl(part.split("\n", 1)[1] if part.startswith("IDL: ") else part))
        else:
            types.update(get_types_from_msg(channel.definition, channel.type))
        store = get_typestore(Stores.EMPTY)
        store.max_sequence_length = _MAX_SEQUENCE
        store.register(types)
        if channel.definition_format == "ros1msg" and "std_msgs/msg/Header" not in store.fielddefs:
            store.register(
                get_types_from_msg("uint32 seq\ntime stamp\nstring frame_id", "std_msgs/msg/Header")
            )
        return store if channel.type in store.fielddefs else None
    except Exception:  # the grammar raises many kinds on hostile text; all mean "no definition"
        return None


def _without_seq(source: Any) -> Any:
    """A copy of a ROS 1 typestore whose header is that of ROS 2."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.EMPTY)
    store.max_sequence_length = _MAX_SEQUENCE
    types = dict(source.fielddefs)
    constants, fields = types["std_msgs/msg/Header"]
    types["std_msgs/msg/Header"] = constants, [field for field in fields if field[0] != "seq"]
    store.register(types)
    return store


def _has_frames(store: Any, name: str, depth: int) -> bool:
    """Whether a message holds frame ids anywhere."""
    if depth > 16 or name not in store.fielddefs:
        return False
    fields = store.fielddefs[name][1]
    return any(f in _FRAMES or ((i := _inner(d)) and _has_frames(store, i, depth + 1)) for f, d in fields)


def _strip_frames(message: Any) -> None:
    """Take the leading slash off all frame ids: ROS 1 allowed it, tf2 and our buffer do not."""
    for name, value in vars(message).items():
        if name in _FRAMES and isinstance(value, str):
            object.__setattr__(message, name, value.lstrip("/"))
        elif hasattr(value, "__msgtype__"):
            _strip_frames(value)
        elif isinstance(value, list) and value and hasattr(value[0], "__msgtype__"):
            for item in value:
                _strip_frames(item)


class Codec:
    """Decodes the messages of one channel, and makes them fit for live subscribers.

    Args:
        channel: the stream, with its embedded definition.
        distro: ROS release of the recording, for bags without embedded definitions.
    """

    def __init__(self, channel: Channel, distro: str = "latest") -> None:
        self.channel = channel
        self.ros1 = channel.encoding == "ros1"
        own: Any = embedded_types(channel)
        live: Any = known_types(channel.type)
        recorded: Any = None if self.ros1 else known_types(channel.type, distro)
        self.source: Any = own or recorded
        self.target: Any = live
        if live is None:
            self.target = _without_seq(own) if self.ros1 and own is not None else self.source
        self.same = self.source is None or self.source is self.target or live is None or self._same_wire()
        self.cache: dict[str, object] = {}
        self.framed = self.ros1 and self.target is not None and _has_frames(self.target, channel.type, 0)

    def _same_wire(self) -> bool:
        from rosbags.convert.converter import is_same_wireformat

        try:
            return bool(is_same_wireformat(self.source, self.target, self.channel.type, self.channel.type))
        except KeyError:
            return False

    def cdr(self, data: bytes) -> bytes:
        """The message as CDR of today's definition of its type, for live subscribers.

        ROS 1 messages are converted (headers lose `seq`, frame ids their slash); messages of a ROS release
        that defined the type otherwise are migrated field by field; all others pass unchanged, unchecked.

        Raises:
            BagError: its definition is unknown or the bytes do not follow it.
        """
        if not self.ros1 and self.same:
            return data
        self._need()
        name = self.channel.type
        try:
            if not self.same:
                new = self._migrated(data)
            else:
                out = bytes(self.target.ros1_to_cdr(data, name))  # skips `seq` itself
                if not (self.framed and _SLASHED.search(data, 0, _HEAD)):
                    return out
                new = self.target.deserialize_cdr(out, name)
            if self.ros1:
                _strip_frames(new)
            return bytes(self.target.serialize_cdr(new, name))
        except Exception as error:
            raise self._bad(error) from error

    def _migrated(self, data: bytes) -> Any:
        from rosbags.convert.converter import migrate_message

        name = self.channel.type
        old = (
            self.source.deserialize_ros1(data, name) if self.ros1 else self.source.deserialize_cdr(data, name)
        )
        return migrate_message(self.source, self.target, name, name, self.cache, old)

    def decode(self, data: bytes) -> Any:
        """The message as a rosbags dataclass, by the definition it was recorded with (ROS 1: today's).

        Raises:
            BagError: its definition is unknown or the bytes do not follow it.
        """
        self._need()
        if self.channel.encoding not in ("cdr", "ros1"):
            raise self._bad(ValueError(f"messages are encoded as {self.channel.encoding!r}"))
        try:
            if self.ros1:
                return self.target.deserialize_cdr(self.cdr(data), self.channel.type)
            return self.source.deserialize_cdr(data, self.channel.type)
        except BagError:
            raise
        except Exception as error:
            raise self._bad(error) from error

    def _need(self) -> None:
        if self.source is None:
            raise BagError(
                f"The definition of {self.channel.type} ({self.channel.topic}) is unknown.",
                "Install its message package or leave the topic out.",
            )

    def _bad(self, error: Exception) -> BagError:
        return BagError(
            f"A message of {self.channel.type} on {self.channel.topic} cannot be decoded ({error}).",
            "The bag is corrupt there, or its definition is not the one it was recorded with.",
        )
