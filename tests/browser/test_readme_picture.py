"""The picture in the README is the demo's map as it is today; PICTURES=1 puts a new one in its place."""

import math
import os
from pathlib import Path
from shutil import copyfile

import pytest

from tests.browser.window import Window
from tests.commands import command

README_PICTURE = Path(__file__).parents[2] / "docs" / "demo.jpg"


@pytest.mark.slow
def test_the_demo_s_map_makes_a_picture(browser: object, tmp_path: Path) -> None:
    result = command("demo", "--out", str(tmp_path / "demo"), "--engine", "loop")
    assert result.code == 0, result.err
    picture = tmp_path / "demo.jpg"
    with Window.of(browser, width=1280, height=720) as window:
        window.open((tmp_path / "demo" / "answers" / "map.html").as_uri())
        corners = window.do("DATA.outlines.features[0].geometry.coordinates[0]")
        lon, lat = ((min(side) + max(side)) / 2 for side in zip(*corners, strict=True))
        window.centre_on(lon, lat, zoom=16.1)
        places = window.do("DATA.objects.x.map((x, i) => [x, DATA.objects.y[i], DATA.objects.q[i]])")
        x, y = min(((x, y) for x, y, q in places if q == 0), key=lambda at: math.dist(at, (lon, lat)))
        assert window.click_at(x, y)
        window.wait_until_drawn()
        window.page.wait_for_selector("#card img")
        window.page.screenshot(path=picture, type="jpeg", quality=82)
        assert window.errors == []
    assert 30_000 < picture.stat().st_size < 400_000
    if os.environ.get("PICTURES"):
        copyfile(picture, README_PICTURE)
