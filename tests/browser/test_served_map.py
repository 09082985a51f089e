"""The served map of more objects than a page holds: all are reached, by ranges, from this machine alone."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import geopandas
import pandas as pd
import pytest
from aiohttp import web

from pipelines.map import objects as map_objects
from pipelines.map import page
from pipelines.map.page import write_map
from pipelines.map.server import application
from pipelines.plan.plan_files import read_plan
from tests.browser.window import Window
from tiling.storage.store import Store

HELD = 8
"""Objects that the page itself may hold here."""


@pytest.fixture(scope="module")
def run(answers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a map that holds only a few of its objects."""
    out = copytree(answers, tmp_path_factory.mktemp("many") / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "MAX_OBJECTS", HELD)
        patch.setattr(map_objects, "MAX_OBJECTS", HELD)
        patch.setattr(map_objects, "MIN_PER_QUESTION", 2)
        store = Store(str(out))
        write_map(store, read_plan(store))
    return out


@pytest.fixture(scope="module")
def address(run: Path) -> Iterator[str]:
    """Where the map is served; the server ends with the tests."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(application(run, read_plan(Store(str(run)))), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)


@pytest.fixture(scope="module")
def objects(answers: Path) -> pd.DataFrame:
    files = sorted((answers / "objects").rglob("*.parquet"))
    return pd.concat([geopandas.read_parquet(path) for path in files], ignore_index=True)


def test_served_all_objects_are_reached_and_described(
    address: str, objects: pd.DataFrame, browser: object
) -> None:
    with Window.of(browser) as window:
        window.open(address)
        held = set(window.do("DATA.objects.id"))
        assert len(held) <= HELD < len(objects)
        assert window.count() == len(objects)
        other = objects[~objects["id"].isin(held)].sort_values("area_m2").iloc[-1]
        point = other["geometry"].representative_point()
        window.centre_on(point.x, point.y)
        card = window.click_at(point.x, point.y)
        for text in (other["id"], other["thinking"], other["query"], other["tile_ids"][0]):
            assert text in card
        window.page.wait_for_selector("#card img")
        assert window.do("document.querySelectorAll('#card svg path').length") == 1
        edge = len(window.do("DATA.edges.area")) // 2
        window.slide("area-low", edge)
        passing = objects["area_m2"].round(2) >= window.do("DATA.edges.area")[edge]
        assert window.count() == passing.sum()
        assert all(url.startswith(address) for url in window.asked)
        assert any(".pmtiles" in url for url in window.asked)
        assert window.errors == []


def test_alone_the_file_shows_a_sample_and_says_how_to_see_all(
    run: Path, objects: pd.DataFrame, browser: object
) -> None:
    with Window.of(browser, width=800, height=500) as window:
        window.open((run / "map.html").as_uri())
        assert f"of {len(objects):,} objects" in window.says("#notice")
        assert "--serve" in window.says("#notice")
        assert window.count() == len(objects)
        assert len(window.asked) == 1
        assert window.errors == []
