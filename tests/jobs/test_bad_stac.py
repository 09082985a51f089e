"""A bad STAC request costs one sentence that names the thing and the remedy, and nothing is written."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import command, tree
from tests.jobs.test_bad_input import NULL, Request, assert_refused
from tests.worlds.practice import write_tiled
from tests.worlds.stac import (
    COLLECTION,
    JsonItem,
    free_port,
    item_of,
    stac_api,
    write_catalog,
    write_collection,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiled(tmp_path_factory.mktemp("good") / "good.tif")


@pytest.fixture(scope="module")
def api(good: Path) -> Iterator[str]:
    with stac_api(write_collection(good.with_name("items.json"), [item_of(good)])) as url:
        yield url


def no_such_band(folder: Path, item: JsonItem) -> Request:
    file = write_collection(folder / "c.json", [item])
    asked = [str(file), "--assets", "B04,B03,B02", "--ask", "x"]
    return asked, ["c.json#good: has no asset or band 'B04'", "thumbnail, visual", "--assets"]


def two_assets(folder: Path, item: JsonItem) -> Request:
    file = write_collection(folder / "c.json", [item])
    return [str(file), "--assets", "B04,B03", "--ask", "x"], ["assets", "2 names", "one, or three"]


def a_collection_without_items(folder: Path, item: JsonItem) -> Request:
    return [str(write_collection(folder / "c.json", [])), "--ask", "x"], ["c.json", "no STAC item"]


def a_feature_without_assets(folder: Path, item: JsonItem) -> Request:
    file = write_collection(folder / "c.json", [item, {"type": "Feature", "id": "lame"}])
    return [str(file), "--ask", "x"], ["c.json", "malformed ItemCollection", "feature 1"]


def features_that_are_no_list(folder: Path, item: JsonItem) -> Request:
    (folder / "c.json").write_text('{"type": "FeatureCollection", "features": {"a": 1}}', "utf-8")
    return [f"{folder}/c.json", "--ask", "x"], ["c.json", "malformed ItemCollection"]


def no_json(folder: Path, item: JsonItem) -> Request:
    (folder / "c.json").write_text("<html>", "utf-8")
    return [f"{folder}/c.json", "--ask", "x"], ["c.json", "not JSON"]


def json_of_another_kind(folder: Path, item: JsonItem) -> Request:
    (folder / "c.json").write_text('{"type": "Polygon"}', "utf-8")
    return [f"{folder}/c.json", "--ask", "x"], ["c.json", "'Polygon'", "give a STAC item"]


def a_catalog_with_a_dead_link(folder: Path, item: JsonItem) -> Request:
    catalog = write_catalog(folder / "catalog", [item])
    next(catalog.parent.rglob("good.json")).unlink()
    return [str(catalog), "--ask", "x"], ["good.json", "no such file"]


def a_catalog_without_items(folder: Path, item: JsonItem) -> Request:
    return [str(write_catalog(folder / "catalog", [])), "--ask", "x"], ["catalog.json", "no STAC item"]


def an_asset_that_is_gone(folder: Path, item: JsonItem) -> Request:
    item = {**item, "assets": {"visual": {"href": "./lost.tif"}}}
    return [str(write_collection(folder / "c.json", [item])), "--ask", "x"], ["lost.tif", "no such file"]


def an_asset_behind_http(folder: Path, item: JsonItem) -> Request:
    item = {**item, "assets": {"visual": {"href": "https://127.0.0.1:9/x.tif?sig=SECRET"}}}
    file = write_collection(folder / "c.json", [item])
    return [str(file), "--ask", "x"], ["https://127.0.0.1:9/x.tif: http and https", "--allow-driver HTTP"]


def an_api_that_is_not_there(folder: Path, item: JsonItem) -> Request:
    url = f"http://127.0.0.1:{free_port()}/"
    return ["--stac", url, "--collection", "c", "--ask", "x"], [url, "does not answer", "check --stac"]


def an_api_without_an_address(folder: Path, item: JsonItem) -> Request:
    return ["--collection", "c", "--ask", "x"], ["stac.url", "required", "https://host"]


def an_api_without_a_collection(folder: Path, item: JsonItem) -> Request:
    return ["--stac", "https://127.0.0.1:9", "--ask", "x"], ["stac.collections", "--collection"]


def scenes_and_a_search(folder: Path, item: JsonItem) -> Request:
    asked = ["a.tif", "--stac", "https://127.0.0.1:9", "--collection", "c", "--ask", "x"]
    return asked, ["scenes and a stac search are given", "not both"]


def half_a_box(folder: Path, item: JsonItem) -> Request:
    asked = ["--stac", "https://127.0.0.1:9", "--collection", "c", "--bbox", "1,2,3", "--ask", "x"]
    return asked, ["bbox", "'1,2,3'", "west,south,east,north"]


def a_box_upside_down(folder: Path, item: JsonItem) -> Request:
    asked = ["--stac", "https://127.0.0.1:9", "--collection", "c", "--bbox", "1,9,3,4", "--ask", "x"]
    return asked, ["no box of degrees", "south"]


def an_unknown_field_of_the_search(folder: Path, item: JsonItem) -> Request:
    job = {"stac": {"url": "https://127.0.0.1:9", "collections": ["c"], "box": [1, 2, 3, 4]}, "ask": ["x"]}
    (folder / "job.yaml").write_text(json.dumps(job), "utf-8")
    return ["--job", f"{folder}/job.yaml"], ["stac.box", "no such field", "bbox"]


def a_signer_that_is_not_there(folder: Path, item: JsonItem) -> Request:
    asked = [str(write_collection(folder / "c.json", [item])), "--sign", "no_such_module:sign", "--ask", "x"]
    return asked, ["sign", "no_such_module", "module:function"]


def a_signer_without_a_function(folder: Path, item: JsonItem) -> Request:
    asked = [str(write_collection(folder / "c.json", [item])), "--sign", "json", "--ask", "x"]
    return asked, ["sign", "'json'", "module:function"]


BAD: tuple[Callable[[Path, JsonItem], Request], ...] = (
    no_such_band, two_assets, a_collection_without_items, a_feature_without_assets, features_that_are_no_list,
    no_json, json_of_another_kind, a_catalog_with_a_dead_link, a_catalog_without_items,
    an_asset_that_is_gone, an_asset_behind_http, an_api_that_is_not_there, an_api_without_an_address,
    an_api_without_a_collection, scenes_and_a_search, half_a_box, a_box_upside_down,
    an_unknown_field_of_the_search, a_signer_that_is_not_there, a_signer_without_a_function,
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_bad_stac_request_costs_one_sentence(
    bad: Callable[[Path, JsonItem], Request], tmp_path: Path, good: Path
) -> None:
    asked, words = bad(tmp_path, item_of(good))
    before, out = tree(tmp_path), tmp_path / "out"
    said = command("run", *asked, *NULL, "--out", str(out))
    assert_refused(said, words)
    assert "SECRET" not in said.err
    assert tree(tmp_path) == before
    assert not out.exists()


@pytest.mark.parametrize(
    ("search", "words"),
    [
        (["--collection", COLLECTION, "--bbox", "100,1,101,2"], ["finds nothing", COLLECTION, "--bbox"]),
        (["--collection", "nothing-such"], ["finds nothing", "nothing-such", "--collection"]),
        (["--collection", COLLECTION, "--datetime", "1970-01-01/1970-02-01"], ["finds nothing", "1970"]),
        (["--collection", COLLECTION, "--datetime", "yesterday"], ["stac.datetime", "yesterday", "from/to"]),
        (["--collection", COLLECTION, "--datetime", "2024-99"], ["does not answer the search", "month"]),
    ],
)
def test_a_search_that_leads_nowhere_costs_one_sentence(
    search: list[str], words: list[str], api: str, tmp_path: Path
) -> None:
    said = command("run", "--stac", api, *search, "--ask", "x", *NULL, "--out", str(tmp_path / "out"))
    assert_refused(said, words)
    assert tree(tmp_path) == {}


def test_more_items_than_allowed_are_refused(api: str, good: Path, tmp_path: Path) -> None:
    items = [{**item_of(good), "id": f"copy-{number}"} for number in range(3)]
    with stac_api(write_collection(tmp_path / "items.json", items)) as url:
        job = {"stac": {"url": url, "collections": [COLLECTION], "max_items": 2}, "ask": ["x"]}
        (tmp_path / "job.yaml").write_text(json.dumps(job), "utf-8")
        said = command("run", "--job", f"{tmp_path}/job.yaml", *NULL, "--out", f"{tmp_path}/out")
        assert_refused(said, ["more than 2 items", "narrow"])


def test_flags_of_a_search_win_over_the_job_file(api: str, tmp_path: Path) -> None:
    search = {"url": api, "collections": [COLLECTION], "datetime": "1970-01-01"}
    job = {"stac": search, "ask": ["x"], "out": str(tmp_path / "out")}
    (tmp_path / "job.yaml").write_text(json.dumps(job), "utf-8")
    asked = ("plan", "--job", f"{tmp_path}/job.yaml", *NULL, "--tile", "256")
    assert_refused(command(*asked), ["finds nothing"])
    said = command(*asked, "--datetime", "2000-01-01/2040-01-01", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["scenes"] == 1
