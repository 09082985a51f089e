"""A bad request costs one sentence that names the subject and the remedy, and nothing is written.

Files that are no scenes, STAC that leads nowhere, storage that is away or refuses.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.commands import NULL, assert_refused, command, outer_command, tree
from tests.servers.fixtures import bucket_tree, upload
from tests.servers.proxy import proxied
from tests.servers.radosgw import Server, free_ports
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

LONGEST_S = 15.0
"""For a whole command, on a busy machine."""
SECRET = "SKTEST"
Request = tuple[list[str], list[str]]
"""Arguments after `run`, and the words its refusal must hold: the subject and the remedy."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiled(tmp_path_factory.mktemp("good") / "good.tif")


def no_such_file(folder: Path, good: Path) -> Request:
    return [f"{folder}/missing.tif", "--ask", "x", *NULL], ["missing.tif", "no such file", "check"]


def no_such_folder_in_a_glob(folder: Path, good: Path) -> Request:
    return [f"{folder}/none/*.tif", "--ask", "x", *NULL], ["none/*.tif", "no such file", "check"]


def a_folder_without_rasters(folder: Path, good: Path) -> Request:
    (folder / "bare").mkdir()
    return [f"{folder}/bare", "--ask", "x", *NULL], ["bare", "*.tif"]


def no_raster(folder: Path, good: Path) -> Request:
    (folder / "words.tif").write_text("these are words, and no raster at all\n", "utf-8")
    return [f"{folder}/words.tif", "--ask", "x", *NULL], ["words.tif", "convert it to a GeoTIFF"]


def an_empty_file(folder: Path, good: Path) -> Request:
    (folder / "void.tif").touch()
    return [f"{folder}/void.tif", "--ask", "x", *NULL], ["void.tif", "empty"]


def a_cut_off_file(folder: Path, good: Path) -> Request:
    (folder / "cut.tif").write_bytes(good.read_bytes()[:100])
    return [f"{folder}/cut.tif", "--ask", "x", *NULL], ["cut.tif"]


def no_crs(folder: Path, good: Path) -> Request:
    path = write_tiled(folder / "nowhere.tif", crs=None)
    return [str(path), "--ask", "x", *NULL], ["nowhere.tif", "no CRS", "--assume-crs EPSG:"]


def more_bands_than_asked(folder: Path, good: Path) -> Request:
    path = write_tiled(folder / "five.tif", count=5)
    return [str(path), "--ask", "x", *NULL], ["five.tif", "5 bands", "--bands"]


def bands_that_are_not_there(folder: Path, good: Path) -> Request:
    return [str(good), "--ask", "x", "--bands", "7,8,9", *NULL], ["good.tif", "7,8,9", "1 to 3"]


def an_unknown_model(folder: Path, good: Path) -> Request:
    asked = [str(good), "--ask", "x", "--reasoner", "no-such-model", "--segmenter", "null"]
    return asked, ["no-such-model", "give a hub id, a local folder"]


def a_folder_without_weights(folder: Path, good: Path) -> Request:
    (folder / "shell").mkdir()
    (folder / "shell" / "config.json").write_text('{"model_type": "qwen3_vl"}', "utf-8")
    asked = [str(good), "--ask", "x", "--reasoner", f"{folder}/shell", "--segmenter", "null"]
    return asked, ["shell", "*.safetensors", "give"]


def a_segmenter_folder_without_anything(folder: Path, good: Path) -> Request:
    (folder / "hull").mkdir()
    asked = [str(good), "--ask", "x", "--reasoner", "null", "--segmenter", f"{folder}/hull"]
    return asked, ["hull", "config.json", "give"]


def an_empty_question(folder: Path, good: Path) -> Request:
    return [str(good), "--ask", "", *NULL], ["question", "empty", "--ask"]


def a_blank_question(folder: Path, good: Path) -> Request:
    return [str(good), "--ask", " \t ", *NULL], ["question", "empty", "--ask"]


def no_question(folder: Path, good: Path) -> Request:
    return [str(good), *NULL], ["ask", "--ask"]


def an_overlap_above_half_a_tile(folder: Path, good: Path) -> Request:
    asked = [str(good), "--ask", "x", "--tile", "128", "--overlap", "65", *NULL]
    return asked, ["overlap 65", "at most 64"]


def an_unknown_key_in_the_job(folder: Path, good: Path) -> Request:
    job = folder / "job.yaml"
    job.write_text(json.dumps({"scenes": [str(good)], "ask": ["x"], "tiel": 3}), "utf-8")
    return ["--job", str(job)], ["tiel", "no such field", "tile"]


def an_unknown_key_in_a_question(folder: Path, good: Path) -> Request:
    job = folder / "job.yaml"
    job.write_text(json.dumps({"scenes": [str(good)], "ask": [{"text": "x", "taks": "vqa"}]}), "utf-8")
    return ["--job", str(job)], ["taks", "no such field"]


def a_job_that_is_no_yaml(folder: Path, good: Path) -> Request:
    (folder / "job.yaml").write_text("scenes: [a.tif\nask", "utf-8")
    return ["--job", f"{folder}/job.yaml"], ["job.yaml", "cannot be read"]


def a_job_that_is_not_there(folder: Path, good: Path) -> Request:
    return ["--job", f"{folder}/lost.yaml"], ["lost.yaml", "cannot be read"]


BAD_INPUT: tuple[Callable[[Path, Path], Request], ...] = (
    no_such_file, no_such_folder_in_a_glob, a_folder_without_rasters, no_raster, an_empty_file,
    a_cut_off_file, no_crs, more_bands_than_asked, bands_that_are_not_there, an_unknown_model,
    a_folder_without_weights, a_segmenter_folder_without_anything, an_empty_question, a_blank_question,
    no_question, an_overlap_above_half_a_tile, an_unknown_key_in_the_job, an_unknown_key_in_a_question,
    a_job_that_is_no_yaml, a_job_that_is_not_there,
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD_INPUT, ids=lambda bad: bad.__name__)
def test_a_bad_request_costs_one_sentence(
    bad: Callable[[Path, Path], Request], tmp_path: Path, good: Path
) -> None:
    asked, words = bad(tmp_path, good)
    before, out = tree(tmp_path), tmp_path / "out"
    assert_refused(command("run", *asked, "--out", str(out)), words)
    assert not out.exists()
    assert tree(tmp_path) == before


def test_an_output_that_is_a_file_is_refused_and_kept(tmp_path: Path, good: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("keep me", "utf-8")
    result = command("run", str(good), "--ask", "x", *NULL, "--out", str(notes))
    assert_refused(result, ["notes.txt", "folder"])
    assert notes.read_text("utf-8") == "keep me"


def test_an_output_folder_that_holds_another_job_is_refused_and_kept(tmp_path: Path, good: Path) -> None:
    out = tmp_path / "out"
    first = ("run", str(good), *NULL, "--tile", "256", "--out", str(out))
    assert command(*first, "--ask", "where are ships?").code == 0
    before = tree(out)
    assert_refused(command(*first, "--ask", "where are cars?"), [str(out), "another job", "--overwrite"])
    assert tree(out) == before
    assert command(*first, "--ask", "where are cars?", "--overwrite").code == 0
    assert not [name for name in tree(out) if "ships" in name]


@pytest.mark.parametrize("verb", ["status", "check", "show"])
def test_a_folder_without_a_run_is_named(verb: str, tmp_path: Path) -> None:
    assert_refused(command(verb, f"{tmp_path}/blank"), ["blank", "holds no run", "--out"])
    assert tree(tmp_path) == {}


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
    return asked, ["not a box of degrees", "south"]


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


BAD_STAC: tuple[Callable[[Path, JsonItem], Request], ...] = (
    no_such_band, two_assets, a_collection_without_items, a_feature_without_assets, features_that_are_no_list,
    no_json, json_of_another_kind, a_catalog_with_a_dead_link, a_catalog_without_items,
    an_asset_that_is_gone, an_asset_behind_http, an_api_that_is_not_there, an_api_without_an_address,
    an_api_without_a_collection, scenes_and_a_search, half_a_box, a_box_upside_down,
    an_unknown_field_of_the_search, a_signer_that_is_not_there, a_signer_without_a_function,
)  # fmt: skip


@pytest.mark.parametrize("bad", BAD_STAC, ids=lambda bad: bad.__name__)
def test_a_bad_stac_request_costs_one_sentence(
    bad: Callable[[Path, JsonItem], Request], tmp_path: Path, good: Path
) -> None:
    asked, words = bad(tmp_path, item_of(good))
    before, out = tree(tmp_path), tmp_path / "out"
    result = command("run", *asked, *NULL, "--out", str(out))
    assert_refused(result, words)
    assert "SECRET" not in result.err
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
    result = command("run", "--stac", api, *search, "--ask", "x", *NULL, "--out", str(tmp_path / "out"))
    assert_refused(result, words)
    assert tree(tmp_path) == {}


def test_more_items_than_allowed_are_refused(api: str, good: Path, tmp_path: Path) -> None:
    items = [{**item_of(good), "id": f"copy-{number}"} for number in range(3)]
    with stac_api(write_collection(tmp_path / "items.json", items)) as url:
        job = {"stac": {"url": url, "collections": [COLLECTION], "max_items": 2}, "ask": ["x"]}
        (tmp_path / "job.yaml").write_text(json.dumps(job), "utf-8")
        result = command("run", "--job", f"{tmp_path}/job.yaml", *NULL, "--out", f"{tmp_path}/out")
        assert_refused(result, ["more than 2 items", "narrow"])


def test_flags_of_a_search_win_over_the_job_file(api: str, tmp_path: Path) -> None:
    search = {"url": api, "collections": [COLLECTION], "datetime": "1970-01-01"}
    job = {"stac": search, "ask": ["x"], "out": str(tmp_path / "out")}
    (tmp_path / "job.yaml").write_text(json.dumps(job), "utf-8")
    asked = ("plan", "--job", f"{tmp_path}/job.yaml", *NULL, "--tile", "256")
    assert_refused(command(*asked), ["finds nothing"])
    result = command(*asked, "--datetime", "2000-01-01/2040-01-01", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["scenes"] == 1


@pytest.fixture
def dead_bucket(tmp_path: Path) -> dict[str, str]:
    """Environment in which every bucket lies behind a closed port."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_ports(1)[0]}",
        "AWS_ACCESS_KEY_ID": "AKTEST",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def test_a_missing_bucket_is_reported_within_seconds(dead_bucket: dict[str, str], tmp_path: Path) -> None:
    asked = ["s3://no-such-bucket/scene.tif", "--ask", "x", *NULL, "--out", str(tmp_path / "out")]
    result = outer_command("run", *asked, env=dead_bucket)
    assert_refused(result, ["s3://no-such-bucket", "AWS_ENDPOINT_URL"])
    assert result.seconds < LONGEST_S
    assert SECRET not in result.err
    assert not (tmp_path / "out").exists()


def scenes_in_a_dead_bucket(good: Path, out: Path) -> list[str]:
    return ["run", "s3://no-such-bucket/*.tif", "--ask", "x", *NULL, "--out", str(out)]


def an_output_in_a_dead_bucket(good: Path, out: Path) -> list[str]:
    return ["run", str(good), "--ask", "x", *NULL, "--out", "s3://no-such-bucket/out"]


def a_run_in_a_dead_bucket(good: Path, out: Path) -> list[str]:
    return ["check", "s3://no-such-bucket/out"]


def a_truth_in_a_dead_bucket(good: Path, out: Path) -> list[str]:
    oracle = "oracle:s3://no-such-bucket/truth.parquet"
    return ["run", str(good), "--ask", "x", "--reasoner", oracle, "--out", str(out)]


@pytest.mark.parametrize(
    "asked",
    [scenes_in_a_dead_bucket, an_output_in_a_dead_bucket, a_run_in_a_dead_bucket, a_truth_in_a_dead_bucket],
    ids=lambda asked: asked.__name__,
)
def test_any_path_in_a_missing_bucket_costs_one_sentence(
    asked: Callable[[Path, Path], list[str]],
    dead_bucket: dict[str, str],
    good: Path,
    tmp_path: Path,
    impatient: None,
) -> None:
    with patch.dict(os.environ, dead_bucket):
        result = command(*asked(good, tmp_path / "out"))
    assert_refused(result, ["s3://no-such-bucket/", "AWS_ENDPOINT_URL"])
    assert result.seconds < LONGEST_S
    assert SECRET not in result.err
    assert not (tmp_path / "out").exists()


SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables whose values no message may hold."""

Asked = tuple[Mapping[str, str], str, list[str]]
"""Environment, bucket, and words of the refusal."""


def no_endpoint(server: Server, bucket: str) -> Asked:
    return server.env("nonsense"), bucket, ["nonsense", "AWS_ENDPOINT_URL"]


def wrong_key(server: Server, bucket: str) -> Asked:
    return {**server.env(), "AWS_ACCESS_KEY_ID": "AKNOBODY"}, bucket, ["refuses", "AWS_ACCESS_KEY_ID"]


def wrong_secret(server: Server, bucket: str) -> Asked:
    return (
        {**server.env(), "AWS_SECRET_ACCESS_KEY": "Sk8Wrong7Secret"},
        bucket,
        ["refuses", "AWS_SECRET_ACCESS_KEY"],
    )


def missing_bucket(server: Server, bucket: str) -> Asked:
    return server.env(), "s3://no-such-bucket", ["s3://no-such-bucket", "no such bucket", "make it first"]


def unknown_profile(server: Server, bucket: str) -> Asked:
    return {**server.env(), "AWS_PROFILE": "nobody"}, bucket, ["nobody", "AWS_PROFILE"]


BAD_STORAGE = (no_endpoint, wrong_key, wrong_secret, missing_bucket, unknown_profile)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_tiled(tmp_path / "scene.tif")


@pytest.mark.parametrize("side", ["scenes", "out"])
@pytest.mark.parametrize("bad", BAD_STORAGE, ids=lambda bad: bad.__name__)
def test_storage_that_refuses_costs_one_sentence(
    bad: Callable[[Server, str], Asked], side: str, bucket: str, s3_server: Server, scene: Path
) -> None:
    assert_costs_one_sentence(s3_server, bucket, scene, asked=bad(s3_server, bucket), side=side)


@pytest.mark.parametrize("side", ["scenes", "out"])
def test_an_expired_token_costs_one_sentence(side: str, bucket: str, s3_server: Server, scene: Path) -> None:
    with proxied(s3_server.endpoint) as proxy:
        proxy.refuse("ExpiredToken")
        env = {**s3_server.env(proxy.endpoint), "AWS_SESSION_TOKEN": "Token0That1Is2Over"}
        asked = env, bucket, ["refuses", "AWS_SESSION_TOKEN"]
        assert_costs_one_sentence(s3_server, bucket, scene, asked=asked, side=side)


def assert_costs_one_sentence(server: Server, bucket: str, scene: Path, *, asked: Asked, side: str) -> None:
    env, place, words = asked
    upload(server, scene.parent, f"{bucket}/in")
    before, out = bucket_tree(server, bucket), scene.parent / "out"
    scenes, target = (f"{place}/in/*.tif", str(out)) if side == "scenes" else (str(scene), f"{place}/out")
    with patch.dict(os.environ, env):
        result = command("run", scenes, "--ask", "x", *NULL, "--out", target)
    assert_refused(result, words)
    assert result.seconds < LONGEST_S
    assert not out.exists()
    assert bucket_tree(server, bucket) == before
    assert not [name for name in SECRETS if env.get(name) and env[name] in result.err]
