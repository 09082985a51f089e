"""An evaluation as Markdown and as JSON values, and its scores read back."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from training import DatasetError
from training.evaluation.evaluate import Evaluation, MetricIntervals
from training.evaluation.scoring import ExampleRecord

MAIN = (
    "count_exact",
    "acc@0.5",
    "f1@0.5",
    "box_giou",
    "instance_iou",
    "giou",
    "empty_accuracy",
    "exact",
    "malformed",
)
"""Figures of the tables by class and by source."""
LEVELS: Mapping[str, Sequence[str]] = {
    "answers": ("malformed", "empty_accuracy", "reward"),
    "objects": ("count_exact", "count_error"),
    "regions": ("acc@", "precision@", "recall@", "f1@", "box_giou"),
    "pixels": ("instance_iou", "giou", "ciou", "p@"),
    "contours": ("boundary_f@", "hausdorff_px"),
    "words": ("exact", "token_f1"),
}
"""Beginnings of the names of the figures of each level, in the order they are shown."""


def summary(evaluation: Evaluation) -> dict[str, object]:
    """All figures with their intervals, as JSON values."""
    results = evaluation.results
    return {
        "protocol": str(evaluation.protocol),
        "seed": evaluation.seed,
        "examples": len(results),
        "seconds_per_example": sum(r.seconds for r in results) / len(results) if results else 0.0,
        "problems": dict(Counter(problem.what for problem in evaluation.problems)),
        "figures": _values(evaluation.overall),
        "by_task": {name: _values(figures) for name, figures in evaluation.by_task.items()},
        "by_kind": {name: _values(figures) for name, figures in evaluation.by_class.items()},
        "by_source": {name: _values(figures) for name, figures in evaluation.by_source.items()},
    }


def full(evaluation: Evaluation) -> dict[str, object]:
    """The summary, and question, answer and scores of every example."""
    answers = [
        {
            **asdict(result.record),
            "question": result.example.query.text,
            "task": str(result.example.query.task),
            "kind": result.example.class_name,
            "parse": str(result.answer.parse),
            "problem": result.answer.problem,
            "thinking": result.answer.thinking,
            "text": result.answer.text,
            "boxes": result.answer.boxes.round(3).tolist(),
            "true_boxes": result.example.boxes.round(3).tolist(),
            "seconds": result.seconds,
        }
        for result in evaluation.results
    ]
    return {**summary(evaluation), "answers": answers}


def changes(risen: MetricIntervals) -> dict[str, object]:
    """Paired differences as JSON values."""
    return _values(risen)


def read_records(path: Path) -> list[ExampleRecord]:
    """Scores of an earlier evaluation.

    Raises:
        DatasetError: the file cannot be read or is not an evaluation.
    """
    try:
        answers = json.loads(path.read_text())["answers"]
        return [_record(answer) for answer in answers]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is not an evaluation: give the eval.json of an earlier one") from error


def markdown(evaluation: Evaluation) -> str:
    """Tables for people: all figures, then the main ones by source and by class."""
    rows = [f"| {' | '.join(row)} |" for row in figure_rows(evaluation.overall)]
    count = len(evaluation.results)
    head = f"{count:,} examples, protocol {evaluation.protocol}, intervals of 95 % over images"
    parts = [head, "", "| level | figure | value | 95 % |", "|---|---|---:|---:|", *rows]
    for title, groups in (("source", evaluation.by_source), ("kind", evaluation.by_class)):
        if len(groups) > 1:
            parts += ["", *_group_table(title, groups)]
    return "\n".join(parts) + "\n"


def difference_table(risen: MetricIntervals) -> str:
    """Markdown table of paired differences; a figure whose interval leaves out 0 is marked."""
    rows = [
        f"| {level} | {name} | {value} | {ends} | {'yes' if low * high > 0 else ''} |"
        for level, name, value, ends in figure_rows(risen)
        for low, high in [(risen[name].low, risen[name].high)]
    ]
    return "\n".join(["| level | figure | change | 95 % | sure |", "|---|---|---:|---:|---|", *rows]) + "\n"


def figure_rows(figures: MetricIntervals) -> list[tuple[str, str, str, str]]:
    """Level, name, value and interval of every figure, as text, in the order of the levels."""
    return [
        (level, name, _cell(figures[name].mean), f"{_cell(figures[name].low)} – {_cell(figures[name].high)}")
        for level, starts in LEVELS.items()
        for name in figures
        if any(name == start or (start.endswith("@") and name.startswith(start)) for start in starts)
    ]


def _group_table(title: str, groups: Mapping[str, MetricIntervals]) -> list[str]:
    names = [name for name in MAIN if any(name in figures for figures in groups.values())]
    rows = [
        f"| {_plain(group)} | {' | '.join(_cell(f[n].mean) if n in f else '–' for n in names)} |"
        for group, f in groups.items()
    ]
    return [f"| {title} | {' | '.join(names)} |", "|---|" + "---:|" * len(names), *rows]


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _cell(value: float) -> str:
    return f"{value:.3f}"


def _values(figures: MetricIntervals) -> dict[str, object]:
    return {name: {"value": one.mean, "low": one.low, "high": one.high} for name, one in figures.items()}


def _record(answer: Mapping[str, object]) -> ExampleRecord:
    key, image, scores = answer["key"], answer["image"], answer["scores"]
    if not (isinstance(key, str) and isinstance(image, int) and isinstance(scores, dict)):
        raise ValueError("an answer without key, image and scores")
    return ExampleRecord(
        key, image, {str(name): (float(pair[0]), float(pair[1])) for name, pair in scores.items()}
    )
