"""The map's server: ranges, pictures of planned tiles, nothing else of the folder, no other names."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest

from pipelines.map.archive import MAP_FOLDER
from tests.commands import command


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered."""

    status: int
    head: Message
    body: bytes


@contextmanager
def served(out: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address and the process of `show --serve`; it is stopped as people stop it."""
    words = [sys.executable, "-m", "pipelines", "show", str(out), "--serve", "--port", "0", "--json"]
    # A shell lets what it starts in the background ignore interrupts, and children inherit that.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        started = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
        )
    finally:
        signal.signal(signal.SIGINT, ignored)
    with started as process:
        try:
            assert process.stdout
            yield str(json.loads(process.stdout.readline())["address"]), process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def address(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    out = Path(shutil.copytree(whole, tmp_path_factory.mktemp("served") / "out"))
    with served(out) as (found, _):
        (out / MAP_FOLDER).mkdir()
        (out / MAP_FOLDER / "points-0.pmtiles").write_bytes(bytes(range(200)))
        yield found


def ask(address: str, **headers: str) -> Reply:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def test_the_page_is_there(address: str) -> None:
    reply = ask(address)
    assert reply.status == 200
    assert reply.head.get_content_type() == "text/html"
    assert reply.body.startswith(b"<!DOCTYPE html>")


def test_a_range_of_an_archive_is_that_range(address: str) -> None:
    reply = ask(f"{address}{MAP_FOLDER}/points-0.pmtiles", Range="bytes=10-19")
    assert reply.status == 206
    assert reply.body == bytes(range(10, 20))
    assert reply.head["Content-Range"] == "bytes 10-19/200"
    assert ask(f"{address}{MAP_FOLDER}/points-0.pmtiles", Range="bytes=500-").status == 416


def test_a_planned_tile_has_a_picture_and_no_other(address: str) -> None:
    reply = ask(f"{address}picture?tile=scene-0001%2Fr0001-c0000")
    picture = json.loads(reply.body)
    assert picture["url"].startswith("data:image/webp;base64,")
    assert len(picture["corners"]) == 4
    assert ask(f"{address}picture?tile=scene-0001%2Fr0099-c0000").status == 404
    assert ask(f"{address}picture").status == 404


@pytest.mark.parametrize(
    "path",
    ["job.json", f"{MAP_FOLDER}/../job.json", f"{MAP_FOLDER}/..%2Fjob.json", "plan/scenes.parquet", "map"],
)
def test_nothing_else_of_the_folder_is_served(address: str, path: str) -> None:
    assert ask(f"{address}{path}").status == 404


def test_a_name_from_elsewhere_is_refused(address: str) -> None:
    assert ask(address, Host="elsewhere.example").status == 403
    assert ask(address, Host=f"localhost:{address.split(':')[2].strip('/')}").status == 200


def test_a_port_that_is_taken_is_a_wrong_request(address: str, whole_copy: Path) -> None:
    port = address.split(":")[2].strip("/")
    result = command("show", str(whole_copy), "--serve", "--port", port)
    assert result.code == 2
    assert "give another --port, or 0 for a free one" in result.err


def test_an_interrupt_ends_it_without_a_word_of_failure(whole_copy: Path) -> None:
    with served(whole_copy) as (_, process):
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0
        assert stderr.strip() in ("", "Ctrl-C stops it")
