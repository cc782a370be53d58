"""What all bag formats boil down to: channels, stretches of records, and their merge in time order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lifelong_nav.replay.qos import TopicQos


@dataclass(frozen=True, eq=False)
class Channel:
    """One stream of messages inside one file.

    `encoding` is "cdr" or "ros1"; `definition` the embedded text in `definition_format` ("ros2msg",
    "ros2idl", "ros1msg" or "" for none); `type` is in ROS 2 form (pkg/msg/Name).
    """

    topic: str
    type: str
    encoding: str = "cdr"
    definition: str = ""
    definition_format: str = ""
    type_hash: str = ""
    qos: TopicQos = field(default_factory=TopicQos)


class Record(NamedTuple):
    """One raw message: stamp [ns] of recording, its channel, the bytes as stored."""

    stamp: int
    channel: Channel
    data: bytes


class Selection(NamedTuple):
    """Which records are wanted: topics (None for all), start <= stamp < stop [ns]."""

    topics: frozenset[str] | None
    start: int
    stop: int


@dataclass(frozen=True)
class Source:
    """A stretch of records that can be read in time order, `size` bytes of memory while open."""

    start: int
    stop: int
    size: int
    read: Callable[[Selection], Iterator[Record]]


@dataclass
class Findings:
    """What was wrong with a bag: sentences, and whether messages are missing because of it."""

    notes: list[str] = field(default_factory=list)
    lossy: bool = False

    def add(self, note: str, *, lossy: bool) -> None:
        """Record one finding once; a broken file repeats itself, so only the first 50 are kept."""
        self.lossy = self.lossy or lossy
        if note not in self.notes and len(self.notes) < 50:
            self.notes.append(note)


def merge(sources: list[Source], selection: Selection, budget: int) -> Iterator[Record]:
    """Records of all sources by stamp; equal stamps keep the order of the sources.

    Sources are opened when their time has come. When those that overlap need more than `budget` bytes
    at once, the later ones wait and their records come late rather than exhaust memory.
    """
    wanted = [s for s in sources if s.stop >= selection.start and s.start < selection.stop]
    waiting = sorted(enumerate(wanted), key=lambda item: item[1].start, reverse=True)
    heap: list[tuple[int, int, Record, Iterator[Record], int]] = []
    used = 0
    while waiting or heap:
        while waiting:
            number, source = waiting[-1]
            if heap and (source.start > heap[0][0] or used + source.size > budget):
                break
            waiting.pop()
            records = source.read(selection)
            first = next(records, None)
            if first is not None:
                heapq.heappush(heap, (first.stamp, number, first, records, source.size))
                used += source.size
        if not heap:
            continue
        _, number, record, records, size = heap[0]
        yield record
        following = next(records, None)
        if following is None:
            heapq.heappop(heap)
            used -= size
        else:
            heapq.heapreplace(heap, (following.stamp, number, following, records, size))
