"""Files made of blocks (MCAP, ROS 1): stretches of records, packed or not, each read on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.limits import BagLimits, Damage, check_size, decompress, decompress_cut, read_range
from lifelong_nav.replay.source import Channel, Findings, Record, Selection, Source

LOOSE_BYTES = 4 << 20
"""Messages that stand outside chunks are read in stretches of about this size."""


class Block(NamedTuple):
    """Where one stretch of records lies and what it claims to hold; `mark` is the format's own."""

    offset: int
    length: int
    kind: str
    size: int
    mark: int
    start: int
    stop: int
    cut: bool = False


class Entry(NamedTuple):
    """One message inside unpacked block content: stamp [ns], channel id, bytes [begin:end]."""

    stamp: int
    channel: int
    begin: int
    end: int


Parse = Callable[[bytes, bool], list[Entry]]
"""Messages in unpacked content up to where it breaks; the flag says that it is known to be cut off."""


@dataclass
class BlockFile:
    """An opened file of blocks: what the format parsers fill in and the reader draws from."""

    path: Path
    limits: BagLimits
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    findings: Findings = field(default_factory=Findings)
    definition_bytes: int = 0
    parse: Parse = field(default=lambda content, cut: [])
    check: Callable[[bytes, Block], None] = field(default=lambda content, block: None)

    def add_channel(self, number: int, channel: Channel) -> None:
        """Remember a channel; the first description of an id stands."""
        if number not in self.channels:
            self.definition_bytes += len(channel.definition) + len(channel.topic) + 200
            if self.definition_bytes > self.limits.max_definition_bytes:
                raise Damage("the topics and message definitions exceed max_definition_bytes")
            self.channels[number] = channel

    def add_block(self, block: Block) -> None:
        """Append a block, refusing endless lists of them."""
        if len(self.blocks) >= self.limits.max_blocks:
            raise BagError(
                f"{self.path.name} has more than {self.limits.max_blocks} chunks.",
                "If you trust it, raise max_blocks.",
            )
        self.blocks.append(block)

    def content(self, block: Block) -> bytes:
        """Unpacked bytes of a block.

        Raises:
            Damage: over a cap, corrupt, or its checksum is wrong.
        """
        check_size("a chunk", block.length, block.size, self.limits)
        with self.path.open("rb") as file:
            data = read_range(file, block.offset, block.length)
        if block.cut:
            return decompress_cut(block.kind, data, block.size, self.limits)
        if len(data) != block.length:
            raise Damage("a chunk is cut off")
        out = decompress(block.kind, data, block.size, self.limits)
        self.check(out, block)
        return out

    def index(self, block: Block) -> None:
        """Read a block found by walking the file: learn its channels, counts and times, and keep it."""
        entries = [e for e in self.parse(self.content(block), block.cut) if e.channel in self.channels]
        if not entries:
            return
        for entry in entries:
            self.counts[entry.channel] = self.counts.get(entry.channel, 0) + 1
        stamps = [e.stamp for e in entries]
        self.add_block(block._replace(start=min(stamps), stop=max(stamps)))

    def try_index(self, block: Block) -> None:
        """`index`, with damage noted instead of raised."""
        try:
            self.index(block)
        except Damage as damage:
            self.findings.add(f"{self.path.name}: at byte {block.offset}: {damage}.", lossy=True)

    def records(self, block: Block, selection: Selection) -> Iterator[Record]:
        """Selected messages of one block by stamp; a damaged block gives none and a note."""
        try:
            content = self.content(block)
            entries = self.parse(content, block.cut)
        except (Damage, OSError) as damage:
            self.findings.add(f"{self.path.name}: at byte {block.offset}: {damage}.", lossy=True)
            return
        topics, start, stop = selection
        wanted = {n: c for n, c in self.channels.items() if topics is None or c.topic in topics}
        chosen = [e for e in entries if e.channel in wanted and start <= e.stamp < stop]
        chosen.sort(key=lambda e: e.stamp)
        del entries
        for stamp, number, begin, end in chosen:
            yield Record(stamp, wanted[number], content[begin:end])

    def sources(self) -> list[Source]:
        """One source per block."""

        def opener(block: Block) -> Callable[[Selection], Iterator[Record]]:
            return lambda selection: self.records(block, selection)

        # Entries of the smallest messages cost about eight times their bytes.
        return [Source(b.start, b.stop, b.size * 2, opener(b)) for b in self.blocks]
