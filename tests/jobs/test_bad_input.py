"""A bad request costs one sentence that names the thing and the remedy, and nothing is written."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import Said, command, outer_command, tree
from tests.worlds.practice import write_tiled

NULL = ("--reasoner", "null", "--segmenter", "null", "--engine", "loop")

Request = tuple[list[str], list[str]]
"""What to say after `run`, and the words its refusal must hold: the thing and the remedy."""


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


BAD: tuple[Callable[[Path, Path], Request], ...] = (
    no_such_file, no_such_folder_in_a_glob, a_folder_without_rasters, no_raster, an_empty_file,
    a_cut_off_file, no_crs, more_bands_than_asked, bands_that_are_not_there, an_unknown_model,
    a_folder_without_weights, a_segmenter_folder_without_anything, an_empty_question, a_blank_question,
    no_question, an_overlap_above_half_a_tile, an_unknown_key_in_the_job, an_unknown_key_in_a_question,
    a_job_that_is_no_yaml, a_job_that_is_not_there,
)  # fmt: skip


def assert_refused(said: Said, words: list[str]) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that is no dump and holds the words."""
    assert said.code == 2, said.err
    assert said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) < 400
    assert "given: {" not in lines[0]
    missing = [word for word in words if word not in lines[0]]
    assert missing == [], lines[0]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_bad_request_costs_one_sentence(
    bad: Callable[[Path, Path], Request], tmp_path: Path, good: Path
) -> None:
    asked, words = bad(tmp_path, good)
    before, out = tree(tmp_path), tmp_path / "out"
    assert_refused(command("run", *asked, "--out", str(out)), words)
    assert not out.exists()
    assert tree(tmp_path) == before


def closed_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dead_bucket(tmp_path: Path) -> dict[str, str]:
    """Environment in which every bucket lies behind a closed port."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}",
        "AWS_ACCESS_KEY_ID": "AKTEST",
        "AWS_SECRET_ACCESS_KEY": "SKTEST",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.mark.parametrize("name", ["scene.tif", "*.tif"])
def test_a_bucket_that_is_not_there_is_said_within_seconds(
    dead_bucket: dict[str, str], tmp_path: Path, name: str
) -> None:
    asked = [f"s3://no-such-bucket/{name}", "--ask", "x", *NULL, "--out", str(tmp_path / "out")]
    said = outer_command("run", *asked, env=dead_bucket)
    assert_refused(said, ["s3://no-such-bucket", "AWS_ENDPOINT_URL"])
    assert said.seconds < 15
    assert not (tmp_path / "out").exists()


def test_an_output_bucket_that_is_not_there_is_a_bad_request_too(
    dead_bucket: dict[str, str], good: Path
) -> None:
    asked = [str(good), "--ask", "x", *NULL, "--out", "s3://no-such-bucket/out"]
    said = outer_command("run", *asked, env=dead_bucket)
    assert_refused(said, ["s3://no-such-bucket/out", "AWS_ENDPOINT_URL"])
    assert said.seconds < 15


def test_asking_about_a_run_in_a_bucket_that_is_not_there(dead_bucket: dict[str, str]) -> None:
    said = outer_command("check", "s3://no-such-bucket/out", env=dead_bucket)
    assert_refused(said, ["s3://no-such-bucket/out", "AWS_ENDPOINT_URL"])


def test_a_truth_in_a_bucket_that_is_not_there(
    dead_bucket: dict[str, str], good: Path, tmp_path: Path
) -> None:
    asked = [str(good), "--ask", "x", "--reasoner", "oracle:s3://no-such-bucket/truth.parquet"]
    said = outer_command("run", *asked, "--out", str(tmp_path / "out"), env=dead_bucket)
    assert_refused(said, ["s3://no-such-bucket/"])
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused_and_kept(tmp_path: Path, good: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("keep me", "utf-8")
    said = command("run", str(good), "--ask", "x", *NULL, "--out", str(notes))
    assert_refused(said, ["notes.txt", "folder"])
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
