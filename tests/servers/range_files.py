"""Answers with byte ranges, as servers of files and of objects in the tests give them. Decides no address."""

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class RangeFiles(BaseHTTPRequestHandler):
    """Serves what is below `root`; what an address means is for `answer` to say."""

    root: Path
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    headers_of_all: ClassVar[Mapping[str, str]] = {"Accept-Ranges": "bytes"}

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        raise NotImplementedError

    def content(self, data: bytes, body: bool) -> None:
        span = self.headers.get("Range")
        if not span:
            return self.reply(200, data, body)
        first, _, last = span.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(data) - 1), len(data) - 1)
        self.reply(206, data[start : end + 1], body, f"bytes {start}-{end}/{len(data)}")

    def reply(self, status: int, data: bytes, body: bool, span: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{len(data)}"')
        for name, value in self.headers_of_all.items():
            self.send_header(name, value)
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def serve(handler: type[RangeFiles]) -> None:
    """Serve on a free port of the loopback address, printed first, until the process is ended."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()
