"""Serves a map on this machine's loopback address: files by range, pictures of tiles on demand."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from pipelines import RequestError
from pipelines.map.archive import MAP_FOLDER
from pipelines.map.data import SERVED_PX, read_tile, rendering_of
from pipelines.map.objects import scenes_by_id
from pipelines.map.page import MAP_FILE
from pipelines.plan import Plan
from tiling.storage import Store

HOST = "127.0.0.1"
_OWN_NAMES = (HOST, "localhost")
_ARCHIVE = re.compile(r"[\w-]+\.pmtiles")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(store: Store, plan: Plan, *, port: int, ready: Callable[[str], None]) -> None:
    """Serve a written map until interrupted.

    Args:
        store: the output folder, with the map in it.
        plan: its plan.
        port: on the loopback address; 0 takes any free one.
        ready: called with the address once the server answers.

    Raises:
        RequestError: the port is taken.
        OSError: the map cannot be read.
    """
    with _bound(port) as bound, _local(store) as folder, suppress(KeyboardInterrupt):
        address = f"http://{HOST}:{bound.getsockname()[1]}/"
        app = application(folder, plan)

        async def started(_: web.Application) -> None:
            ready(address)

        app.on_startup.append(started)
        web.run_app(app, sock=bound, print=None, access_log=None, shutdown_timeout=1.0)


def application(folder: Path, plan: Plan) -> web.Application:
    """The map's web application over a local folder that holds the page and its archives."""
    scenes, rendering = scenes_by_id(plan), rendering_of(plan, SERVED_PX)

    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(folder / MAP_FILE, headers={"Cache-Control": "no-cache"})

    async def archive(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = folder / MAP_FOLDER / name
        if not _ARCHIVE.fullmatch(name) or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def picture(request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(read_tile, scenes, request.query.get("tile", ""), rendering)
        if found is None:
            raise web.HTTPNotFound
        return web.json_response(asdict(found))

    app = web.Application(middlewares=[_own_names_only])
    app.router.add_get("/", page)
    app.router.add_get(f"/{MAP_FILE}", page)
    app.router.add_get(f"/{MAP_FOLDER}/{{name}}", archive)
    app.router.add_get("/picture", picture)
    return app


@web.middleware
async def _own_names_only(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse requests for other host names than this machine's own, against DNS rebinding."""
    if request.url.host not in _OWN_NAMES:
        raise web.HTTPForbidden
    return await handler(request)


@contextmanager
def _bound(port: int) -> Iterator[socket.socket]:
    try:
        bound = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise RequestError(
            "port", f"{port} cannot be used ({error})", "give another --port, or 0 for a free one"
        ) from error
    with bound:
        yield bound


@contextmanager
def _local(store: Store) -> Iterator[Path]:
    """The output folder if it is local, else a local copy of the map's files."""
    if store.is_local:
        yield Path(store.root)
        return
    with TemporaryDirectory(prefix="remotereasoner-") as folder:
        for name in (MAP_FILE, *store.names(MAP_FOLDER)):
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(store.read(name))
        yield Path(folder)
