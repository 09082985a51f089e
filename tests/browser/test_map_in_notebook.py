"""The map of a notebook works in its frame: it draws, asks no network, and cannot reach the page around."""

from pathlib import Path

import remotereasoner as rr
from tests.browser.window import READY_MS, Window


def test_the_frame_draws_all_objects_and_asks_for_nothing(
    browser: object, answers: Path, tmp_path: Path
) -> None:
    result = rr.open(answers)
    page = tmp_path / "cell.html"
    page.write_text(f"<!DOCTYPE html><body><p id=secret>kept</p>{result.map()._repr_html_()}", "utf-8")
    with Window.of(browser, width=900, height=600) as window:
        window.page.goto(page.as_uri())
        (frame,) = window.page.frames[1:]
        frame.wait_for_selector("body[data-ready]", timeout=READY_MS)
        shown = int(str(frame.inner_text("#count b")).replace(",", ""))
        assert shown == len(result.objects()) > 4
        assert window.asked == [page.as_uri()]
        assert window.errors == []
        reach = "(() => { try { return parent.document.title; } catch { return 'kept apart'; } })()"
        assert frame.evaluate(reach) == "kept apart"
