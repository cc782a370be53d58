"""The page of the live view: Rerun's own, made to stay at home.

The viewer in the browser would report its use to its makers and fetch fonts from the network. This small
server hands it out with a content security policy that lets it talk to the robot only, and leads a bare
address to the running stream.
"""

from __future__ import annotations

import re
import shutil
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

TITLE = "lifelong_nav live"
_ASSET = re.compile(r"/[A-Za-z0-9_.-]*")
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+")
_OUTSIDE = re.compile(rb"<link[^>]*fonts\.g[^>]*>")
_PASSED_ON = ("Content-Type", "Content-Encoding", "rerun-final-length")


class PageServer:
    """Serves the page in a thread.

    Args:
        bind: address to listen on.
        port: HTTP port, 0 takes a free one.
        assets: address of the viewer's own web server on this machine.
        data_port: where the page gets its data, on the host that the browser asked for.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, bind: str, port: int, assets: str, data_port: int) -> None:
        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = 10 if ":" in bind else 2

        class Handler(_Handler):
            pass

        Handler.assets, Handler.data_port = assets, data_port
        self._server = Server((bind, port), Handler)
        self.port = int(self._server.server_address[1])
        Thread(target=self._server.serve_forever, args=(0.2,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def stream_query(host: str, data_port: int) -> str:
    """Query that tells the viewer which stream to show."""
    query = urlencode({"url": f"rerun+http://{host}:{data_port}/proxy", "persist": "0", "theme": "light"})
    return f"hide_welcome_screen&{query}"


def policy(host: str, data_port: int) -> str:
    """Content security policy: the page may load from its own address and fetch from the stream's."""
    return (
        "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'self'; "
        f"connect-src 'self' data: blob: http://{host}:{data_port}"
    )


class _Handler(BaseHTTPRequestHandler):
    assets = ""
    data_port = 0
    server_version = "lifelong_nav"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        found = _HOST.match(self.headers.get("Host", ""))
        host = found.group() if found else "127.0.0.1"
        if parts.path in ("/", "/index.html") and "url=" not in parts.query:
            self.send_response(302)
            self.send_header("Location", f"/?{stream_query(host, self.data_port)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if not _ASSET.fullmatch(parts.path):
            self.send_error(404)
            return
        self._hand_on(parts.path, host)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: a node's output is for what the operator must know."""

    def _hand_on(self, path: str, host: str) -> None:
        page = path in ("/", "/index.html")
        headers = {} if page else {"Accept-Encoding": self.headers.get("Accept-Encoding", "")}
        try:
            with urlopen(Request(self.assets + path, headers=headers), timeout=10) as source:  # noqa: S310
                self.send_response(source.status)
                for name in _PASSED_ON:
                    if name in source.headers:
                        self.send_header(name, source.headers[name])
                self.send_header("Content-Security-Policy", policy(host, self.data_port))
                self.send_header("X-Content-Type-Options", "nosniff")
                if page:
                    body = _OUTSIDE.sub(b"", source.read())
                    body = body.replace(b"<title>Rerun Viewer</title>", f"<title>{TITLE}</title>".encode())
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                else:
                    self.end_headers()
                    shutil.copyfileobj(source, self.wfile, 1 << 18)
        except URLError as error:
            self.send_error(404 if getattr(error, "code", 0) == 404 else 502)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
