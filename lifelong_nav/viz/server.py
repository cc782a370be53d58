"""Rerun's data server as a child process and the page in front of it, on loopback unless told otherwise.

A process of its own because a viewer must never be able to slow a node down. Everything the browser needs
comes from the wheel: no internet.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from threading import Thread
from typing import IO

from lifelong_nav.core.errors import DependencyError, InputError, require_package
from lifelong_nav.viz.page import PageServer, stream_query

_PR_SET_PDEATHSIG = 1
_START_PATIENCE = 15.0


class ViewerServer:
    """The running server.

    Args:
        web_port: HTTP port of the page; 0 takes a free one.
        data_port: gRPC port that data goes through; 0 takes a free one.
        bind: address to listen on; 127.0.0.1 serves this machine only. There is no password: on other
            addresses everybody who reaches the ports can see the camera.
        memory_mb: data kept for browsers that come late; the oldest is dropped beyond it.

    Raises:
        DependencyError: rerun-sdk is not installed or its server does not start.
        InputError: `bind` is no address, or a port is taken.
    """

    def __init__(
        self, web_port: int = 9090, data_port: int = 9876, bind: str = "127.0.0.1", memory_mb: int = 64
    ) -> None:
        self.bind = _address(bind)
        self.web_port, self.data_port, assets_port = _ports(self.bind, web_port, data_port, 0)
        self._said: deque[str] = deque(maxlen=40)
        command = [
            str(_program()), "--serve-web", "--bind", self.bind, "--port", str(self.data_port),
            "--web-viewer-port", str(assets_port), "--server-memory-limit", f"{memory_mb}MB",
            "--hide-welcome-screen",
        ]  # fmt: skip
        if not self.local_only:
            command += ["--cors-allow-origin", f"http://*:{self.web_port}"]
        # its usage statistics stay off where CI is set; the other way would be to change the user's settings
        environment = {**os.environ, "CI": "1", "NO_COLOR": "1", "TELEMETRY_ENABLED": "false"}
        self._process = subprocess.Popen(  # noqa: S603 (the wheel's own program)
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_die_with_parent,
        )  # fmt: skip
        Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()
        self._await_ports([assets_port, self.data_port])
        assets = f"http://{self._host()}:{assets_port}"
        self._page = PageServer(self.bind, self.web_port, assets, self.data_port)

    @property
    def local_only(self) -> bool:
        """True when only this machine can reach it."""
        return ipaddress.ip_address(self.bind).is_loopback

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def data_url(self) -> str:
        """Where this machine's data goes in."""
        return f"rerun+http://{self._host()}:{self.data_port}/proxy"

    @property
    def page_url(self) -> str:
        """What to open in a browser on this machine."""
        host = self._host()
        return f"http://{host}:{self.web_port}/?{stream_query(host, self.data_port)}"

    @property
    def short_url(self) -> str:
        """The same without the query; it leads there."""
        return f"http://{self._host()}:{self.web_port}/"

    def close(self) -> None:
        """Stop both."""
        self._page.close()
        self._end()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(3.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _host(self) -> str:
        if ipaddress.ip_address(self.bind).is_unspecified:
            return "127.0.0.1"
        return f"[{self.bind}]" if ":" in self.bind else self.bind

    def _listen(self, pipe: IO[bytes] | None) -> None:
        for line in pipe or ():
            self._said.append(line.decode(errors="replace").rstrip())

    def _await_ports(self, waiting: list[int]) -> None:
        target = self._host().strip("[]")
        deadline = time.monotonic() + _START_PATIENCE
        while waiting:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise DependencyError(
                    f"The web viewer did not start on {target}: {' | '.join(list(self._said)[-3:])}",
                    "Choose other ports, or install rerun-sdk again.",
                )
            with contextlib.suppress(OSError), socket.create_connection((target, waiting[0]), 0.5):
                waiting.pop(0)
                continue
            time.sleep(0.05)


def _program() -> Path:
    module = require_package("rerun_cli", "viz")
    name = "rerun.exe" if sys.platform == "win32" else "rerun"
    program = Path(module.__path__[0]) / name
    if not program.is_file():
        raise DependencyError(
            f"rerun-sdk is installed without its viewer ({program} is missing).",
            "Install it again with: pip install 'lifelong_nav[viz]'.",
        )
    return program


def _address(bind: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if bind == "localhost" else bind))
    except ValueError as error:
        raise InputError(f"'{bind}' is not an IP address.", "Use 127.0.0.1, or 0.0.0.0 for all.") from error


def _ports(bind: str, *wished: int) -> list[int]:
    """The ports, checked to be free; a free one for each 0. All are held while looking, so they differ."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with contextlib.ExitStack() as stack:
        out = []
        for port in wished:
            probe = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((bind, port))
            except OSError as error:
                raise InputError(
                    f"Port {port} on {bind} cannot be used: {error.strerror}.",
                    "Choose another one (0 takes a free one) or stop what uses it.",
                ) from error
            out.append(int(probe.getsockname()[1]))
        return out


def _die_with_parent() -> None:
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
