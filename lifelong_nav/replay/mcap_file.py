"""Reading MCAP: the index at the end where it is whole, else every record from the start.

Format: https://mcap.dev/spec. The parsers of the `mcap` and `rosbags` libraries trust declared sizes (a
message cut short comes out short, lz4 chunks unpack without bound), so records are read here; both
libraries check this reader in the tests.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.blocks import LOOSE_BYTES, Block, BlockFile, Entry
from lifelong_nav.replay.definitions import normal_type
from lifelong_nav.replay.limits import BagLimits, Damage, file_size, read_range
from lifelong_nav.replay.qos import parse_qos
from lifelong_nav.replay.source import Channel

MAGIC = b"\x89MCAP0\r\n"
_HEADER = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQQ")
_CHUNK = struct.Struct("<QQQII")
_SCHEMA, _CHANNEL, _MESSAGE_OP, _CHUNK_OP, _CHUNK_INDEX, _STATISTICS, _DATA_END = 3, 4, 5, 6, 8, 11, 15
_FOOTER_BYTES = 9 + 20 + 8
_LOOSE = -1


class _Fields:
    """Bounds-checked reading of a record body."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> int:
        return int(self.unpack(struct.Struct("<" + form))[0])

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        if self.at + form.size > len(self.data):
            raise Damage("a record is shorter than its fields")
        values = form.unpack_from(self.data, self.at)
        self.at += form.size
        return values

    def sized(self) -> bytes:
        size = self.take("I")
        if self.at + size > len(self.data):
            raise Damage("a record is shorter than its fields")
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        return self.sized().decode("utf-8", "replace")


class _McapParser:
    """Fills a `BlockFile` from one MCAP file."""

    def __init__(self, out: BlockFile, file: BinaryIO, size: int) -> None:
        self.out, self.file, self.size = out, file, size
        self.schemas: dict[int, tuple[str, str, str]] = {}

    def schema(self, body: bytes) -> None:
        fields = _Fields(body)
        number = fields.take("H")
        name, form, text = fields.text(), fields.text(), fields.text()
        if number not in self.schemas:
            self.out.definition_bytes += len(text) + len(name) + 200
            if self.out.definition_bytes > self.out.limits.max_definition_bytes:
                raise Damage("the topics and message definitions exceed max_definition_bytes")
            self.schemas[number] = (name, form, text)

    def channel(self, body: bytes) -> None:
        fields = _Fields(body)
        number, schema = fields.take("H"), fields.take("H")
        if number in self.out.channels:
            return
        topic, encoding = fields.text(), fields.text()
        meta = _Fields(fields.sized())
        extra: dict[str, str] = {}
        while meta.at < len(meta.data):
            key = meta.text()
            extra[key] = meta.text()
        name, form, text = self.schemas.get(schema, ("", "", ""))
        channel = Channel(
            topic, normal_type(name), encoding, text, form,
            extra.get("topic_type_hash", ""), parse_qos(extra.get("offered_qos_profiles", "")),
        )  # fmt: skip
        self.out.add_channel(number, channel)

    def parse(self, content: bytes, cut: bool) -> list[Entry]:
        """Messages in chunk content, or in a stretch of the data section; learns schemas and channels."""
        entries = []
        at, end = 0, len(content)
        while at < end:
            op, length = _HEADER.unpack_from(content, at) if at + 9 <= end else (0, end)
            at += 9
            if at + length > end or (op == _MESSAGE_OP and length < 22):
                if not cut:
                    note = f"{self.out.path.name}: a chunk is corrupt inside; its first messages were kept."
                    self.out.findings.add(note, lossy=True)
                break
            if op == _MESSAGE_OP:
                channel, _, stamp, _ = _MESSAGE.unpack_from(content, at)
                entries.append(Entry(stamp, channel, at + 22, at + length))
            elif op == _SCHEMA:
                self.schema(content[at : at + length])
            elif op == _CHANNEL:
                self.channel(content[at : at + length])
            at += length
        return entries

    def check(self, content: bytes, block: Block) -> None:
        """Compare a chunk with its own header: sizes and checksum (the index repeats only the sizes)."""
        if block.mark == _LOOSE:
            return
        kind = block.kind.encode()
        begin = block.offset - 8 - len(kind) - _CHUNK.size - 9
        with self.out.path.open("rb") as file:
            header = read_range(file, begin, block.offset - begin)
        if len(header) < 9 + _CHUNK.size:
            raise Damage("a chunk is cut off")
        start, stop, _, crc, _ = _CHUNK.unpack_from(header, 9)
        expected = _HEADER.pack(_CHUNK_OP, block.offset - begin - 9 + block.length)
        expected += (
            _CHUNK.pack(start, stop, block.size, crc, len(kind)) + kind + struct.pack("<Q", block.length)
        )
        if header != expected:
            raise Damage("a chunk is not where the index says")
        if crc and zlib.crc32(content) != crc:
            raise Damage("the checksum of a chunk is wrong")

    def from_index(self) -> bool:
        """Take channels, chunks and counts from the summary; False where it is not whole."""
        if self.size < 8 + _FOOTER_BYTES:
            return False
        tail = read_range(self.file, self.size - _FOOTER_BYTES, _FOOTER_BYTES)
        if tail[:9] != _HEADER.pack(2, 20) or tail[29:] != MAGIC:
            return False
        begin, _, crc = struct.unpack_from("<QQI", tail, 9)
        length = self.size - _FOOTER_BYTES - begin
        if begin < 8 or length <= 0 or length > self.out.limits.max_record_bytes:
            return False
        summary = read_range(self.file, begin, length)
        if crc and zlib.crc32(tail[:25], zlib.crc32(summary)) != crc:
            return False
        try:
            return self.summary(summary, begin)
        except Damage:
            return False

    def summary(self, data: bytes, end: int) -> bool:
        """Read the summary section; `end` is where the data section stops."""
        statistics: _Fields | None = None
        blocks: list[Block] = []
        at = 0
        while at + 9 <= len(data):
            op, length = _HEADER.unpack_from(data, at)
            body = data[at + 9 : at + 9 + length]
            if len(body) != length:
                return False
            if op == _SCHEMA:
                self.schema(body)
            elif op == _CHANNEL:
                self.channel(body)
            elif op == _STATISTICS:
                statistics = _Fields(body)
            elif op == _CHUNK_INDEX:
                blocks.append(_indexed_chunk(body, end))
            at += 9 + length
        if statistics is None:
            return False
        messages = statistics.take("Q")
        _, channels, _, _, chunks = statistics.unpack(struct.Struct("<HIIII"))
        statistics.unpack(struct.Struct("<QQ"))
        counts = _Fields(statistics.sized())
        per_channel = {counts.take("H"): counts.take("Q") for _ in range(len(counts.data) // 10)}
        blocks.sort()
        apart = all(a.offset + a.length <= b.offset for a, b in itertools.pairwise(blocks))
        whole = channels == len(self.out.channels) and chunks == len(blocks) and apart
        if not whole or (messages and not blocks) or sum(per_channel.values()) != messages:
            return False
        for block in blocks:
            self.out.add_block(block)
        self.out.counts.update(per_channel)
        return True

    def walk(self) -> None:
        """Read every record from the start; stop where the file stops making sense."""
        at, loose, chunked = 8, -1, False
        name, add = self.out.path.name, self.out.findings.add
        while True:
            head = read_range(self.file, at, 9)
            op, length = _HEADER.unpack(head) if len(head) == 9 else (0, 0)
            whole = op != 0 and at + 9 + length <= self.size
            chunked = chunked or op == _CHUNK_OP
            if chunked and op == _MESSAGE_OP:  # no writer mixes the two
                add(f"{name}: the record at byte {at} is corrupt.", lossy=True)
            small = whole and (op in (_SCHEMA, _CHANNEL) or (op == _MESSAGE_OP and not chunked))
            # Loose messages are gathered into stretches that end before this record.
            if loose >= 0 and (not small or at + 9 + length - loose > LOOSE_BYTES):
                self.out.try_index(Block(loose, at - loose, "", at - loose, _LOOSE, 0, 0))
                loose = -1
            if op == _DATA_END and whole:
                add(f"{name}: the index was missing or damaged and was rebuilt.", lossy=False)
                return
            if op == _CHUNK_OP:
                self.chunk(at, min(length, self.size - at - 9), cut=not whole)
            elif small:
                loose = at if loose < 0 else loose
            if not whole:
                add(f"{name}: cut off or corrupt at byte {at}; what is whole before was kept.", lossy=True)
                return
            at += 9 + length

    def chunk(self, at: int, length: int, *, cut: bool) -> None:
        """Index the chunk record whose 9-byte header is at `at`."""
        head = read_range(self.file, at + 9, min(length, 28 + 4 + 32 + 8))
        if len(head) < _CHUNK.size:
            return
        start, stop, size, _, kind_length = _CHUNK.unpack_from(head)
        after = _CHUNK.size + kind_length
        if kind_length > 32 or len(head) < after + 8:
            if not cut:
                self.out.findings.add(f"{self.out.path.name}: a chunk header is corrupt.", lossy=True)
            return
        kind = head[_CHUNK.size : after].decode("utf-8", "replace")
        (packed,) = struct.unpack_from("<Q", head, after)
        here = min(packed, length - after - 8)
        # A chunk that is all there inside a record that is not: its length was damaged, not cut.
        if (cut and packed <= length - after - 8) or (not cut and packed != length - after - 8):
            self.out.findings.add(f"{self.out.path.name}: a chunk header is corrupt.", lossy=True)
            return
        self.out.try_index(Block(at + 9 + after + 8, here, kind, size, 0, start, stop, cut))


def _indexed_chunk(body: bytes, end: int) -> Block:
    """The block a chunk index record points at, which must lie before `end`."""
    fields = _Fields(body)
    start, stop, offset, length = fields.unpack(struct.Struct("<QQQQ"))
    fields.sized()
    fields.take("Q")
    kind = fields.text()
    packed, size = fields.unpack(struct.Struct("<QQ"))
    header = 9 + _CHUNK.size + len(kind.encode()) + 8
    if length != header + packed or offset < 8 or offset + length > end or start > stop:
        raise Damage("the index is corrupt")
    return Block(offset + header, packed, kind, size, 0, start, stop)


def open_mcap(path: Path, limits: BagLimits) -> BlockFile:
    """Index one .mcap file.

    Returns:
        The file's channels, chunks and counts; `findings` says what could not be used.

    Raises:
        BagError: missing, empty, or not an MCAP file.
    """
    size = file_size(path)
    out = BlockFile(path, limits)
    try:
        with path.open("rb") as file:
            if read_range(file, 0, 8) != MAGIC:
                raise BagError(
                    f"{path} is not an MCAP file.", "Check its name, or whether it was copied whole."
                )
            parser = _McapParser(out, file, size)
            out.parse = parser.parse
            out.check = parser.check
            if not parser.from_index():
                out.channels.clear()
                out.counts.clear()
                out.blocks.clear()
                out.definition_bytes = 0
                parser.schemas.clear()
                parser.walk()
    except OSError as error:
        raise BagError(f"Cannot read {path}: {error.strerror}.", "Check its permissions and disk.") from error
    return out
