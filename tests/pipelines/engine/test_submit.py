"""`submit` runs the job on a real cluster from an empty folder; its exit code and last error come back."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from pipelines.engine.package import PACKAGES
from tests.commands import CommandResult, outer_command
from tests.worlds.fixtures import ATOLLS, SHIPS, file_bytes

pytestmark = pytest.mark.ray

START_S = 120.0
MARK = "REMOTEREASONER_TEST"
"""Variable that every process of the cluster carries."""
SECRET = "not-for-the-dashboard"
TOKEN = "0123456789abcdef" * 4
ALLOWED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
"""The cluster takes jobs only from who has its token."""


@dataclass(frozen=True, slots=True)
class Head:
    """A Ray head of its own on the loopback."""

    url: str
    """Its dashboard."""

    def jobs(self) -> str:
        """All that the dashboard tells of jobs."""
        asked = urllib.request.Request(f"{self.url}/api/jobs/", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """`ray start --head`, ended by the ids of its processes."""
    folder = Path(tempfile.mkdtemp(prefix="rr", dir="/tmp"))
    port = free_port()
    binaries = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        **ALLOWED,
    }
    # The cluster has the dependencies and no code of ours that works: what runs must come with the job.
    environment["PYTHONPATH"] = str(unusable_code(folder / "old"))
    flags = [
        "--head", "--port=0", "--num-cpus=2", "--node-ip-address=127.0.0.1",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={port}", f"--ray-client-server-port={free_port()}",
        f"--temp-dir={folder}", f"--dashboard-agent-listen-port={free_port()}",
        "--object-store-memory=200000000",
    ]  # fmt: skip
    environment[MARK] = str(folder)
    try:
        # Without --block, under which all of them would end when one is late on a busy machine.
        started = subprocess.run(
            [f"{binaries}/ray", "start", *flags], env=environment, capture_output=True, text=True, cwd=folder
        )
        assert started.returncode == 0, started.stderr
        yield answering(Head(f"http://127.0.0.1:{port}"))
    finally:
        end_marked(folder)
        shutil.rmtree(folder, ignore_errors=True)


def end_marked(folder: Path) -> None:
    """End the processes of this cluster, which all carry its mark, by their ids."""
    ours = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == str(folder):
                process.kill()
                ours.append(process)
    psutil.wait_procs(ours, timeout=10)


def answering(head: Head) -> Head:
    until = time.monotonic() + START_S
    while True:
        try:
            head.jobs()
        except OSError:
            assert time.monotonic() < until, "no dashboard"
            time.sleep(0.3)
        else:
            return head


def unusable_code(folder: Path) -> Path:
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise ImportError('the code of the cluster is used')")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def flags(practice: Path, out: Path) -> list[str]:
    oracle = f"oracle:{practice}/truth.parquet"
    asked = ["--ask", SHIPS, "--ask", ATOLLS, "--tile", "128", "--chunk", "230"]
    return [
        f"{practice}/scenes/*.tif",
        *asked,
        "--reasoner",
        oracle,
        "--segmenter",
        oracle,
        "--out",
        str(out),
    ]


def submit(head: Head, *args: str, cwd: Path, **env: str) -> CommandResult:
    surroundings = {
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "eu-west-9",
        "RAY_ADDRESS": "nowhere:1",
        **ALLOWED,
        **env,
    }
    return outer_command("submit", *args, "--cluster", head.url, "--json", cwd=cwd, env=surroundings)


def test_a_job_runs_from_an_empty_folder_and_gives_the_loops_objects(
    head: Head, practice: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    result = submit(head, *flags(practice, tmp_path / "out"), cwd=tmp_path / "empty")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["status"] == "succeeded"
    assert report["chunks_done"] == report["chunks_planned"] > 0
    assert file_bytes(tmp_path / "out" / "objects") == file_bytes(whole / "objects")
    assert list((tmp_path / "empty").iterdir()) == []
    assert report["job"] in result.err
    jobs = head.jobs()
    assert "eu-west-9" in jobs
    assert SECRET not in jobs
    assert SHIPS not in jobs


@pytest.mark.thorough
def test_a_failing_jobs_code_and_last_error_come_back(head: Head, practice: Path, tmp_path: Path) -> None:
    wrong = flags(practice, tmp_path / "out")
    wrong[wrong.index(SHIPS)] = "where is my hat?"
    result = submit(head, *wrong, cwd=tmp_path)
    assert result.code == 2
    report = json.loads(result.out)
    assert report["exit_code"] == 2
    assert "my hat" in report["error"]
    assert "my hat" in result.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_does_not_know_the_token_is_one_sentence(
    head: Head, practice: Path, tmp_path: Path
) -> None:
    result = submit(head, *flags(practice, tmp_path / "out"), cwd=tmp_path, RAY_AUTH_TOKEN="f" * 64)
    assert result.code == 2
    assert result.err.count("\n") == 1, result.err
    assert "RAY_AUTH_TOKEN" in result.err
    assert TOKEN not in result.err
