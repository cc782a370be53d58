"""A chat endpoint on this machine that answers as it is told to, mostly badly."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SCENE = {
    "scenario": "narrow_doorway", "environment": "doorway", "density": "sparse", "grouping": "individuals",
    "entities": [{"kind": "person", "side": "ahead", "distance": 2.1, "motion": "approaching", "count": 1}],
    "action": "yield", "description": "",
}  # fmt: skip


def completion(text, **extra):
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return json.dumps(body | {"usage": {"total_tokens": 321}} | extra).encode()


class Server(ThreadingHTTPServer):
    """Answers every POST with the next behaviour of `script`; the last one stays."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests, self.stopping = [], [], threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        script = self.server.script
        behave = script.pop(0) if len(script) > 1 else script[0]
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            behave(self)

    do_GET = do_POST

    def reply(self, body, status=200, kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def says(text, **extra):
    return lambda h: h.reply(completion(text, **extra))


def scene(**changes):
    return says(json.dumps(SCENE | changes))


def raw(body, **how):
    return lambda h: h.reply(body, **how)


def half(h):
    body = completion(json.dumps(SCENE))
    h.send_response(200)
    h.send_header("Content-Type", "application/json")
    h.send_header("Content-Length", str(len(body)))
    h.end_headers()
    h.wfile.write(body[: len(body) // 2])
    h.wfile.flush()
    h.connection.close()


def drip_body(h):
    h.send_response(200)
    h.send_header("Content-Type", "application/json")
    h.send_header("Content-Length", "5000")
    h.end_headers()
    drip(h)


def drip_head(h):
    h.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(h)


def drip(h):
    while not h.server.stopping.wait(0.2):
        h.wfile.write(b"a")
        h.wfile.flush()


def silence(h):
    h.server.stopping.wait(20.0)


def hang_up(h):
    h.connection.close()


def endless(h):
    h.send_response(200)
    h.send_header("Content-Type", "application/json")
    h.end_headers()
    while not h.server.stopping.is_set():
        h.wfile.write(b" " * 65536)


def not_http(h):
    h.wfile.write(b"\x00\xff\x13 hello, this is a mail server\r\n\r\n")
