"""What of a bag is played under which name: topic filter, remapping, latched messages before the start."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from lifelong_nav.core.errors import ConfigError
from lifelong_nav.replay.reader import BagReader
from lifelong_nav.replay.timeline import Item

NEVER_PLAYED = {
    "/clock": "the player makes its own time",
    "/rosout": "log of the recorded run",
    "/parameter_events": "state of the recorded run",
}


@dataclass(frozen=True)
class Playlist:
    """Topics of the bag by the name they are played under, and why others are left out."""

    names: dict[str, str]
    skipped: dict[str, str]
    start: int
    stop: int


def absolute(topic: str) -> str:
    """A topic name with its leading slash."""
    return topic if topic.startswith("/") else f"/{topic}"


def parse_remaps(remaps: Collection[str]) -> dict[str, str]:
    """`FROM:=TO` texts as a table of absolute names.

    Raises:
        ConfigError: not of that form.
    """
    out = {}
    for text in remaps:
        old, arrow, new = text.partition(":=")
        if not arrow or not old.strip("/") or not new.strip("/"):
            raise ConfigError(f"'{text}' is not a remapping.", "Write FROM:=TO, e.g. /base_scan:=/scan.")
        out[absolute(old)] = absolute(new)
    return out


def choose(
    bag: BagReader,
    topics: Collection[str] = (),
    exclude: Collection[str] = (),
    remaps: Collection[str] = (),
    start: float = 0.0,
    duration: float = 0.0,
) -> Playlist:
    """Decide what is played.

    Args:
        bag: an open bag.
        topics: only these (names in the bag); empty for all.
        exclude: never these.
        remaps: `FROM:=TO`.
        start: seconds after the beginning of the bag.
        duration: seconds to play; 0 for all.

    Raises:
        ConfigError: a name is not in the bag, two topics get one name, or nothing is left to play.
    """
    table = parse_remaps(remaps)
    wanted = {absolute(t) for t in topics}
    unwanted = {absolute(t) for t in exclude}
    known = {absolute(t): t for t in bag.topics}
    unknown = sorted((wanted | table.keys()) - known.keys())
    if unknown:
        raise ConfigError(
            f"{bag.path} has no topic {', '.join(unknown)}.", f"It has: {', '.join(sorted(known))}."
        )
    names: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for topic, stored in known.items():
        if wanted and topic not in wanted:
            skipped[topic] = "not chosen"
        elif topic in unwanted:
            skipped[topic] = "excluded"
        elif topic in NEVER_PLAYED and topic not in wanted:
            skipped[topic] = NEVER_PLAYED[topic]
        elif topic.split("/")[-1].startswith("_") or "/_" in topic:
            skipped[topic] = "hidden topic of a service or an action"
        else:
            names[stored] = table.get(topic, topic)
    twice = sorted({n for n in names.values() if list(names.values()).count(n) > 1})
    if twice:
        raise ConfigError(f"Several topics would be played as {', '.join(twice)}.", "Change the remapping.")
    begin = bag.start + round(start * 1e9)
    end = begin + round(duration * 1e9) if duration > 0.0 else bag.stop + 1
    if not names or begin > bag.stop:
        raise ConfigError(
            f"Nothing of {bag.path} is left to play.",
            f"It lasts {bag.duration:.1f} s; check start and topics.",
        )
    return Playlist(names, skipped, begin, end)


def passes(bag: BagReader, playlist: Playlist) -> Callable[[], Iterator[Item]]:
    """For `Timeline`: an iterator over the chosen messages, fresh for every loop.

    Latched messages from before the start (static transforms, maps) come first, so that playing from the
    middle works as if one had listened from the beginning.
    """
    latched = [
        name for name in playlist.names if bag.topics[name].qos.transient_local or name.endswith("tf_static")
    ]

    def items() -> Iterator[Item]:
        if playlist.start > bag.start and latched:
            for message in bag.messages(latched, None, playlist.start):
                yield Item(message.stamp, playlist.names[message.topic], message)
        for message in bag.messages(list(playlist.names), playlist.start, playlist.stop):
            yield Item(message.stamp, playlist.names[message.topic], message)

    return items
