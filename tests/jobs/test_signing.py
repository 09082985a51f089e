"""Claim: addresses are signed when they are opened, anew when that has run out, and kept nowhere."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from pipelines.plan.plan_files import read_plan
from tests.commands import NULL, assert_refused, command, outer_command
from tests.servers.signed_files import SECRET, answers, signed_files
from tests.worlds.fixtures import MakeConfig, file_bytes
from tests.worlds.stac import item_of, write_collection
from tiling.errors import SceneError, without_queries
from tiling.storage.signing import load_signer, signed
from tiling.storage.store import Store

SIGN = "tests.servers.signed_files:sign"
Request = Callable[..., JobConfig]


@pytest.fixture
def served(practice: Path, tmp_path: Path) -> Path:
    """A folder of the practice scenes, to be served."""
    root = tmp_path / "served"
    root.mkdir()
    for path in (practice / "scenes").glob("*.tif"):
        shutil.copy2(path, root)
    return root


def collection_of(root: Path, url: str) -> str:
    """An ItemCollection whose assets lie on the server, unsigned."""
    items = [item_of(path, href=f"{url}/{path.name}") for path in sorted(root.glob("*.tif"))]
    return str(write_collection(root / "items.json", items))


def words_of(out: Path) -> str:
    """Everything a result says, Parquet unpacked."""
    texts = [repr(pq.read_table(path).to_pylist()) for path in out.rglob("*.parquet")]
    return "\n".join(texts + [path.read_text("utf-8") for path in out.rglob("*.json")])


def test_signed_scenes_give_the_bytes_of_local_ones_and_no_signature_is_kept(
    make_config: MakeConfig, served: Path, whole: Path
) -> None:
    with signed_files(served, lasts=1000) as url:
        config = make_config(scenes=[collection_of(served, url)], sign=SIGN, allow_drivers=["HTTP"])
        report = run_job(config)
    unsigned = {band.uri for item in read_plan(Store(config.out)).scenes for band in item.scene.bands}
    assert unsigned == {f"{url}/{path.name}" for path in served.glob("*.tif")}
    assert report.failed == 0
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")
    assert set(answers(served)) == {"200"}
    assert SECRET not in words_of(Path(config.out))
    assert SECRET in (served / "requests.txt").read_text()


def test_without_leave_for_http_a_signed_job_says_so(served: Path, tmp_path: Path) -> None:
    asked = [collection_of(served, "http://127.0.0.1:9"), "--sign", SIGN, "--ask", "x", *NULL]
    assert_refused(command("run", *asked, "--out", f"{tmp_path}/out"), ["--allow-driver HTTP"])


@pytest.mark.parametrize("signer", ["sign_badly", "sign_nothing"])
def test_a_refused_signature_costs_one_sentence_without_it(served: Path, tmp_path: Path, signer: str) -> None:
    with signed_files(served, lasts=10) as url:
        asked = [
            collection_of(served, url),
            "--sign",
            f"tests.servers.signed_files:{signer}",
            "--ask",
            "x",
            *NULL,
        ]
        found = {"PYTHONPATH": str(Path(__file__).parents[2])}  # where the signer is imported from
        result = outer_command("run", *asked, "--allow-driver", "HTTP", "--out", f"{tmp_path}/out", env=found)
    assert_refused(result, [url, "403" if signer == "sign_badly" else signer, "sign"])
    assert SECRET not in result.err
    assert not (tmp_path / "out").exists()


def test_leave_that_ends_during_the_run_gives_failed_tiles_without_the_signature(
    served: Path, tmp_path: Path
) -> None:
    fields = {"ask": ["x"], "reasoner": "null", "segmenter": "null", "tile": 128, "engine": "loop"}
    with signed_files(served, lasts=1000) as url:
        given = {"scenes": [collection_of(served, url)], "allow_drivers": ["HTTP"], "sign": SIGN}
        config = load_config(None, {**fields, **given, "out": str(tmp_path / "out")})

        def refuse(event: object) -> None:
            if type(event).__name__ == "RunStarted":
                for path in served.glob("*.tif"):
                    path.unlink()

        report = run_job(config, listener=refuse)
    assert report.failed == report.tiles
    text = words_of(tmp_path / "out")
    assert "404" in text
    assert SECRET not in text


def test_only_remote_addresses_are_signed() -> None:
    assert signed("/data/a.tif", SIGN) == "/data/a.tif"
    assert signed("https://host/a.tif", "") == "https://host/a.tif"
    assert signed("s3://host/a.tif", SIGN).startswith(f"s3://host/a.tif?sig={SECRET}")
    with pytest.raises(SceneError, match="NoneType where an address"):
        signed("https://host/a.tif", "builtins:print")


@pytest.mark.parametrize("name", ["", "json", "json:", ":loads", "json:lods", "json:__name__", "no.such:x"])
def test_what_is_no_function_is_no_signer(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}'"):
        load_signer(name)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("https://h/a.tif?sig=1&se=2 failed", "https://h/a.tif failed"),
        ("'/vsicurl/https://h/a.tif?sig=1' not found", "'/vsicurl/https://h/a.tif' not found"),
        ("s3://b/a.tif?sig=1, s3://b/c?d", "s3://b/a.tif, s3://b/c"),
        ("what? nothing https://h/a.tif", "what? nothing https://h/a.tif"),
    ],
)
def test_queries_are_cut_off_addresses_in_messages(text: str, left: str) -> None:
    assert without_queries(text) == left
