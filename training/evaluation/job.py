"""One evaluation from request to report: read, load, ask, sum up, write."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reasoner.profiles import NANO
from training import DatasetError
from training.data import Reading
from training.evaluation.data import DataChoice, read_data
from training.evaluation.evaluate import EvalListener, Evaluation, MetricIntervals, compare, evaluate
from training.evaluation.protocols import Protocol
from training.evaluation.report_pages import report_page
from training.evaluation.report_tables import (
    changes,
    difference_table,
    full,
    markdown,
    read_records,
    summary,
)
from training.evaluation.scoring import key_of

if TYPE_CHECKING:
    from reasoner.protocols import Reasoner, Segmenter
    from training.evaluation.scoring import ExampleRecord

NO_SEGMENTER = "none"
"""Name that means that no segmenter is used."""
TRUTH = "truth"
"""Name that means that no reasoner is used: the true boxes are the answers."""


@dataclass(frozen=True, slots=True)
class EvalRequest:
    """What is evaluated on what."""

    data: DataChoice
    """Which examples."""
    reasoner: str = "nano"
    """Model that answers; `truth` takes the true boxes, which scores the segmenter alone."""
    segmenter: str = "nano"
    """Model that makes masks; `none` leaves pixel and contour figures out."""
    profile: str | None = None
    """Conventions of the reasoner; None takes the checkpoint's own."""
    protocol: Protocol = Protocol.SEGEARTH
    """Whose reading of the figures is used."""
    seed: int = 0
    """Of the intervals."""
    out: Path | None = None
    """Folder for eval.json, eval.md and eval.html; None writes nothing."""
    before: Path | None = None
    """eval.json of an earlier evaluation on the same examples, to say by how much each figure rose."""


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What an evaluation found."""

    values: Mapping[str, object]
    """All figures as JSON values."""
    text: str
    """The same as Markdown."""

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        """The figures as a notebook shows them."""
        return self.text


def run_eval(request: EvalRequest, *, listener: EvalListener | None = None) -> EvalReport:
    """Read the data, load the models, evaluate, and write the files asked for.

    Raises:
        DatasetError: the data or the earlier evaluation is not what the request names.
        ModelError: a model cannot be loaded.
        OSError: the output folder cannot be written.
    """
    earlier = read_records(request.before) if request.before else []
    reasoner, segmenter = _models(request)
    reading = read_data(
        request.data, protocol=request.protocol, tile_px=reasoner.tile_px if reasoner else NANO.tile_px
    )
    _check_shared(request, earlier, reading)
    evaluation = evaluate(
        reading.examples,
        reasoner,
        segmenter,
        protocol=request.protocol,
        seed=request.seed,
        listener=listener,
    )
    risen = compare(earlier, evaluation.records, seed=request.seed) if request.before else None
    report = _report(request, evaluation, reading.counts, risen)
    if request.out:
        _write(request.out, evaluation, report)
    return report


def _models(request: EvalRequest) -> tuple["Reasoner | None", "Segmenter | None"]:
    """Both models; imported here, because every other command would wait seconds for torch."""
    from reasoner.loading import check_model, load_reasoner, load_segmenter
    from reasoner.model_files import Role

    masks = request.segmenter != NO_SEGMENTER
    if masks:
        check_model(request.segmenter, role=Role.SEGMENTER)
    reasoner = None
    if request.reasoner != TRUTH:
        reasoner = load_reasoner(request.reasoner, profile=request.profile, seed=request.seed)
    return reasoner, load_segmenter(request.segmenter) if masks else None


def _check_shared(request: EvalRequest, earlier: Sequence["ExampleRecord"], reading: Reading) -> None:
    """Refuse a comparison without a common example before anything is asked."""
    if request.before and not {record.key for record in earlier} & {key_of(one) for one in reading.examples}:
        raise DatasetError(
            f"{request.before} shares no example with this evaluation: give the same data, split and seed"
        )


def _report(
    request: EvalRequest, evaluation: Evaluation, counts: Mapping[str, int], risen: MetricIntervals | None
) -> EvalReport:
    values: dict[str, object] = {
        "reasoner": request.reasoner,
        "segmenter": request.segmenter,
        "data": request.data.named or str(request.data.root),
        "format": str(request.data.format),
        "split": request.data.split,
        "spare": request.data.held_out,
        "data_problems": dict(counts),
        **summary(evaluation),
    }
    text = markdown(evaluation)
    unscored = Counter(problem.what for problem in evaluation.problems)
    for title, problems in (("left out or mended in the data", counts), ("could not be scored", unscored)):
        if problems:
            text += f"\n{title}: " + "; ".join(f"{n} × {what}" for what, n in problems.items()) + "\n"
    if risen is not None:
        values["changes"] = changes(risen)
        text += f"\nChange since {request.before}, the same examples paired:\n\n{difference_table(risen)}"
    return EvalReport(values, text)


def _write(out: Path, evaluation: Evaluation, report: EvalReport) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "eval.json").write_text(json.dumps({**report.values, **full(evaluation)}, indent=1))
    (out / "eval.md").write_text(report.text)
    (out / "eval.html").write_text(report_page(evaluation))
