"""The examples run from an empty folder; the notebook lies here as it ran, and NOTEBOOKS=1 runs it anew."""

import base64
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.browser import find_chromium, opened
from tests.browser.window import Window
from tests.rooms import ROOT

NOTEBOOK = ROOT / "examples" / "first_questions.ipynb"
MOST_BYTES = 300_000
MOST_SECONDS = 300
PRIVATE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|work|opt|var)/|[A-Z]:\\\\Users")
"""What an address on somebody's machine looks like."""


def test_the_job_runs_and_leaves_objects_and_a_map(tmp_path: Path) -> None:
    script = ROOT / "examples" / "run_a_job.py"
    result = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert "complete: True, valid: True" in result.stdout
    assert (tmp_path / "map.html").stat().st_size > 1_000_000
    assert (tmp_path / "objects.gpkg").is_file()


def committed() -> Any:
    """The notebook as it lies in the repository."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_committed_notebook_ran_and_names_no_machine() -> None:
    notebook = committed()
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert PRIVATE.search(NOTEBOOK.read_text("utf-8")) is None
    assert NOTEBOOK.stat().st_size < MOST_BYTES


def test_what_looks_like_an_address_of_a_machine_is_found() -> None:
    assert PRIVATE.search('"/home/me/x"')
    assert PRIVATE.search("C:\\\\Users\\\\me")
    assert not PRIVATE.search("s3://bucket/home/x and https://host/tmp/x")


def test_the_notebook_runs_from_an_empty_folder(tmp_path: Path) -> None:
    if importlib.util.find_spec("ipykernel") is None:
        pytest.skip("ipykernel is not installed, so there is no kernel to run the notebook")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    notebook = committed()
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    here = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=MOST_SECONDS, kernel_name="python3", resources=here).execute()
    shown = [output for cell in code_cells(notebook) for output in cell.outputs]
    bars = [output for output in shown if output.output_type == "display_data"]
    assert [output.data for output in bars] in ([], [{"text/html": "", "text/plain": ""}])  # drawn, and gone
    assert {output.output_type for output in shown} <= {"execute_result", "stream", "display_data"}
    assert [output.text for output in shown if output.get("name") == "stderr"] == []
    (page,) = (html for html in map(html_of, shown) if "<iframe" in html)
    assert "sandbox" in page
    assert "objects" in html_of(shown[-1])
    if os.environ.get("NOTEBOOKS"):
        keep(notebook, tmp_path)


def html_of(output: Any) -> str:
    return str(output.get("data", {}).get("text/html", ""))


def keep(notebook: Any, folder: Path) -> None:
    """Put the notebook as it ran in the repository, a picture in the place of its map."""
    import nbformat

    for cell in code_cells(notebook):
        cell.metadata = {}
        cell.outputs = [output for output in cell.outputs if output.output_type != "display_data"]
        for output in cell.outputs:
            if "<iframe" in html_of(output):
                shot = picture(html_of(output), folder)
                output.data = {"image/jpeg": shot, "text/plain": output.data["text/plain"]}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, NOTEBOOK)


def picture(frame: str, folder: Path) -> str:
    """What the frame of a map shows, as a JPEG in base64."""
    chromium = find_chromium()
    assert chromium is not None, "a browser has to draw the map: install Chromium"
    page = folder / "frame.html"
    page.write_text(f'<body style="margin:0">{frame}</body>', "utf-8")
    with opened(chromium) as browser, Window.of(browser, width=820, height=460) as window:
        window.page.goto(page.as_uri())
        (inner,) = window.page.frames[1:]
        inner.wait_for_selector("body[data-ready]")
        window.page.wait_for_timeout(500)
        shot = window.page.screenshot(type="jpeg", quality=80)
        assert window.errors == []
    return base64.b64encode(shot).decode()
