"""Reports say what was found: a table, JSON that reads back, and a page that is safe and needs no network."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.training.scripted import CountingSegmenter, ScriptedReasoner, example, picture, says
from training.errors import DatasetError
from training.evaluation.evaluate import Evaluation, compare, evaluate
from training.evaluation.report_pages import choose_results, report_page, worth
from training.evaluation.report_tables import difference_table, full, markdown, read_records, summary

EVIL = '<script>alert("x")</script> & "quotes"'
BOX = (4, 4, 24, 14)


def evaluation(count: int = 4) -> Evaluation:
    """Every answer worse than the one before."""
    shown = [example(picture(n), EVIL, [BOX], class_name=f'k{n % 2}"<b>') for n in range(count)]
    script = {(n, EVIL): says([(4, 4, 24 - n, 14)], EVIL.replace("<", "< ")) for n in range(count)}
    script[0, EVIL] = f"{EVIL} malformed"
    return evaluate(shown, ScriptedReasoner(script), CountingSegmenter())


class Seen(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.classes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]
        self.classes += [value or "" for name, value in attrs if name == "data-kind"]


@pytest.fixture(scope="module")
def seen() -> Seen:
    parser = Seen()
    parser.feed(report_page(evaluation()))
    return parser


def test_words_of_questions_and_answers_are_never_markup(seen: Seen) -> None:
    assert seen.tags.count("script") == 1
    assert "b" not in seen.tags
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &quot;quotes&quot;" in report_page(
        evaluation()
    )


def test_nothing_is_loaded_from_anywhere(seen: Seen) -> None:
    assert seen.links
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in seen.links)


def test_every_picture_shows_truth_and_answer(seen: Seen) -> None:
    assert seen.tags.count("article") == 4
    assert seen.tags.count("svg") == 8
    # Four true boxes, and a found one for all but the malformed answer.
    assert seen.tags.count("rect") == 7
    assert sorted(seen.classes) == ['k0"<b>', 'k0"<b>', 'k1"<b>', 'k1"<b>']


def test_ids_of_pictures_are_unique() -> None:
    names = re.findall(r'<image id="([^"]+)"', report_page(evaluation()))
    assert len(names) == len(set(names)) == 4


def test_the_worst_come_first_and_the_best_last() -> None:
    results = evaluation(12).results
    parts = choose_results(results, 6)
    assert [len(part) for part in parts.values()] == [2, 2, 2]
    scores = [worth(result) for part in parts.values() for result in part]
    assert scores == sorted(scores)
    assert (scores[0], scores[-1]) == (min(map(worth, results)), max(map(worth, results)))
    everything = [result.record.key for part in choose_results(results, 60).values() for result in part]
    assert sorted(everything) == sorted(result.record.key for result in results)


def test_json_reads_back_to_the_same_scores(tmp_path: Path) -> None:
    found = evaluation()
    (tmp_path / "eval.json").write_text(json.dumps(full(found), allow_nan=False))
    assert read_records(tmp_path / "eval.json") == found.records
    values = summary(found)["figures"]
    assert isinstance(values, dict)
    assert values["giou"]["low"] <= values["giou"]["value"] <= values["giou"]["high"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"answers": [{"key": 1}]}', '{"answers": [3]}'])
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(DatasetError, match=r"other\.json is not an evaluation"):
        read_records(tmp_path / "other.json")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_records(tmp_path / "missing.json")


def test_the_table_holds_every_figure_and_no_broken_row() -> None:
    found = evaluation()
    rows = [line for line in markdown(found).splitlines() if line.startswith("|")]
    assert {row.split(" | ")[1] for row in rows[2 : 2 + len(found.overall)]} == set(found.overall)
    assert {row.count("|") for row in rows[: 2 + len(found.overall)]} == {5}


def test_a_sure_change_is_marked() -> None:
    found = evaluation()
    risen = compare(found.records, found.records, seed=0)
    assert "yes" not in difference_table(risen)
    lower = evaluate(
        [result.example for result in found.results],
        ScriptedReasoner({(n, EVIL): "[[" for n in range(4)}),
        CountingSegmenter(),
    )
    marked = difference_table(compare(lower.records, found.records, seed=0)).splitlines()
    assert [row for row in marked if " giou " in row and "yes" in row]
