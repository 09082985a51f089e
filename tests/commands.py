"""The command line as users meet it: in this process for speed, or in one of its own where that matters."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from pipelines.cli import app

NULL = ("--reasoner", "null", "--segmenter", "null", "--engine", "loop")
"""Flags of a run that asks no model."""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended."""

    code: int
    """Exit code."""
    out: str
    """All of stdout."""
    err: str
    """All of stderr."""
    seconds: float
    """Wall time."""


def command(*args: str) -> CommandResult:
    """Run a command in this process."""
    out, err, began, code = io.StringIO(), io.StringIO(), time.perf_counter(), 0
    with patch.object(sys, "argv", ["remotereasoner", *args]), redirect_stdout(out), redirect_stderr(err):
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return CommandResult(code, out.getvalue(), err.getvalue(), time.perf_counter() - began)


def outer_command(*args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> CommandResult:
    """Run a command in a process of its own, with further environment variables."""
    began = time.perf_counter()
    done = subprocess.run(
        [executable(), *args],
        capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **(env or {})},
    )  # fmt: skip
    return CommandResult(done.returncode, done.stdout, done.stderr, time.perf_counter() - began)


def executable() -> str:
    """Path of the installed command."""
    return str(Path(sys.executable).with_name("remotereasoner"))


def tree(folder: Path) -> Mapping[str, bytes]:
    """Bytes of every file below a folder, by relative name; empty where there is no folder."""
    files: Sequence[Path] = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_refused(result: CommandResult, words: list[str]) -> None:
    """Exit code 2, nothing on stdout, one line on stderr that is no dump and holds the words."""
    assert result.code == 2, result.err
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("error: ")
    assert len(lines[0]) < 400
    assert "given: {" not in lines[0]
    missing = [word for word in words if word not in lines[0]]
    assert missing == [], lines[0]
