"""Writing bags: a rosbag2 folder with MCAP files, zstd chunks with checksums, our definitions embedded.

Chunks are closed about once a second of recorded time, so a kill loses at most the last of them; what
the reader finds before is whole. `metadata.yaml` is written at the end, by rename.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from lifelong_nav.core.config import param
from lifelong_nav.core.errors import BagError, StorageError
from lifelong_nav.core.storage import atomic_write
from lifelong_nav.replay.definitions import known_types, normal_type
from lifelong_nav.replay.qos import TopicQos, dump_qos

METADATA_VERSION = 9
_MIB = 1 << 20


@dataclass(frozen=True)
class WriterConfig:
    """How a bag is written."""

    chunk_bytes: int = param(_MIB, "B", 1024, 64 * _MIB, "A chunk is closed at this size.")
    flush_period: float = param(
        1.0, "s", 0.0, 3600.0, "A chunk is closed after this much recorded time, and survives a kill."
    )
    split_bytes: int = param(0, "B", 0, 1 << 40, "Begin a new file at this size; 0 never splits.")
    min_free_bytes: int = param(
        512 * _MIB, "B", 0, 1 << 40, "Recording stops before less than this is free on the disk."
    )
    sync: bool = param(False, "", doc="Also survive a power cut: fsync at every flush (slow on SD cards).")


@dataclass
class _Stream:
    """One topic of the recording."""

    topic: str
    type: str
    definition: str
    form: str
    type_hash: str
    qos: TopicQos
    count: int = 0
    channel: int = 0


@dataclass
class _File:
    """One storage file: its counts and time range [ns]."""

    name: str
    count: int = 0
    start: int = 0
    stop: int = 0


class _ReserveReached(OSError):
    """The disk is nearly full, with room left to close the bag in order."""


@dataclass
class _State:
    streams: dict[str, _Stream] = field(default_factory=dict)
    files: list[_File] = field(default_factory=list)
    schemas: dict[str, int] = field(default_factory=dict)
    flushed: int = 0
    failed: str = ""
    closed: bool = False


class BagWriter:
    """Records serialized messages. Use it in a `with` block, or call `close`.

    Args:
        path: folder of the new bag; it must not exist.
        config: chunk and file sizes, disk reserve.
        distro: ROS release named in the metadata.

    Raises:
        BagError: the folder exists or cannot be made.
    """

    def __init__(self, path: Path | str, config: WriterConfig | None = None, distro: str = "") -> None:
        self.path = Path(path)
        self.config = config or WriterConfig()
        self.distro = distro or os.environ.get("ROS_DISTRO", "kilted")
        self._state = _State()
        self._file: IO[bytes] | None = None
        self._mcap: Any = None
        self._whole = 0
        try:
            self.path.mkdir(parents=True)
        except FileExistsError as error:
            raise BagError(
                f"{self.path} exists.", "Bags are never overwritten: name a new folder."
            ) from error
        except OSError as error:
            raise BagError(
                f"Cannot make {self.path}: {error.strerror}.", "Choose a folder you may write."
            ) from error
        self._guarded(self._open_file)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._finish(quiet=True)

    @property
    def message_count(self) -> int:
        """Messages written so far."""
        return sum(stream.count for stream in self._state.streams.values())

    def add_topic(
        self, topic: str, type_name: str, definition: str = "", form: str = "ros2msg",
        type_hash: str = "", qos: TopicQos | None = None,
    ) -> None:  # fmt: skip
        """Announce a topic; a second call with the same type does nothing.

        Args:
            topic: its name.
            type_name: pkg/msg/Name.
            definition: message definition with dependencies; found by itself for known types.
            form: "ros2msg" or "ros2idl", how the definition is written.
            type_hash: RIHS01 hash; computed for known types.
            qos: how publishers offer it.

        Raises:
            BagError: the topic has another type already, or the definition cannot be found.
        """
        type_name = normal_type(type_name)
        if (old := self._state.streams.get(topic)) is not None:
            if old.type != type_name:
                raise BagError(
                    f"{topic} is recorded as {old.type}, not {type_name}.", "Remap one of the two."
                )
            return
        if not definition:
            store = known_types(type_name)
            if store is None:
                raise BagError(
                    f"The definition of {type_name} ({topic}) is unknown.",
                    "Install its message package or leave the topic out.",
                )
            definition, form = store.generate_msgdef(type_name, ros_version=2)[0], "ros2msg"
            type_hash = store.hash_rihs01(type_name)
        stream = _Stream(topic, type_name, definition, form, type_hash, qos or TopicQos())
        self._guarded(lambda: self._register(stream))
        self._state.streams[topic] = stream

    def write(self, topic: str, stamp: int, data: bytes | memoryview) -> None:
        """Append one message.

        Args:
            topic: announced with `add_topic`.
            stamp: time of recording [ns].
            data: the message as CDR.

        Raises:
            BagError: unknown topic, the disk is full, or the writer has stopped.
        """
        stream = self._state.streams.get(topic)
        if stream is None:
            raise BagError(f"{topic} was not announced.", "Call add_topic first.")
        if not 0 <= stamp < 1 << 63:
            raise BagError(f"{topic}: the stamp {stamp} ns cannot be stored.", "Check the clock.")
        self._guarded(lambda: self._write(stream, stamp, bytes(data)))

    def flush(self) -> None:
        """Close the chunk in progress, so that a kill loses nothing written before this call."""
        self._guarded(self._flush)

    def close(self) -> None:
        """Finish the file and write metadata.yaml; further calls do nothing.

        Raises:
            BagError: the disk is full; what was flushed before stays readable.
        """
        self._finish(quiet=bool(self._state.failed))

    # ---- inside ------------------------------------------------------------------------------------

    def _guarded(self, act: Any) -> None:
        """Run a write; after the first failure the recording is over, with what is whole kept."""
        if self._state.failed or self._state.closed:
            raise BagError(
                f"The recording {self.path} has stopped ({self._state.failed or 'closed'}).",
                "Start a new one.",
            )
        try:
            act()
        except OSError as error:
            self._state.failed = error.strerror or str(error)
            if not isinstance(error, _ReserveReached):
                self._abandon()
            self._finish(quiet=True)
            raise BagError(
                f"Recording to {self.path} stopped: {self._state.failed}.",
                "Free disk space and start a new recording; what was recorded before is kept.",
            ) from error

    def _open_file(self) -> None:
        from mcap.writer import CompressionType, Writer

        name = f"{self.path.name}_{len(self._state.files)}.mcap"
        self._file = (self.path / name).open("xb")
        self._mcap = Writer(self._file, chunk_size=self.config.chunk_bytes, compression=CompressionType.ZSTD)
        self._mcap.start(profile="ros2", library="lifelong_nav")
        self._file.flush()
        self._whole = self._file.tell()
        self._state.files.append(_File(name))
        self._state.schemas.clear()
        for stream in self._state.streams.values():
            self._register(stream)

    def _register(self, stream: _Stream) -> None:
        schemas = self._state.schemas
        if stream.type not in schemas:
            schemas[stream.type] = self._mcap.register_schema(
                stream.type, stream.form, stream.definition.encode()
            )
        extra = {
            "offered_qos_profiles": yaml.safe_dump(dump_qos(stream.qos), sort_keys=False),
            "topic_type_hash": stream.type_hash,
        }
        stream.channel = self._mcap.register_channel(stream.topic, "cdr", schemas[stream.type], extra)

    def _write(self, stream: _Stream, stamp: int, data: bytes) -> None:
        file = self._state.files[-1]
        split = self.config.split_bytes
        if split and file.count and self._file is not None and self._file.tell() >= split:
            self._end_file()
            self._open_file()
            file = self._state.files[-1]
        self._mcap.add_message(stream.channel, stamp, data, stamp, stream.count & 0xFFFFFFFF)
        file.start = min(file.start, stamp) if file.count else stamp
        file.stop = max(file.stop, stamp)
        file.count += 1
        stream.count += 1
        if abs(stamp - self._state.flushed) >= self.config.flush_period * 1e9:
            self._state.flushed = stamp
            self._flush()

    def _flush(self) -> None:
        if self._file is None:
            return
        free = shutil.disk_usage(self.path).free
        if free < self.config.min_free_bytes:
            reserve = self.config.min_free_bytes // _MIB
            raise _ReserveReached(errno.ENOSPC, f"only {free // _MIB} MiB are free, {reserve} are reserved")
        self._mcap.flush()
        self._whole = self._file.tell()
        if self.config.sync:
            os.fsync(self._file.fileno())

    def _end_file(self) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            self._mcap.finish()
            file.flush()
            os.fsync(file.fileno())
        finally:
            file.close()

    def _abandon(self) -> None:
        """Cut the file back to its last whole chunk; there may be no room for an index."""
        file, self._file = self._file, None
        if file is None:
            return
        path = self.path / self._state.files[-1].name
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            os.truncate(path, self._whole)

    def _finish(self, *, quiet: bool) -> None:
        if self._state.closed:
            return
        self._state.closed = True
        problem: Exception | None = None
        try:
            self._end_file()
        except OSError as error:
            problem = error
        try:
            text = yaml.safe_dump(self._metadata(), sort_keys=False, width=1000)
            atomic_write(self.path / "metadata.yaml", text.encode())
        except StorageError as error:
            problem = problem or error
        if problem is not None and not quiet:
            raise BagError(
                f"The recording {self.path} could not be finished ({problem}).",
                "Free disk space; the messages before are kept and `open_bag` reads them.",
            ) from problem

    def _metadata(self) -> dict[str, Any]:
        files = self._state.files
        filled = [file for file in files if file.count]
        start = min((file.start for file in filled), default=0)
        stop = max((file.stop for file in filled), default=0)
        topics = [
            {
                "topic_metadata": {
                    "name": stream.topic,
                    "type": stream.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": dump_qos(stream.qos),
                    "type_description_hash": stream.type_hash,
                },
                "message_count": stream.count,
            }
            for stream in self._state.streams.values()
        ]
        info = {
            "version": METADATA_VERSION,
            "storage_identifier": "mcap",
            "duration": {"nanoseconds": stop - start},
            "starting_time": {"nanoseconds_since_epoch": start},
            "message_count": self.message_count,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [file.name for file in files],
            "files": [
                {
                    "path": file.name,
                    "starting_time": {"nanoseconds_since_epoch": file.start},
                    "duration": {"nanoseconds": file.stop - file.start},
                    "message_count": file.count,
                }
                for file in files
            ],
            "custom_data": None,
            "ros_distro": self.distro,
        }
        return {"rosbag2_bagfile_information": info}
