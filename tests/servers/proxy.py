"""A proxy on loopback between us and an S3 server that breaks the wire from a seed and counts the breaks.

It runs in a process of its own: GDAL opens files without letting other threads of this one run.
"""

import argparse
import asyncio
import itertools
import json
import random
import socket
import struct
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

CONTROL = "/-/"
"""Paths below this are for the test; no bucket is called so."""
STALL_S = 0.3
KINDS = ("500", "503", "reset before", "reset after", "stall", "truncated")
"""What is injected: an error status, a connection cut before or after the store has acted, a pause, a body
that ends too early."""
UNCHANGED = ("connection", "transfer-encoding", "content-length", "keep-alive", "expect")
"""Headers that belong to one connection, not to the message; lower case."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How the wire behaves."""

    seed: int = 0
    """Of the order in which faults come."""
    every: int = 0
    """Each run of so many requests meets every kind of fault once; 0 for a sound wire."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    endpoint: str
    """Its http address."""

    def injected(self) -> Counter[str]:
        """Faults injected so far, by kind."""
        return Counter(self._ask("counts"))

    def requests(self) -> list[str]:
        """Requests seen so far: method, path and range."""
        return [str(line) for line in self._ask("requests")]

    def refuse(self, code: str, *, after: int = 0) -> None:
        """Answer 403 with an error code to everything, once so many further requests have passed."""
        self._ask("refuse?" + urlencode({"code": code, "after": after}))

    def restore(self) -> None:
        """Let everything pass again."""
        self._ask("restore")

    def cut(self, path: str, *, at: int, skip: int = 0) -> None:
        """Send only the first bytes of one body whose path ends so: the next, or one after it."""
        self._ask("cut?" + urlencode({"path": path, "at": at, "skip": skip}))

    def _ask(self, what: str) -> list[object]:
        with urllib.request.urlopen(f"{self.endpoint}{CONTROL}{what}", timeout=10) as answer:
            found: list[object] = json.load(answer)
            return found


@contextmanager
def proxied(endpoint: str, faults: Faults = Faults()) -> Iterator[Proxy]:
    """Run a proxy to an endpoint for the block."""
    command = [sys.executable, "-m", "tests.servers.proxy", endpoint]
    command += [word for name, value in asdict(faults).items() for word in (f"--{name}", str(value))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Proxy(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


class _Wire:
    """Passes requests on, except where a fault is due."""

    def __init__(self, upstream: str, faults: Faults, session: aiohttp.ClientSession) -> None:
        self._upstream, self._session = upstream, session
        self._due = _deck(faults) if faults.every else itertools.repeat("")
        self.counts: Counter[str] = Counter()
        self.requests: list[str] = []
        self.refused = ("", 0)
        self.cuts: dict[str, tuple[int, int]] = {}
        self._owed = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        span = request.headers.get("Range", "")
        self.requests.append(f"{request.method} {request.raw_path} {span}".strip())
        code, after = self.refused
        if code and after <= 0:
            self.counts["refused"] += 1
            return _error(403, code)
        self.refused = (code, after - 1)
        return await self._broken(request, next(self._due))

    async def _broken(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault == "truncated":
            self._owed += 1
        elif fault:
            self.counts[fault] += 1
        if fault in ("500", "503"):
            await request.read()
            return _error(int(fault), "InternalError" if fault == "500" else "SlowDown")
        if fault == "stall":
            await asyncio.sleep(STALL_S)
        if fault == "reset before":
            return _reset(request)
        status, headers, body = await self._forward(request)
        if fault == "reset after":
            return _reset(request)
        return await self._answer(request, web.Response(status=status, headers=headers), body)

    async def _forward(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in UNCHANGED}
        url = aiohttp.client.URL(self._upstream + request.raw_path, encoded=True)
        data = await request.read()
        if request.headers.get("Content-Length"):
            headers["Content-Length"] = str(len(data))
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=data or None,
            allow_redirects=False,
            skip_auto_headers=AUTO,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in UNCHANGED}
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                kept["Content-Length"] = answer.headers["Content-Length"]
            return answer.status, kept, await answer.read()

    async def _answer(self, request: web.Request, answer: web.Response, body: bytes) -> web.StreamResponse:
        cut = self._cut(request, answer, len(body))
        if cut is None:
            if request.method != "HEAD":
                answer.body = body
            return answer
        stream = web.StreamResponse(status=answer.status, headers=answer.headers)
        stream.content_length = len(body)
        await stream.prepare(request)
        await stream.write(body[:cut])
        assert request.transport is not None
        request.transport.close()
        return stream

    def _cut(self, request: web.Request, answer: web.Response, size: int) -> int | None:
        """Where a body is to end too early, None where it is whole."""
        if request.method != "GET" or answer.status not in (200, 206) or size < 2:
            return None
        for path, (at, skip) in list(self.cuts.items()):
            if request.path.endswith(path):
                self.cuts[path] = (at, skip - 1)
                if skip:
                    continue
                del self.cuts[path]
                self.counts["cut"] += 1
                return at
        if not self._owed:
            return None
        self._owed -= 1
        self.counts["truncated"] += 1
        return size // 2


AUTO = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _deck(faults: Faults) -> Iterator[str]:
    """Faults in the order they come, shuffled anew for every so many requests."""
    draw = random.Random(faults.seed)
    while True:
        cards = [*KINDS, *[""] * (faults.every - len(KINDS))]
        draw.shuffle(cards)
        yield from cards


def _error(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")


def _reset(request: web.Request) -> web.StreamResponse:
    """Cut the connection so that the other side sees a reset."""
    assert request.transport is not None
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


def _control(wire: _Wire, request: web.Request) -> web.Response:
    what, asked = request.path.removeprefix(CONTROL), request.query
    if what == "refuse":
        wire.refused = (asked["code"], int(asked["after"]))
    elif what == "restore":
        wire.refused = ("", 0)
    elif what == "cut":
        wire.cuts[asked["path"]] = (int(asked["at"]), int(asked["skip"]))
    reply = {"counts": list(wire.counts.elements()), "requests": wire.requests}
    return web.json_response(reply.get(what, []))


async def _serve(upstream: str, faults: Faults) -> None:
    connector = aiohttp.TCPConnector(limit=64)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        wire = _Wire(upstream, faults, session)

        async def handle(request: web.Request) -> web.StreamResponse:
            return _control(wire, request) if request.path.startswith(CONTROL) else await wire(request)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--every", type=int)
    given = parser.parse_args()
    asyncio.run(_serve(given.upstream, Faults(given.seed, given.every)))
