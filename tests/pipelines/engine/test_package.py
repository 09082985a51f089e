"""What goes to a cluster is the whole code, the embedded models and the request, and no secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipelines.engine.package import JOB_FILE, PACKAGES, cluster_config, is_here, local_parts, pack
from pipelines.engine.submit import JobLog, passed_on
from pipelines.errors import ClusterError, RequestError
from pipelines.plan.load_request import load_config
from tests.commands import command
from tests.worlds.fixtures import MakeConfig


@pytest.fixture
def packed(make_config: MakeConfig, tmp_path: Path) -> Path:
    (tmp_path / "area.geojson").write_text("{}")
    folder = tmp_path / "packed"
    folder.mkdir()
    config = make_config(engine="ray", aoi=str(tmp_path / "area.geojson"), out="s3://bucket/out")
    pack(folder, cluster_config(config))
    return folder


def test_the_folder_alone_runs_the_command(packed: Path) -> None:
    there = {**os.environ, "PYTHONPATH": str(packed)}
    code = "import pipelines as c, importlib.metadata as m; m.version('remotereasoner'); print(c.__file__)"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=packed, env=there, capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith(str(packed))
    assert (packed / "reasoner" / "nano" / "reasoner" / "model.safetensors").is_file()
    names = {path.name for path in packed.rglob("*")}
    assert "__pycache__" not in names
    assert {path.name for path in packed.iterdir() if path.is_dir()} - {"aoi"} - set(PACKAGES) == {
        path.name for path in packed.glob("*.dist-info")
    }
    assert sum(path.stat().st_size for path in packed.rglob("*")) < 20e6


def test_the_request_goes_along_with_absolute_paths_and_its_area(packed: Path, practice: Path) -> None:
    fields = yaml.safe_load((packed / JOB_FILE).read_text())
    assert fields["scenes"] == [f"{practice}/scenes/*.tif"]
    assert (fields["aoi"], fields["address"]) == ("aoi/area.geojson", "auto")
    assert (packed / fields["aoi"]).is_file()
    assert load_config(str(packed / JOB_FILE), {}).out == "s3://bucket/out"


def test_local_paths_are_found_and_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    sent = cluster_config(
        load_config(
            None, {"scenes": ["a/*.tif", "s3://b/c.tif"], "ask": ["q"], "out": "o", "reasoner": "mine"}
        )
    )
    assert sent.scenes == (f"{tmp_path}/a/*.tif", "s3://b/c.tif")
    assert local_parts(sent) == [
        f"scenes: {tmp_path}/a/*.tif",
        f"out: {tmp_path}/o",
        f"reasoner: {tmp_path}/mine",
    ]
    assert not local_parts(
        sent.model_copy(update={"scenes": ("s3://b",), "out": "s3://o", "reasoner": "nano"})
    )


def test_settings_go_along_and_secrets_do_not() -> None:
    given = {
        "AWS_ENDPOINT_URL": "http://store:9000",
        "AWS_ENDPOINT_URL_S3": "http://me:secret@store",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "secret",
        "HF_TOKEN": "secret",
        "AWS_REGION": "eu",
        "HOME": "/root",
    }
    assert passed_on(given) == {"AWS_ENDPOINT_URL": "http://store:9000", "AWS_REGION": "eu"}


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://127.0.0.1:8265", True),
        ("http://localhost:1", True),
        ("[::1]:8265", True),
        ("http://head:8265", False),
    ],
)
def test_a_dashboard_of_this_machine_is_distinguished_from_others(address: str, here: bool) -> None:
    assert is_here(address) is here


@pytest.mark.parametrize(
    "extra", [[], ["--cluster", "http://127.0.0.1:9"], ["--cluster", "http://h:1", "--engine", "loop"],
              ["--cluster", "http://h:1", "--address", "auto"]],
)  # fmt: skip
def test_a_submission_that_cannot_be_is_refused_in_one_sentence(tmp_path: Path, extra: list[str]) -> None:
    result = command("submit", "s3://b/*.tif", "--ask", "q", "--out", "s3://b/out", *extra)
    assert result.code == 2
    assert result.err.count("\n") == 1, result.err


def test_local_paths_on_another_machines_cluster_are_warned_of(tmp_path: Path) -> None:
    result = command(
        "submit", "a.tif", "--ask", "q", "--out", str(tmp_path / "o"), "--cluster", "http://head.invalid:1"
    )
    assert "warning" in result.err
    assert str(tmp_path / "o") in result.err
    assert result.code == 2


def test_a_log_in_pieces_gives_lines_a_report_and_the_last_error() -> None:
    lines: list[str] = []
    log = JobLog(lines.append)
    for piece in ("tiles 1\rtiles", " 2\n", "error: scenes: ", 'none; name one\nbye\n{"a": 1}\n', "{broken"):
        log.take(piece)
    log.close()
    assert lines == ["tiles 2", "error: scenes: none; name one", "bye", "{broken"]
    assert log.report == {"a": 1}
    assert log.error == "scenes: none; name one"


def test_a_log_without_an_error_line_gives_its_last_words() -> None:
    log = JobLog(lambda line: None)
    log.take("Traceback\nMemoryError: no more\n")
    assert log.error == "MemoryError: no more"


def test_the_clusters_error_names_it() -> None:
    assert "http://h:1" in str(ClusterError("http://h:1", "full"))


def test_an_area_that_is_not_there_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="aoi"):
        pack(tmp_path, make_config(aoi=str(tmp_path / "gone.geojson")))
