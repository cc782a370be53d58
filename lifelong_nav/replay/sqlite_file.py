"""Reading rosbag2 sqlite3 files (.db3) read-only, also when they were cut off or never closed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.definitions import normal_type
from lifelong_nav.replay.limits import BagLimits, file_size, read_range
from lifelong_nav.replay.qos import parse_qos
from lifelong_nav.replay.source import Channel, Findings, Record, Selection, Source

MAGIC = b"SQLite format 3\0"
_MAX_PROBES = 64
_NEVER = (1 << 63) - 1


@dataclass
class SqliteFile:
    """An opened .db3 file: its channels, counts and time range."""

    path: Path
    limits: BagLimits
    channels: dict[int, Channel] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    start: int = _NEVER
    stop: int = 0
    broken: bool = False
    findings: Findings = field(default_factory=Findings)

    def sources(self) -> list[Source]:
        """One source: the database sorts."""
        return [Source(self.start, self.stop, 0, self.records)] if self.counts else []

    def records(self, selection: Selection) -> Iterator[Record]:
        """Selected messages by stamp; where the file breaks, those that can still be reached follow."""
        topics, start, stop = selection
        wanted = {n: c for n, c in self.channels.items() if topics is None or c.topic in topics}
        last = (-1, -1)
        with closing(_connect(self.path, self.limits)) as db:
            if not self.broken:
                marks = ",".join("?" * len(wanted))
                query = (
                    "SELECT id, topic_id, timestamp, data FROM messages "  # noqa: S608 - question marks only
                    f"WHERE timestamp >= ? AND timestamp < ? AND topic_id IN ({marks}) ORDER BY timestamp, id"
                )
                try:
                    low, high = min(start, _NEVER), min(stop, _NEVER)
                    for number, topic, stamp, data in db.execute(query, (low, high, *wanted)):
                        if isinstance(data, bytes) and isinstance(stamp, int):
                            last = (stamp, number)
                            yield Record(stamp, wanted[topic], data)
                    return
                except (sqlite3.Error, OverflowError) as error:
                    note = (
                        f"{self.path.name}: the database is damaged ({error}); what can be reached was kept."
                    )
                    self.findings.add(note, lossy=True)
            left = [
                (s, n) for n, t, s in _reachable(db) if t in wanted and start <= s < stop and (s, n) > last
            ]
            left.sort()
            for stamp, number in left:
                with suppress(sqlite3.Error):
                    row = db.execute("SELECT topic_id, data FROM messages WHERE id = ?", (number,)).fetchone()
                    if row and row[0] in wanted and isinstance(row[1], bytes):
                        yield Record(stamp, wanted[row[0]], row[1])


def _connect(path: Path, limits: BagLimits) -> sqlite3.Connection:
    """A read-only connection that holds no more than one capped row and trusts no schema."""
    uri = path.absolute().as_uri()
    for options in ("?mode=ro", "?mode=ro&immutable=1"):
        db = sqlite3.connect(uri + options, uri=True, check_same_thread=False)
        db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        with suppress(AttributeError):  # Python 3.10 cannot set limits
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.max_record_bytes)
        try:
            db.execute("PRAGMA trusted_schema=OFF")
            db.execute("PRAGMA cache_size=-8192")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            # A read-only folder or a hot journal: read the file as it stands.
            if options.endswith("=ro"):
                db.close()
                continue
        return db
    raise AssertionError


def _reachable(db: sqlite3.Connection) -> Iterator[tuple[int, int, int]]:
    """(id, topic, stamp) of every row a damaged table still gives, stepping over holes."""
    last, step = -1, 1
    for _ in range(_MAX_PROBES):
        try:
            rows = db.execute(
                "SELECT id, topic_id, timestamp, length(data) FROM messages WHERE id > ? ORDER BY id", (last,)
            )
            for number, topic, stamp, _size in rows:
                last, step = number, 1
                if isinstance(topic, int) and isinstance(stamp, int):
                    yield number, topic, stamp
            return
        except (sqlite3.Error, OverflowError):
            last += step
            step *= 4
            if last > _NEVER:
                return


def open_sqlite(path: Path, limits: BagLimits) -> SqliteFile:
    """Open one .db3 file.

    Raises:
        BagError: missing, empty, not SQLite, or without the tables of a bag.
    """
    size = file_size(path)
    out = SqliteFile(path, limits)
    try:
        with path.open("rb") as file:
            head = read_range(file, 0, 100)
    except OSError as error:
        raise BagError(f"Cannot read {path}: {error.strerror}.", "Check its permissions.") from error
    if head[:16] != MAGIC:
        raise BagError(f"{path} is not an SQLite file.", "Check its name, or whether it was copied whole.")
    page = int.from_bytes(head[16:18], "big")
    if int.from_bytes(head[28:32], "big") * (65536 if page == 1 else page) > size:
        out.findings.add(f"{path.name}: cut off; what can be reached was kept.", lossy=True)
        out.broken = True
    with closing(_connect(path, limits)) as db:
        try:
            _read_topics(db, out)
        except (sqlite3.Error, OverflowError) as error:
            raise BagError(
                f"{path} cannot be read as a bag ({error}).", "Record again; the head of the file is lost."
            ) from error
        _count(db, out)
    return out


def _read_topics(db: sqlite3.Connection, out: SqliteFile) -> None:
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 100")}
    if not {"topics", "messages"} <= tables:
        raise BagError(f"{out.path} is a database but not a bag.", "It needs the tables topics and messages.")
    columns = {row[1] for row in db.execute("PRAGMA table_info(topics)")}
    definitions: dict[str, tuple[str, str]] = {}
    if "message_definitions" in tables:
        with suppress(sqlite3.Error):
            query = (
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions LIMIT 10000"
            )
            for name, form, text in db.execute(query):
                definitions[str(name)] = (str(form), str(text))
    optional = [c if c in columns else "''" for c in ("offered_qos_profiles", "type_description_hash")]
    query = f"SELECT id, name, type, serialization_format, {', '.join(optional)} FROM topics LIMIT 65536"  # noqa: S608
    spent = 0
    for number, topic, kind, encoding, qos, digest in db.execute(query):
        form, text = definitions.get(str(kind), ("", ""))
        spent += len(text) + len(str(topic)) + 200
        if spent > out.limits.max_definition_bytes:
            raise BagError(
                f"{out.path.name}: the topics and definitions exceed max_definition_bytes.", "Raise it."
            )
        out.channels[number] = Channel(
            str(topic), normal_type(str(kind)), str(encoding), text, form, str(digest), parse_qos(qos)
        )


def _count(db: sqlite3.Connection, out: SqliteFile) -> None:
    """Count messages per topic and find the time range; a damaged table is walked row by row."""
    rows: Iterator[tuple[int, int, int, int]] | list[tuple[int, int, int, int]] = []
    try:
        if not out.broken:
            query = (
                "SELECT topic_id, count(*), min(timestamp), max(timestamp) FROM messages GROUP BY topic_id"
            )
            rows = db.execute(query).fetchall()
    except (sqlite3.Error, OverflowError) as error:
        note = f"{out.path.name}: the database is damaged ({error}); what can be reached was kept."
        out.findings.add(note, lossy=True)
        out.broken = True
    if out.broken:
        rows = ((topic, 1, stamp, stamp) for _, topic, stamp in _reachable(db))
    for topic, count, low, high in rows:
        if topic in out.channels and isinstance(low, int) and isinstance(high, int):
            out.counts[topic] = out.counts.get(topic, 0) + count
            out.start, out.stop = min(out.start, low), max(out.stop, high)
