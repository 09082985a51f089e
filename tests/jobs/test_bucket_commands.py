"""Every command takes s3:// where it takes a folder, and none of them ever shows a secret."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import command, outer_command, tree
from tests.servers.fixtures import bucket_tree, upload
from tests.servers.proxy import proxied
from tests.servers.radosgw import Server, free_ports, wait_for

NANO = Path(__file__).parents[2] / "reasoner" / "nano"


OPEN = {"RAY_AUTH_MODE": "disabled"}
"""A Ray cluster on loopback without a token, whose dashboard the test may ask."""


def printed_json(*args: str) -> dict[str, object]:
    """What a command prints as JSON; it must end well."""
    done = command(*args, "--json")
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


def test_practice_to_map_in_a_bucket(
    bucket: str, s3_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = ("--scenes", "1", "--size", "256", "--seed", "5")
    printed_json("practice", f"{bucket}/practice", *made)
    printed_json("practice", str(tmp_path / "practice"), *made)
    assert bucket_tree(s3_server, f"{bucket}/practice") == tree(tmp_path / "practice")
    assert command("practice", f"{bucket}/practice", "--scenes", "0").code == 2

    upload(s3_server, NANO, f"{bucket}/models")
    asked = ("--ask", "where are ships?", "--caption", "--engine", "loop")
    models = [f"{{}}/{folder.name}" for folder in sorted(NANO.iterdir()) if folder.is_dir()]
    reasoner, segmenter = (next(m for m in models if kind in m) for kind in ("reasoner", "segmenter"))
    for base, models_at, scenes in (
        (f"{bucket}/out", f"{bucket}/models", f"{bucket}/practice/scenes"),
        (str(tmp_path / "out"), str(NANO), str(tmp_path / "practice" / "scenes")),
    ):
        chosen = ("--reasoner", reasoner.format(models_at), "--segmenter", segmenter.format(models_at))
        assert printed_json("run", scenes, *asked, *chosen, "--out", base)["failed"] == 0
    ours, local = bucket_tree(s3_server, f"{bucket}/out"), tree(tmp_path / "out")
    results = [name for name in local if name.startswith(("objects/", "texts/"))]
    assert len(results) >= 3
    assert {name: ours[name] for name in results} == {name: local[name] for name in results}

    assert printed_json("status", f"{bucket}/out")["published"] is True
    assert printed_json("check", f"{bucket}/out") == {"complete": True, "valid": True, "problems": []}
    assert printed_json("show", f"{bucket}/out")["map"] == f"{bucket}/out/map.html"
    small = ("--reasoner", "null", "--segmenter", "none", "--limit", "5")
    first = printed_json("eval", f"{bucket}/practice", *small, "--out", f"{bucket}/eval")
    assert first["data"] == f"{bucket}/practice"
    again = printed_json("eval", f"{bucket}/practice", *small, "--compare", f"{bucket}/eval/eval.json")
    assert "changes" in again
    assert set(bucket_tree(s3_server, f"{bucket}/eval")) == {"eval.json", "eval.md", "eval.html"}


@pytest.fixture
def ray_logs() -> Iterator[Path]:
    """A folder for all that Ray writes, with a name short enough for its sockets."""
    folder = Path(tempfile.mkdtemp(prefix="rr-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.ray
@pytest.mark.slow
def test_no_secret_is_written_printed_or_logged(
    bucket: str, s3_server: Server, practice_in: Path, ray_logs: Path
) -> None:
    upload(s3_server, practice_in, f"{bucket}/practice")
    oracle = f"oracle:{bucket}/practice/truth.parquet"
    asked = ["run", f"{bucket}/practice/scenes/*.tif", "--ask", "find all the ships?", "--tile", "128"]
    asked += ["--reasoner", oracle, "--segmenter", oracle, "--chunk", "230", "--workers", "1"]
    with proxied(s3_server.endpoint) as proxy:
        env = {**s3_server.env(proxy.endpoint), "RAY_TMPDIR": str(ray_logs)}
        proxy.refuse("InvalidAccessKeyId", after=40)
        stopped = outer_command(*asked, "--out", f"{bucket}/out", env=env)
        proxy.restore()
        done = outer_command(*asked, "--out", f"{bucket}/out", env=env)
    assert (stopped.code, done.code) == (1, 0), stopped.err + done.err
    assert "the same command goes on from there" in stopped.err
    assert len(stopped.err.strip().splitlines()) == 1
    for text in (stopped.err, stopped.out, done.err, done.out):
        assert s3_server.secret not in text
    logged = tree(ray_logs)
    assert any("worker" in name for name in logged)
    secret = s3_server.secret.encode()
    written = {**bucket_tree(s3_server, f"{bucket}/out"), **logged}
    assert [name for name, data in written.items() if secret in data] == []


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, str]]:
    """A Ray cluster of one node that knows no credentials, ended with the block: address, dashboard."""
    port, board = free_ports(2)
    ray = str(Path(sys.executable).with_name("ray"))
    started = [ray, "start", "--head", "--block", f"--port={port}", "--num-cpus=2", f"--temp-dir={folder}"]
    started += ["--include-dashboard=true", f"--dashboard-port={board}", "--disable-usage-stats"]
    started += ["--node-ip-address=127.0.0.1"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    none = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with (
        (folder / "head.txt").open("wb") as log,
        subprocess.Popen(
            started, env={**env, **none, **OPEN}, stdout=log, stderr=log, start_new_session=True
        ) as head,
    ):
        try:
            wait_for(board)
            yield f"127.0.0.1:{port}", f"http://127.0.0.1:{board}"
        finally:
            os.killpg(head.pid, signal.SIGKILL)


@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_without_credentials_uses_the_drivers_and_shows_them_nowhere(
    bucket: str, s3_server: Server, practice_in: Path, ray_logs: Path
) -> None:
    upload(s3_server, practice_in, f"{bucket}/practice")
    oracle = f"oracle:{bucket}/practice/truth.parquet"
    asked = ["run", f"{bucket}/practice/scenes/*.tif", "--ask", "find all the ships?", "--tile", "128"]
    asked += ["--reasoner", oracle, "--segmenter", oracle, "--chunk", "230", "--workers", "1", "--json"]
    with cluster(ray_logs) as (address, board):
        done = outer_command(
            *asked, "--out", f"{bucket}/out", "--address", address, env={**s3_server.env(), **OPEN}
        )
        assert done.code == 0, done.err[-500:] + (ray_logs / "head.txt").read_text("utf-8")
        assert json.loads(done.out)["failed"] == 0
        shown = b""
        for what in ("tasks", "actors", "objects", "runtime_envs", "jobs", "workers"):
            with urllib.request.urlopen(
                f"{board}/api/v0/{what}?detail=true&limit=1000", timeout=30
            ) as answer:
                shown += answer.read()
    assert b"_read_one" in shown
    secret = s3_server.secret.encode()
    written = {"dashboard": shown, **bucket_tree(s3_server, f"{bucket}/out"), **tree(ray_logs)}
    assert [name for name, data in written.items() if secret in data] == []


@pytest.fixture(scope="module")
def practice_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("practice")
    assert command("practice", str(folder), "--scenes", "2", "--size", "260", "--seed", "3").code == 0
    return folder
