"""The command `eval`: parse, make one call, print. Mounted by the product's command line."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from training.evaluation.formats import DataFormat
from training.evaluation.protocols import Protocol

if TYPE_CHECKING:
    from training.evaluation.evaluate import EvalListener

_DATA = "folder of the dataset, local or s3://; for real also a YAML file of sets, for tiles one of questions"
_MODEL = "nano, a folder (local or s3://), a hub id, http://host:port/v1#model, or truth for the true boxes"
_MASKS = "nano, a folder, a .pth file, a hub id, or none for boxes alone"


def evaluate_command(
    data: Annotated[str, typer.Argument(help=_DATA)],
    data_format: Annotated[
        DataFormat, typer.Option("--format", help="layout of the data")
    ] = DataFormat.PRACTICE,
    split: Annotated[str, typer.Option(help="train, val or test")] = "test",
    reasoner: Annotated[str, typer.Option(help=_MODEL)] = "nano",
    segmenter: Annotated[str, typer.Option(help=_MASKS)] = "nano",
    profile: Annotated[str | None, typer.Option(help="conventions of the reasoner")] = None,
    protocol: Annotated[Protocol, typer.Option(help="whose reading of the figures")] = Protocol.SEGEARTH,
    limit: Annotated[int | None, typer.Option(help="at most so many examples")] = None,
    tiles: Annotated[int | None, typer.Option(help="so many random tiles of a practice folder")] = None,
    seed: Annotated[int, typer.Option(help="of draws and intervals")] = 0,
    spare: Annotated[bool, typer.Option("--spare", help="ask in wordings that training never sees")] = False,
    boxes_only: Annotated[
        bool, typer.Option("--boxes-only", help="no captions, no answers in words")
    ] = False,
    out: Annotated[str | None, typer.Option(help="folder for eval.json, eval.md and eval.html")] = None,
    compare: Annotated[str | None, typer.Option(help="an earlier eval.json: what has changed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")] = False,
) -> None:
    """Measure a model on labelled images: counts, boxes, masks, contours and words, with 95 % intervals.

    Example: [bold]remotereasoner eval practice --spare --limit 500 --out eval[/bold]
    """
    # Imported here: every other command would wait for scipy, shapely and pandas.
    from training.evaluation.addresses import evaluate_model

    with _bar() as listener:
        report = evaluate_model(
            data,
            reasoner=reasoner,
            segmenter=segmenter,
            profile=profile,
            data_format=data_format,
            split=split,
            protocol=protocol,
            limit=limit,
            tiles=tiles,
            seed=seed,
            spare=spare,
            boxes_only=boxes_only,
            out=out,
            compare=compare,
            listener=listener,
        )
    typer.echo(json.dumps(report.values) if as_json else report.text)


@contextmanager
def _bar() -> Iterator["EvalListener"]:
    """A listener that draws a bar on stderr."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("predicting and scoring", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
