"""Opening any bag: rosbag2 folders and files, ROS 1 bags, zips; whole, cut off or damaged.

with open_bag("walk.zip") as bag:
    for message in bag.messages(topics=["/scan"]):
        scan = bag.decode(message)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.blocks import BlockFile
from lifelong_nav.replay.definitions import Codec
from lifelong_nav.replay.limits import ZSTD_MAGIC, BagLimits, Damage, decompress_message
from lifelong_nav.replay.locate import Location, locate
from lifelong_nav.replay.mcap_file import open_mcap
from lifelong_nav.replay.qos import TopicQos
from lifelong_nav.replay.ros1_file import open_ros1
from lifelong_nav.replay.source import Channel, Selection, merge
from lifelong_nav.replay.sqlite_file import SqliteFile, open_sqlite

_ALL_TIME = 1 << 64
_OPENERS: dict[str, Any] = {".mcap": open_mcap, ".db3": open_sqlite, ".bag": open_ros1}


@dataclass(frozen=True)
class Topic:
    """One topic of a bag: its type in ROS 2 form, how many messages, how it was offered."""

    name: str
    type: str
    count: int
    encoding: str
    qos: TopicQos
    definition: str
    type_hash: str


class BagMessage(NamedTuple):
    """One message: topic, type (pkg/msg/Name), stamp of recording [ns], bytes as stored, its stream."""

    topic: str
    type: str
    stamp: int
    data: bytes
    channel: Channel


class BagReader:
    """An open bag. Use `open_bag`; close it, or use it in a `with` block."""

    def __init__(
        self, path: Path, location: Location, files: list[BlockFile | SqliteFile], limits: BagLimits
    ) -> None:
        self.path = path
        self.limits = limits
        self.stack = ExitStack()
        self._distro = location.distro
        self._files = files
        self._found = location.findings
        self._codecs: dict[int, Codec] = {}
        self.topics = _topics(files)
        self.message_count = sum(topic.count for topic in self.topics.values())
        self._gather()
        declared = location.declared
        if declared is not None and declared > self.message_count:
            self._found.add(
                f"metadata.yaml counts {declared} messages, {self.message_count} are there.", lossy=True
            )
        sources = [source for file in files for source in file.sources()]
        self.start = min((source.start for source in sources), default=0)
        self.stop = max((source.stop for source in sources), default=0)

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Delete what was unpacked."""
        self.stack.close()

    @property
    def duration(self) -> float:
        """Seconds between the first and the last stamp."""
        return (self.stop - self.start) * 1e-9

    @property
    def lossy(self) -> bool:
        """True when messages are missing because the bag is damaged (known so far: reading finds more)."""
        self._gather()
        return self._found.lossy

    @property
    def notes(self) -> tuple[str, ...]:
        """What was wrong with the bag and what was done about it, in sentences."""
        self._gather()
        return tuple(self._found.notes)

    def messages(
        self, topics: Collection[str] | None = None, start: int | None = None, stop: int | None = None
    ) -> Iterator[BagMessage]:
        """Messages in the order of their stamps.

        Args:
            topics: only these; None for all. Unknown names are an error, not silence.
            start: first stamp [ns], inclusive.
            stop: last stamp [ns], exclusive.

        Raises:
            BagError: an unknown topic, or the file cannot be read any more.
        """
        if isinstance(topics, str):
            topics = [topics]
        unknown = sorted(set(topics or ()) - set(self.topics))
        if unknown:
            raise BagError(
                f"{self.path} has no topic {', '.join(unknown)}.",
                f"It has: {', '.join(sorted(self.topics))}.",
            )
        wanted = None if topics is None else frozenset(topics)
        selection = Selection(wanted, 0 if start is None else start, _ALL_TIME if stop is None else stop)
        return self._iterate(selection, complete=start is None and stop is None)

    def _iterate(self, selection: Selection, *, complete: bool) -> Iterator[BagMessage]:
        sources = [source for file in self._files for source in file.sources()]
        count = 0
        try:
            for stamp, channel, data in merge(sources, selection, self.limits.max_buffer_bytes):
                count += 1
                # CDR begins with 0, so a zstd frame cannot be taken for a message: this finds message
                # compression without trusting metadata.yaml.
                if data[:4] == ZSTD_MAGIC and channel.encoding == "cdr":
                    try:
                        data = decompress_message(data, self.limits)
                    except Damage as damage:
                        self._found.add(f"{channel.topic}: {damage}.", lossy=True)
                        continue
                yield BagMessage(channel.topic, channel.type, stamp, data, channel)
        except OSError as error:
            raise BagError(f"Reading {self.path} failed: {error.strerror}.", "Check the disk.") from error
        expected = sum(
            t.count for t in self.topics.values() if selection.topics is None or t.name in selection.topics
        )
        self._gather()
        if complete and count < expected:
            self._found.add(f"The index counts {expected} messages, {count} could be read.", lossy=True)

    def codec(self, channel: Channel) -> Codec:
        """What decodes the messages of a channel."""
        if id(channel) not in self._codecs:
            self._codecs[id(channel)] = Codec(channel, self._distro)
        return self._codecs[id(channel)]

    def cdr(self, message: BagMessage) -> bytes:
        """The message as ROS 2 CDR bytes, ready to be published.

        Raises:
            BagError: a ROS 1 message whose definition is unknown or that is corrupt.
        """
        return self.codec(message.channel).cdr(message.data)

    def decode(self, message: BagMessage) -> Any:
        """The message with its fields (rosbags dataclass).

        Raises:
            BagError: its definition is unknown or it is corrupt.
        """
        return self.codec(message.channel).decode(message.data)

    def verify(self) -> bool:
        """Read every message once, so that `lossy` and `notes` are complete; True when nothing is missing."""
        for _ in self.messages():
            pass
        return not self.lossy

    def _gather(self) -> None:
        for file in self._files:
            for note in file.findings.notes:
                self._found.add(note, lossy=file.findings.lossy)


def _topics(files: list[BlockFile | SqliteFile]) -> dict[str, Topic]:
    """All topics over all files; several publishers or files of one topic are one."""
    out: dict[str, Topic] = {}
    for file in files:
        for number, channel in file.channels.items():
            count = file.counts.get(number, 0)
            if (old := out.get(channel.topic)) is not None:
                qos = TopicQos(
                    old.qos.reliable and channel.qos.reliable,
                    old.qos.transient_local or channel.qos.transient_local,
                    max(old.qos.depth, channel.qos.depth),
                )
                out[old.name] = Topic(
                    old.name, old.type, old.count + count, old.encoding, qos, old.definition, old.type_hash
                )
                continue
            out[channel.topic] = Topic(
                channel.topic,
                channel.type,
                count,
                channel.encoding,
                channel.qos,
                channel.definition,
                channel.type_hash,
            )
    return out


def open_bag(path: Path | str, limits: BagLimits | None = None) -> BagReader:
    """Open a bag for reading.

    Args:
        path: rosbag2 folder, .mcap, .db3 or .bag file, any of them with .zstd, or a .zip with one bag.
        limits: caps on memory and disk.

    Returns:
        A reader; `lossy` and `notes` say what a damaged bag has lost.

    Raises:
        BagError: there is no bag, or nothing in it can be read; the message says what to do.
    """
    path, limits = Path(path), limits or BagLimits()
    with ExitStack() as stack:
        location = locate(path, limits, stack)
        files: list[BlockFile | SqliteFile] = []
        failures: list[BagError] = []
        for file in location.files:
            try:
                files.append(_OPENERS[file.suffix.lower()](file, limits))
            except BagError as error:
                failures.append(error)
                location.findings.add(error.what, lossy=True)
        if not files:
            raise failures[0]
        reader = BagReader(path, location, files, limits)
        if reader.message_count == 0 and reader.lossy:
            raise BagError(
                f"{path} is damaged and holds no whole message. {reader.notes[0]}", "Record or copy it again."
            )
        reader.stack = stack.pop_all()
        return reader
    raise AssertionError
