"""The map in a real browser without a network: it asks nobody, shows, filters and explains the objects."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import geopandas
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines.map.data import COLOURS
from pipelines.map.page import write_map
from pipelines.plan.plan_files import read_plan
from tests.browser.window import Window, coloured
from tiling.storage.store import Store


@pytest.fixture(scope="module")
def page(answers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The written map, moved away from its run: it must need nothing beside it."""
    out = copytree(answers, tmp_path_factory.mktemp("copy") / "out")
    store = Store(str(out))
    written = Path(write_map(store, read_plan(store)))
    return written.rename(tmp_path_factory.mktemp("alone") / "map.html")


@pytest.fixture(scope="module")
def shared(browser: object, page: Path) -> Iterator[Window]:
    """A window with the map loaded, for tests that leave it as they found it or begin by restoring it."""
    with Window.of(browser) as one:
        one.open(page.as_uri())
        yield one


@pytest.fixture
def window(shared: Window) -> Window:
    """The loaded map as it was when it was opened: all on, no filter, no card, all in view."""
    shared.restore()
    return shared


@pytest.fixture(scope="module")
def objects(answers: Path) -> pd.DataFrame:
    files = sorted((answers / "objects").rglob("*.parquet"))
    frame = pd.concat([geopandas.read_parquet(path) for path in files], ignore_index=True)
    assert len(frame) > 20
    return frame


def a_place(found: pd.Series) -> tuple[float, float]:
    point = found["geometry"].representative_point()
    return point.x, point.y


def test_it_asks_for_nothing_but_itself_and_shows_every_colour(page: Path, window: Window) -> None:
    assert window.asked == [page.as_uri()]
    assert window.errors == []
    shown = window.pixels()
    assert min(coloured(shown, colour) for colour in COLOURS[:2]) > 40
    assert window.do("document.querySelectorAll('a[href]').length") == 0


def test_a_question_that_is_off_is_gone_from_map_and_count(objects: pd.DataFrame, window: Window) -> None:
    own = objects.groupby("query").size()
    asked = [window.says(f"#questions label:nth-child({n}) .name") for n in (1, 2)]
    assert window.count() == len(objects)
    assert [int(window.says(f"#count-{n}")) for n in (0, 1)] == [own[text] for text in asked]
    window.page.click("#questions label:nth-child(1)")
    assert window.count() == own[asked[1]]
    shown = window.pixels()
    assert coloured(shown, COLOURS[0], within=12) == 0
    assert coloured(shown, COLOURS[1]) > 40


@pytest.mark.parametrize(
    ("slider", "column"),
    [
        ("score", "score"),
        ("area-low", "area_m2"),
        pytest.param("area-high", "area_m2", marks=pytest.mark.thorough),
    ],
)
def test_a_filter_leaves_what_the_table_has(
    objects: pd.DataFrame, window: Window, slider: str, column: str
) -> None:
    edges = window.do(f"DATA.edges.{column.split('_')[0]}")
    step = len(edges) // 2
    window.slide(slider, step)
    values = objects[column].round(4 if column == "score" else 2)
    passing = values < edges[step] if slider == "area-high" else values >= edges[step]
    assert window.count() == passing.sum()
    drawn = window.do("new Set(map.queryRenderedFeatures({layers: clickable}).map(f => f.properties.i)).size")
    assert drawn == passing.sum()
    assert 0 < passing.sum() < len(objects)
    window.page.click("#reset")
    assert window.count() == len(objects)


def test_a_click_tells_what_was_thought_and_shows_the_tile_with_box_and_mask(
    objects: pd.DataFrame, window: Window
) -> None:
    found = objects.sort_values("area_m2").iloc[-1]
    place = a_place(found)
    window.centre_on(*place)
    card = window.click_at(*place)
    for text in (
        found["query"],
        found["thinking"],
        f"{found['score']:.2f}",
        found["id"],
        found["tile_ids"][0],
    ):
        assert text in card
    assert "m²" in card or "ha" in card
    assert window.do("document.querySelector('#card img').naturalWidth") > 50
    mask, box = window.do(
        "['path', 'rect'].map(tag => { const b = document.querySelector(`#card svg ${tag}`).getBBox();"
        " return [b.x, b.y, b.x + b.width, b.y + b.height]; })"
    )
    # With exact models the box hugs the mask, in percent of the tile; the mask may reach out of the tile.
    clipped = [min(max(value, 0), 100) for value in mask]
    assert clipped == pytest.approx([min(max(value, 0), 100) for value in box], abs=2.0)
    window.page.keyboard.press("Escape")
    assert not window.page.is_visible("#card")


def test_failed_and_empty_tiles_are_there_on_demand_with_the_reason(answers: Path, window: Window) -> None:
    rows = [
        row for path in (answers / "answers").rglob("*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    failed = {row["tile_id"]: row for row in rows if row["status"] == "failed"}
    assert failed
    assert coloured(window.pixels(), "#ff2d2d", within=12) == 0
    label = window.page.locator("#layers label", has_text="Failed tiles")
    assert int(label.locator(".number").inner_text()) == len(failed)
    label.click()
    assert coloured(window.pixels(), "#ff2d2d") > 20
    lon, lat = window.do(
        "(() => { const f = DATA.tiles.features.find(f => f.properties.kind === 'failed');"
        " const [a, , c] = f.geometry.coordinates[0]; return [(a[0] + c[0]) / 2, (a[1] + c[1]) / 2]; })()"
    )
    window.centre_on(lon, lat)
    card = window.click_at(lon, lat)
    assert any(tile_id in card and row["problem"] in card for tile_id, row in failed.items())
    window.page.locator("#layers label", has_text="nothing found").click()
    without_objects = Counter(row["tile_id"] for row in rows if row["status"] in ("empty", "nodata"))
    empty = {tile_id for tile_id, times in without_objects.items() if times == 2}  # of both questions
    assert 0 < len(empty) < len(without_objects)
    shown = "DATA.tiles.features.filter(f => f.properties.kind === 'empty').length"
    assert window.do(shown) == len(empty)


def test_what_a_model_wrote_is_text_and_no_markup(page: Path, browser: object, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    text = page.read_text()
    first = text.index('"texts":[') + len('"texts":[')
    spoiled = tmp_path / "map.html"
    escaped = evil.replace("<", "\\u003c")
    spoiled.write_text(f'{text[:first]}"{escaped}",{text[first:].split(",", 1)[1]}')
    with Window.of(browser, width=600, height=400) as window:
        window.open(spoiled.as_uri())
        window.do("openCard([{...inPage(0), thinking: DATA.texts[0], label: DATA.texts[0]}], 0, choose)")
        window.page.wait_for_selector("#card:not([hidden])")
        assert evil in window.says("#card .thinking")
        assert window.do("document.querySelectorAll('#card img[src=x]').length") == 0
        assert window.errors == []


def test_on_a_phone_the_panel_is_folded_and_the_card_fits(
    page: Path, objects: pd.DataFrame, phone: Window
) -> None:
    phone.open(page.as_uri())
    assert not phone.page.is_visible("#filters")
    place = a_place(objects.iloc[0])
    phone.centre_on(*place)
    phone.click_at(*place)
    box = phone.page.locator("#card").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 800
    phone.page.keyboard.press("Escape")
    phone.page.click("#fold")
    assert phone.page.is_visible("#filters")
