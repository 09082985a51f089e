"""Serves a folder's files over HTTP with ranges on loopback, and counts the bytes and requests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote


@dataclass(slots=True)
class Sent:
    """What a server has sent so far."""

    bytes: int = 0
    """Bytes of file content."""
    requests: int = 0
    """Requests for ranges or whole files."""
    asked: int = 0
    """All requests: those, and those for heads and for files that are not there."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held to count."""

    def count(self, sent: int) -> None:
        """Add one answer."""
        with self.lock:
            self.bytes += sent
            self.requests += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: Path
    sent: Sent

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, body: bool) -> None:
        path = self.root / unquote(self.path).lstrip("/")
        with self.sent.lock:
            self.sent.asked += 1
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        wanted = self.headers.get("Range")
        first, last = _span(wanted, size)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if body:
            with path.open("rb") as file:
                file.seek(first)
                self.wfile.write(file.read(last - first + 1))
            self.sent.count(last - first + 1)


def _span(wanted: str | None, size: int) -> tuple[int, int]:
    """First and last byte that a Range header asks for."""
    if not wanted:
        return 0, size - 1
    start, _, end = wanted.removeprefix("bytes=").partition("-")
    if not start:
        return size - int(end), size - 1
    return int(start), min(int(end or size - 1), size - 1)


@contextmanager
def range_server(root: Path) -> Iterator[tuple[str, Sent]]:
    """Serve a folder; yields the address of the folder and what has been sent."""
    sent = Sent()
    handler = type("Handler", (_Handler,), {"root": root, "sent": sent})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", sent
        finally:
            server.shutdown()
            thread.join()


def address_of(base: str, name: str) -> str:
    """Address of a file of the folder."""
    return f"{base}/{quote(name)}"
