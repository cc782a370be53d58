"""From what the user names (folder, file, zip) to the storage files of one bag, unpacked where needed."""

from __future__ import annotations

import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
import zstandard

from lifelong_nav.core.errors import BagError
from lifelong_nav.replay.limits import MAX_WINDOW, BagLimits, copy_bounded, file_size
from lifelong_nav.replay.source import Findings

STORAGE = (".mcap", ".db3", ".bag")
_MAX_METADATA = 4 << 20
_MAX_MEMBERS = 1000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Location:
    """The storage files of one bag, in order, and what metadata.yaml says about them."""

    files: list[Path] = field(default_factory=list)
    distro: str = "latest"
    declared: int | None = None
    findings: Findings = field(default_factory=Findings)


def locate(path: Path, limits: BagLimits, stack: ExitStack) -> Location:
    """Find the storage files behind `path`.

    Args:
        path: rosbag2 folder, .mcap, .db3, .bag, one of those with .zstd, or a .zip holding one bag.
        limits: caps on what is unpacked.
        stack: keeps temporary folders until the reader closes.

    Raises:
        BagError: there is no bag, or it does not fit the caps.
    """
    if not path.exists():
        raise BagError(f"There is no bag at {path}.", "Check the path.")
    if path.suffix.lower() == ".zip" and path.is_file():
        path = _unzip(path, limits, stack)
    location = _folder(path) if path.is_dir() else Location([path])
    location.files = [_unpacked(f, limits, stack) if f.suffix == ".zstd" else f for f in location.files]
    for file in location.files:
        if file.suffix.lower() not in STORAGE:
            raise BagError(
                f"{file} is not a bag.",
                "Give a rosbag2 folder, an .mcap, .db3 or .bag file, or a .zip with one.",
            )
    return location


def _is_storage(name: str) -> bool:
    plain = name.removesuffix(".zstd")
    return PurePosixPath(plain).suffix.lower() in STORAGE


def _natural(path: Path) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _folder(path: Path) -> Location:
    """Storage files of a rosbag2 folder, with or without a usable metadata.yaml."""
    location = Location()
    present = sorted((f for f in path.iterdir() if f.is_file() and _is_storage(f.name)), key=_natural)
    if not present:
        raise BagError(
            f"The folder {path} holds no bag.", "Give the folder that holds the .mcap, .db3 or .bag file."
        )
    info = _metadata(path / "metadata.yaml", location.findings)
    named = [path / PurePosixPath(n).name for n in _texts(info.get("relative_file_paths"))]
    for file in named:
        if file not in present:
            location.findings.add(f"{file.name} is listed in metadata.yaml and missing.", lossy=True)
    extra = [f for f in present if f not in named]
    if named and extra and any(f in present for f in named):
        # The recorder writes metadata last: after a crash it may not know the newest file. Another
        # recording lying beside is told by its suffix or its name.
        stem = re.sub(r"\d+$", "", named[0].name.split(".")[0])
        extra = [f for f in extra if f.suffixes == named[0].suffixes and f.name.startswith(stem)]
    location.files = list(dict.fromkeys([*(f for f in named if f in present), *extra]))
    kinds = {f.name.removesuffix(".zstd").rsplit(".", 1)[-1].lower() for f in location.files}
    if len(kinds) > 1 or (kinds == {"bag"} and len(location.files) > 1):
        raise BagError(
            f"The folder {path} holds several bags ({', '.join(f.name for f in location.files[:5])}).",
            "Name one of the files.",
        )
    distro = info.get("ros_distro")
    location.distro = distro.lower() if isinstance(distro, str) and distro else _guess(info.get("version"))
    declared = info.get("message_count")
    location.declared = declared if isinstance(declared, int) else None
    return location


def _guess(version: Any) -> str:
    """The release whose definitions fit a bag that names none: version 4 to 5 was written up to Humble."""
    return "humble" if isinstance(version, int) and version <= 5 else "latest"


def _texts(value: Any) -> list[str]:
    # Nothing else is turned to text: nested YAML aliases would unfold without bound.
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _metadata(path: Path, findings: Findings) -> dict[str, Any]:
    """The bag information of a metadata.yaml; {} and a note where it is missing or broken."""
    if not path.is_file():
        if not any(path.parent.glob("*.bag")):
            findings.add("metadata.yaml is missing; the storage files were opened directly.", lossy=False)
        return {}
    try:
        if path.stat().st_size > _MAX_METADATA:
            raise ValueError("it is too large")
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
        info = data["rosbag2_bagfile_information"]
        if not isinstance(info, dict):
            raise ValueError("it holds no mapping")
        return info
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error).split("\n")[0]
        findings.add(
            f"metadata.yaml is damaged ({reason}); the storage files were opened directly.", lossy=False
        )
        return {}


def _scratch(stack: ExitStack, needed: int, what: str) -> Path:
    """A temporary folder with room for `needed` bytes, gone when the reader closes."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if needed > free:
        raise BagError(
            f"{what} needs {needed} bytes unpacked; {free} are free.", "Free disk space or set TMPDIR."
        )
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifelong_nav_bag_")))


def _unpacked(path: Path, limits: BagLimits, stack: ExitStack) -> Path:
    """A .zstd storage file (rosbag2 file compression) unpacked to a temporary folder."""
    packed = file_size(path)
    target = _scratch(stack, packed, path.name) / path.stem
    try:
        with path.open("rb") as source, target.open("wb") as out:
            stream = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
                source, read_across_frames=True
            )
            copy_bounded(stream, out, packed, limits, path.name)
    except zstandard.ZstdError as error:
        # What came out before is a bag that was cut off, and is read as one.
        if target.stat().st_size == 0:
            raise BagError(f"{path} cannot be decompressed ({error}).", "Copy it again.") from error
    return target


def _unzip(path: Path, limits: BagLimits, stack: ExitStack) -> Path:
    """The one bag inside a .zip, unpacked to a temporary folder: its folder or its file."""
    packed = file_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive.infolist(), path)
            target = _scratch(
                stack, min(sum(m.file_size for m in members), limits.max_unpacked_bytes + 1), path.name
            )
            left = limits.max_unpacked_bytes
            for member in members:
                if member.file_size > left:
                    raise BagError(
                        f"{path.name} unpacks to more than {limits.max_unpacked_bytes} bytes.",
                        "If you trust it, raise max_unpacked_bytes; otherwise delete it.",
                    )
                # Only the base name is used: no path in the archive can lead out of the folder.
                name = PurePosixPath(member.filename).name
                with archive.open(member) as source, (target / name).open("xb") as out:
                    left -= copy_bounded(
                        source, out, min(packed, member.compress_size), limits, f"{path.name}:{name}"
                    )
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        EOFError,
        RuntimeError,
        FileExistsError,
    ) as error:
        raise BagError(
            f"{path} cannot be unpacked ({error}).", "Copy it again or unpack it by hand."
        ) from error
    files = [f for f in target.iterdir() if _is_storage(f.name)]
    return files[0] if len(files) == 1 and not (target / "metadata.yaml").exists() else target


def _members(infos: Iterable[zipfile.ZipInfo], path: Path) -> list[zipfile.ZipInfo]:
    """The entries that make up the one bag in an archive.

    Raises:
        BagError: none, several, encrypted, or too many entries.
    """
    infos = list(infos)
    if len(infos) > _MAX_MEMBERS:
        raise BagError(f"{path.name} holds {len(infos)} entries.", "Pack only the bag.")
    regular = [i for i in infos if not i.is_dir() and not stat.S_ISLNK(i.external_attr >> 16)]
    storage = [i for i in regular if _is_storage(i.filename) and not i.filename.startswith("__MACOSX")]
    folders = {str(PurePosixPath(i.filename).parent) for i in storage}
    if not storage:
        raise BagError(f"{path.name} holds no bag.", "It needs one .mcap, .db3 or .bag inside.")
    if len(folders) > 1:
        raise BagError(f"{path.name} holds several bags.", "Unpack it and name one of them.")
    if any(i.flag_bits & 1 for i in storage):
        raise BagError(f"{path.name} is encrypted.", "Unpack it by hand.")
    beside = [i for i in regular if PurePosixPath(i.filename).name == "metadata.yaml"]
    return [*storage, *(i for i in beside if str(PurePosixPath(i.filename).parent) in folders)]
