"""The command line: parse, build the request, make one call, print. Knows no step's inside."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from pydantic import ValidationError

from pipelines.cli_flags import JobFlags, with_job_flags
from pipelines.console import progress_bar, say, say_json, say_table
from pipelines.errors import IncompleteError, RequestError
from pipelines.plan import Plan
from pipelines.planning import make_plan
from pipelines.run_job import RunReport, run_job
from reasoner.errors import ModelError, QueryError
from tiling.errors import GridError, SceneError

WRONG_REQUEST = (RequestError, SceneError, GridError, QueryError, ModelError, ValidationError)
DONE, OTHER, WRONG, INCOMPLETE = 0, 1, 2, 3
"""Exit codes."""

app = typer.Typer(
    name="remotereasoner",
    help="Ask a question in plain words of a whole country of imagery; get a GeoParquet table of the places.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Out = Annotated[str, typer.Argument(help="output folder of a run")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]


@app.command()
@with_job_flags
def plan(flags: JobFlags) -> None:
    """Say what a run would do, and write nothing.

    Example: [bold]remotereasoner plan 'images/*.tif' --ask "Where are ships?"[/bold]
    """
    made = make_plan(flags.config(needs_out=False))
    facts = _plan_facts(made)
    if flags.json:
        say_json(facts)
    else:
        say_table("plan", ("what", "value"), [(name, value) for name, value in facts.items()])


@app.command()
@with_job_flags
def run(flags: JobFlags) -> None:
    """Answer questions about scenes; run the same command again to resume.

    Example: [bold]remotereasoner run 'images/*.tif' --ask "Where are ships?" --out answers[/bold]
    """
    config = flags.config()
    with progress_bar() as listener:
        report = run_job(config, overwrite=flags.overwrite, listener=listener)
    _say_report(report, as_json=flags.json)
    if report.failed:
        say(f"{report.failed} tiles failed: the result is marked incomplete; see answers/ for the reasons")
        raise typer.Exit(INCOMPLETE)


def _plan_facts(made: Plan) -> dict[str, object]:
    grid = made.scenes[0].grid
    return {
        "scenes": len(made.scenes),
        "tiles": made.n_tiles,
        "chunks": len(made.chunks),
        "questions": len(made.queries),
        "model_calls": made.n_model_calls,
        "gigabytes": round(made.read_bytes / 1e9, 3),
        "tile": grid.tile_px,
        "overlap": grid.overlap_px,
        "gsd": round(made.scenes[0].work.gsd, 4),
        "reasoner": made.reasoner.name,
        "segmenter": made.segmenter.name,
        "run_id": made.run_id,
    }


def _say_report(report: RunReport, *, as_json: bool) -> None:
    if as_json:
        say_json(asdict(report))
    else:
        say_table("run", ("what", "value"), list(asdict(report).items()))


def main() -> None:
    """Entry point: run a command, turn a wrong request into one sentence and exit code 2."""
    try:
        app()
    except WRONG_REQUEST as error:
        say(f"error: {error}")
        sys.exit(WRONG)
    except IncompleteError as error:
        say(f"incomplete: {error}")
        sys.exit(INCOMPLETE)


if __name__ == "__main__":
    main()
