"""Reading ROS 1 bags (format 2.0), indexed or not: http://wiki.ros.org/Bags/Format/2.0."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.blocks import LOOSE_BYTES, Block, BlockFile, Entry
from lifelong_nav.replay.definitions import normal_type
from lifelong_nav.replay.limits import BagLimits, Damage, file_size, read_range
from lifelong_nav.replay.qos import TopicQos
from lifelong_nav.replay.source import Channel

MAGIC = b"#ROSBAG V2.0\n"
_U32 = struct.Struct("<I")
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 4, 5, 6, 7
_KNOWN = {_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION}
_MAX_HEADER = 1 << 20
_NO_MARK = 0


def _fields(data: bytes) -> dict[bytes, bytes]:
    """The name=value fields of a record header.

    Raises:
        Damage: the lengths do not add up.
    """
    out: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise Damage("a record header is corrupt")
        (length,) = _U32.unpack_from(data, at)
        name, equals, value = data[at + 4 : at + 4 + length].partition(b"=")
        if not equals or at + 4 + length > len(data):
            raise Damage("a record header is corrupt")
        out[name] = value
        at += 4 + length
    return out


def _number(fields: dict[bytes, bytes], name: bytes, size: int = 4) -> int:
    value = fields.get(name, b"")
    if len(value) != size:
        raise Damage(f"a record lacks its field {name.decode()}")
    return int.from_bytes(value, "little")


def _stamp(fields: dict[bytes, bytes], name: bytes) -> int:
    both = _number(fields, name, 8)
    return (both & 0xFFFFFFFF) * 1_000_000_000 + (both >> 32)


class _Ros1Parser:
    """Fills a `BlockFile` from one ROS 1 bag."""

    def __init__(self, out: BlockFile, file: BinaryIO, size: int) -> None:
        self.out, self.file, self.size = out, file, size

    def connection(self, fields: dict[bytes, bytes], data: bytes) -> None:
        number = _number(fields, b"conn")
        if number in self.out.channels:
            return
        more = _fields(data)
        name = normal_type(more.get(b"type", b"").decode("utf-8", "replace"))
        topic = fields.get(b"topic", b"").decode("utf-8", "replace")
        latched = more.get(b"latching", b"0") == b"1"
        channel = Channel(
            "/" * topic.startswith("/") + "/".join(part for part in topic.split("/") if part),
            {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}.get(name, name),
            "ros1",
            more.get(b"message_definition", b"").decode("utf-8", "replace"),
            "ros1msg",
            more.get(b"md5sum", b"").decode("utf-8", "replace"),
            TopicQos(transient_local=latched),
        )
        self.out.add_channel(number, channel)

    def parse(self, content: bytes, cut: bool) -> list[Entry]:
        """Messages in chunk content, or in a stretch of the file; learns connections."""
        entries = []
        at, end = 0, len(content)
        try:
            while at < end:
                head = _U32.unpack_from(content, at)[0] if at + 4 <= end else end
                data_at = at + 8 + head
                size = _U32.unpack_from(content, data_at - 4)[0] if data_at <= end else end
                if data_at + size > end:
                    raise Damage("a chunk ends inside a record")
                fields = _fields(content[at + 4 : at + 4 + head])
                op = _number(fields, b"op", 1)
                if op == _MESSAGE:
                    entries.append(
                        Entry(_stamp(fields, b"time"), _number(fields, b"conn"), data_at, data_at + size)
                    )
                elif op == _CONNECTION:
                    self.connection(fields, content[data_at : data_at + size])
                at = data_at + size
        except Damage as damage:
            if not cut:
                note = f"{self.out.path.name}: {damage}; the messages before were kept."
                self.out.findings.add(note, lossy=True)
        return entries

    def record(self, at: int) -> tuple[dict[bytes, bytes], int, int]:
        """Header fields, offset and length of the data of the record at `at`; `Damage` when cut off."""
        head = read_range(self.file, at, 4)
        length = _U32.unpack(head)[0] if len(head) == 4 else 0
        if not 0 < length <= _MAX_HEADER or at + 8 + length > self.size:
            raise Damage("a record is cut off")
        raw = read_range(self.file, at + 4, length + 4)
        if len(raw) != length + 4:
            raise Damage("a record is cut off")
        fields = _fields(raw[:length])
        if _number(fields, b"op", 1) not in _KNOWN:
            raise Damage("a record of an unknown kind")
        return fields, at + 8 + length, _U32.unpack_from(raw, length)[0]

    def from_index(self) -> bool:
        """Take connections, chunks and counts from the index at the end; False where it is not whole."""
        try:
            fields, begin, length = self.record(len(MAGIC))
            if _number(fields, b"op", 1) != _BAG:
                return False
            if fields.get(b"encryptor"):
                raise BagError(f"{self.out.path} is encrypted.", "Decrypt it first.")
            at = _number(fields, b"index_pos", 8)
            wanted = _number(fields, b"conn_count"), _number(fields, b"chunk_count")
            if at < begin + length or at > self.size:
                return False
            connections, last = 0, begin + length
            while at < self.size:
                fields, data, size = self.record(at)
                if data + size > self.size:
                    return False
                if fields[b"op"][0] == _CONNECTION and size <= self.out.limits.max_definition_bytes:
                    self.connection(fields, read_range(self.file, data, size))
                    connections += 1
                elif fields[b"op"][0] == _CHUNK_INFO:
                    last = self.chunk_info(fields, data, size, last)
                else:
                    return False
                at = data + size
        except Damage:
            return False
        return (connections, len(self.out.blocks)) == wanted

    def chunk_info(self, fields: dict[bytes, bytes], data: int, size: int, last: int) -> int:
        """Add the chunk an index record points at; where that chunk ends."""
        chunk = _number(fields, b"chunk_pos", 8)
        start, stop = _stamp(fields, b"start_time"), _stamp(fields, b"end_time")
        if (
            chunk < last
            or size != 8 * _number(fields, b"count")
            or size > self.out.limits.max_definition_bytes
        ):
            raise Damage("the index is corrupt")
        block = self.chunk(*self.record(chunk))
        self.out.add_block(block._replace(start=start, stop=max(start, stop)))
        pairs = struct.unpack(f"<{size // 4}I", read_range(self.file, data, size))
        for number, count in zip(pairs[::2], pairs[1::2], strict=True):
            self.out.counts[number] = self.out.counts.get(number, 0) + count
        return block.offset + block.length

    def chunk(self, fields: dict[bytes, bytes], data: int, size: int) -> Block:
        if _number(fields, b"op", 1) != _CHUNK:
            raise Damage("a chunk is not where the index says")
        kind = fields.get(b"compression", b"").decode("utf-8", "replace")
        here = min(size, self.size - data)
        return Block(data, here, kind, _number(fields, b"size"), _NO_MARK, 0, 0, here < size)

    def walk(self) -> None:
        """Read every record from the start; stop where the file stops making sense."""
        at, loose = len(MAGIC), -1
        name, add = self.out.path.name, self.out.findings.add
        ended = False
        while at < self.size:
            try:
                fields, data, size = self.record(at)
                op = fields[b"op"][0]
            except Damage:
                fields, data, size, op = {}, self.size, 1, 0
            whole = data + size <= self.size
            small = whole and op in (_MESSAGE, _CONNECTION)
            if loose >= 0 and (not small or data + size - loose > LOOSE_BYTES):
                self.out.try_index(Block(loose, at - loose, "", at - loose, _NO_MARK, 0, 0))
                loose = -1
            if op == _CHUNK:
                try:
                    self.out.try_index(self.chunk(fields, data, size))
                except Damage as damage:
                    add(f"{name}: at byte {at}: {damage}.", lossy=True)
            elif small:
                loose = at if loose < 0 else loose
            ended = ended or op == _CHUNK_INFO
            if not whole:
                add(
                    f"{name}: cut off or corrupt at byte {at}; what is whole before was kept.",
                    lossy=not ended,
                )
                return
            at = data + size
        if loose >= 0:
            self.out.try_index(Block(loose, at - loose, "", at - loose, _NO_MARK, 0, 0))
        if ended:
            add(f"{name}: the index was damaged and was rebuilt.", lossy=False)
        else:
            add(f"{name}: was never closed; what was written before was kept.", lossy=True)


def open_ros1(path: Path, limits: BagLimits) -> BlockFile:
    """Index one ROS 1 .bag file.

    Returns:
        The file's channels, chunks and counts; `findings` says what could not be used.

    Raises:
        BagError: missing, empty, encrypted, or not a ROS 1 bag of format 2.0.
    """
    size = file_size(path)
    out = BlockFile(path, limits)
    try:
        with path.open("rb") as file:
            magic = read_range(file, 0, len(MAGIC))
            if magic != MAGIC:
                old = magic.startswith(b"#ROSBAG V1")
                fix = (
                    "Convert it with `rosbag fix`."
                    if old
                    else "Check its name, or whether it was copied whole."
                )
                raise BagError(f"{path} is not a ROS 1 bag of format 2.0.", fix)
            parser = _Ros1Parser(out, file, size)
            out.parse = parser.parse
            if not parser.from_index():
                out.channels.clear()
                out.counts.clear()
                out.blocks.clear()
                out.definition_bytes = 0
                parser.walk()
    except OSError as error:
        raise BagError(f"Cannot read {path}: {error.strerror}.", "Check its permissions and disk.") from error
    return out
