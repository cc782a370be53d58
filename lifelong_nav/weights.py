"""`lifelong-nav fetch-weights`: detector weights by URL and sha256, once, when a person asks for them.

Downloads go on where they were cut, become visible only when whole and right, and come from a folder or
another server (`--from`) for robots that see no internet.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from lifelong_nav.core.errors import ConfigError, LifelongNavError
from lifelong_nav.core.storage import atomic_write, exclusive_lock, sha256
from lifelong_nav.perception.detector_files import (
    DETECTOR_FILES,
    DetectorFile,
    find_detector,
    known_file,
    user_cache,
)

_BLOCK = 1 << 16
_TRIES = 4


class WeightsError(LifelongNavError):
    """Weights could not be had: no way to the server, or what came is not what was published."""

    exit_code = 7


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, raises `LifelongNavError`."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        for entry in DETECTOR_FILES:
            print(f"{entry.name:12} {entry.size / 1e6:4.1f} MB  {entry.licence:13} {entry.source}")
        found = find_detector()
        print(f"in use: {found or 'none'}")
        return 0
    for entry in _chosen(arguments.names, arguments.all):
        print(f"{entry.name}: {entry.source}, {entry.licence}")
        place = fetch(entry, arguments.to or user_cache(), arguments.source, arguments.timeout, say=_progress)
        digest = sha256(place)
        whose = "as published" if digest == entry.sha256 else "a known export of the same network by others"
        print(f"{entry.name}: {place}, sha256 {digest[:16]}... {whose}")
    return 0


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="lifelong-nav fetch-weights", description="Fetch pretrained detector weights and check them."
    )
    p.add_argument("names", nargs="*", help=f"{', '.join(f.name for f in DETECTOR_FILES)} (the first)")
    p.add_argument("--all", action="store_true", help="fetch all of them")
    p.add_argument("--list", action="store_true", help="what there is, and what is in use; fetch nothing")
    p.add_argument(
        "--from", dest="source", default="", metavar="PLACE",
        help="folder, file or http(s) address that holds the files, instead of where they were published",
    )  # fmt: skip
    p.add_argument("--to", type=Path, help="folder to put them in (the user's cache)")
    p.add_argument("--timeout", type=float, default=300.0, help="seconds for each file (300)")
    return p


def _chosen(names: Sequence[str], everything: bool) -> list[DetectorFile]:
    if everything:
        return list(DETECTOR_FILES)
    out = []
    for name in names or [DETECTOR_FILES[0].name]:
        entry = known_file(name)
        if entry is None:
            known = ", ".join(f.name for f in DETECTOR_FILES)
            raise ConfigError(f"There are no weights called '{name}'.", f"Choose from: {known}.")
        out.append(entry)
    return out


def fetch(
    entry: DetectorFile, folder: Path, source: str = "", timeout: float = 300.0, pause: float = 1.0,
    say: Callable[[int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Have a published file in a folder, whole and right.

    Args:
        entry: what.
        folder: where to; made if needed.
        source: folder, file or http(s) address to take it from; empty for where it was published.
        timeout: seconds all tries may take together.
        pause: seconds before the second try, twice that before the third, and so on.
        say: told bytes had and bytes in all, now and then.

    Returns:
        The file. If it is there already and right, nothing is fetched.

    Raises:
        WeightsError: it cannot be had; what is there already stays as it is.
        StorageError: the folder cannot be written, or another process fetches into it.
    """
    target = folder / entry.filename
    if target.is_file() and _is(entry, target):
        return target
    with exclusive_lock(folder / f".{entry.filename}.lock"):
        if source and not source.startswith(("http://", "https://")):
            return _copy(entry, Path(source).expanduser(), target)
        urls = (_address(source, entry),) if source else entry.urls
        reasons: list[str] = []
        deadline = time.monotonic() + timeout
        for url in urls:
            part = folder / f".{entry.filename}.part"
            if _download(entry, url, part, deadline, pause, say, reasons):
                part.replace(target)
                return target
    raise WeightsError(
        f"{entry.filename} could not be fetched: {'; '.join(reasons)}.",
        "Check the network, or copy the file here and name its folder with --from.",
    )


def _copy(entry: DetectorFile, place: Path, target: Path) -> Path:
    file = place / entry.filename if place.is_dir() else place
    if not file.is_file():
        raise WeightsError(f"There is no {entry.filename} at {place}.", "Name the folder that holds it.")
    if not _is(entry, file):
        raise WeightsError(
            f"{file} is not the published {entry.filename} (sha256 {sha256(file)[:16]}...).",
            f"Take it from {' or '.join(entry.urls)}; other weights are used by naming their file.",
        )
    atomic_write(target, file.read_bytes())
    target.chmod(0o644)  # what the installer fetched, the robot's user reads
    return target


def _is(entry: DetectorFile, file: Path) -> bool:
    return sha256(file) in (entry.sha256, *entry.also)


def _address(source: str, entry: DetectorFile) -> str:
    return source if source.endswith(".onnx") else f"{source.rstrip('/')}/{entry.filename}"


def _download(
    entry: DetectorFile, url: str, part: Path, deadline: float, pause: float,
    say: Callable[[int, int], None] | None, reasons: list[str],
) -> bool:  # fmt: skip
    """Several tries at one address; True when `part` is whole and right. Appends why not."""
    reason, wrong = "", 0
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(min(pause * 2 ** (attempt - 1), max(deadline - time.monotonic(), 0.0)))
        try:
            _stream(entry, url, part, deadline, say)
        except urllib.error.HTTPError as error:
            reason = f"{url} answers {error.code} {error.reason}"
            error.close()
            if error.code in (400, 401, 403, 404, 410, 451):
                break
            continue
        except (OSError, http.client.HTTPException) as error:
            reason = f"{url}: {_cause(error)}"
            if time.monotonic() >= deadline:
                break
            continue
        if _is(entry, part):
            return True
        digest = sha256(part)
        reason = (
            f"{url} holds something else (sha256 {digest[:16]}... and not {entry.sha256[:16]}..., "
            f"{part.stat().st_size} bytes and not {entry.size})"
        )
        part.unlink()  # nothing to go on from
        wrong += 1
        if wrong == 2:
            break
    reasons.append(reason)
    return False


def _stream(
    entry: DetectorFile, url: str, part: Path, deadline: float, say: Callable[[int, int], None] | None
) -> None:
    """Append to `part` what is missing of it. Raises OSError or HTTPException where that breaks off."""
    had = part.stat().st_size if part.is_file() else 0
    if had >= entry.size:
        part.unlink()
        had = 0
    headers = {"User-Agent": "lifelong-nav", "Accept-Encoding": "identity"}
    if had:
        headers["Range"] = f"bytes={had}-"
    patience = max(0.1, min(20.0, deadline - time.monotonic()))
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s) only, checked before
    with urllib.request.urlopen(request, timeout=patience) as answer:  # noqa: S310
        went_on = answer.status == 206 and (answer.headers.get("Content-Range") or "").startswith(
            f"bytes {had}-"
        )
        if not went_on:
            had = 0
        length = answer.headers.get("Content-Length")
        whole = had + int(length) if length and length.isdigit() else None
        with part.open("ab" if went_on else "wb") as file:
            while block := answer.read1(_BLOCK):
                file.write(block)
                had += len(block)
                if had > 4 * entry.size:
                    break  # this never ends; the hash will not fit
                if say is not None:
                    say(had, entry.size)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"too slow: {had} of {entry.size} bytes when time was up")
    if whole is not None and had < whole:
        raise ConnectionError(f"cut off after {had} of {whole} bytes")


def _cause(error: BaseException) -> str:
    inner = getattr(error, "reason", None) or error
    return str(inner) or type(inner).__name__


def _progress(had: int, size: int) -> None:
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            print(
                f"\r{had / 1e6:6.2f} of {size / 1e6:.2f} MB", end="\n" if had >= size else "", file=sys.stderr
            )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LifelongNavError as problem:
        print(f"lifelong-nav: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
