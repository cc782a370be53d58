"""One POST with a deadline that holds: whatever the server does, the caller is back in time.

Time-outs per read are not enough, a server that drips a byte now and then resets them for ever; so the whole
exchange runs under one deadline in a thread of its own, and the caller stops waiting shortly after it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lifelong_nav.core.errors import ConfigError, require_package
from lifelong_nav.perception.teachers.base import TeacherError

_GRACE = 0.5  # [s] for the exchange to be called off before it is left behind
_FIX = "The robot works without a teacher; it is asked again later."


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, content type and body; `retry_after` [s] as the server asked, NaN when it did not."""

    status: int
    content_type: str
    body: bytes
    retry_after: float


def check_url(url: str, with_key: bool) -> str:
    """The base URL without a trailing slash.

    Raises:
        ConfigError: no http(s) URL, a password in it, or a key over plain http to another machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"Teacher URL is broken ({error}).", "Use http(s)://host[:port]/path.") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError("The teacher's URL is no http(s) base URL.", "Use https://host[:port]/v1.")
    if parts.username or parts.password:
        raise ConfigError("The teacher's URL holds a password.", "Put the key into LIFELONG_NAV_TEACHER_KEY.")
    if with_key and parts.scheme == "http" and not is_loopback(host):
        raise ConfigError("A key would travel over plain http.", "Use https, or a server on this machine.")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """True for this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def post_json(
    url: str, body: bytes, headers: Mapping[str, str], *, deadline: float, connect: float, max_bytes: int
) -> Reply:
    """POST and read the whole answer.

    Args:
        url: full address; redirects are not followed.
        body: JSON.
        headers: sent beside the content type.
        deadline: for everything together [s].
        connect: for the connection [s].
        max_bytes: longest answer read.

    Raises:
        TeacherError: unreachable, timeout, or format for an answer too long or packed.
    """
    require_package("httpx", "vision")
    box: list[Reply | BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            box.append(asyncio.run(_exchange(url, body, headers, deadline, connect, max_bytes)))
        except BaseException as error:  # handed to the caller
            box.append(error)
        done.set()

    threading.Thread(target=work, name="teacher", daemon=True).start()
    if not done.wait(deadline + _GRACE):
        raise TeacherError("timeout", f"The teacher's server held on for {deadline:g} s.", _FIX)
    result = box[0]
    if isinstance(result, Reply):
        return result
    if isinstance(result, TeacherError):
        raise result
    if isinstance(result, (TimeoutError, asyncio.TimeoutError)) or "Timeout" in type(result).__name__:
        raise TeacherError("timeout", f"No answer within {deadline:g} s.", _FIX) from None
    raise TeacherError("unreachable", f"The exchange failed ({type(result).__name__}).", _FIX) from None


async def _exchange(
    url: str, body: bytes, headers: Mapping[str, str], deadline: float, connect: float, max_bytes: int
) -> Reply:
    import httpx

    limits = httpx.Timeout(deadline, connect=min(connect, deadline))
    fixed = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
    local = is_loopback(urlsplit(url).hostname or "")

    async def whole() -> Reply:
        async with (
            httpx.AsyncClient(timeout=limits, follow_redirects=False, trust_env=not local) as client,
            client.stream("POST", url, content=body, headers={**fixed, **headers}) as response,
        ):
            if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
                raise TeacherError("format", "The answer is packed although that was not asked for.", _FIX)
            parts, size = [], 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > max_bytes:
                    raise TeacherError("format", f"The answer is longer than {max_bytes} bytes.", _FIX)
                parts.append(part)
            kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
            wait = response.headers.get("retry-after", "").strip()
            return Reply(
                response.status_code,
                kind,
                b"".join(parts),
                float(wait) if wait.isdecimal() and len(wait) < 8 else float("nan"),
            )

    return await asyncio.wait_for(whole(), deadline)
