"""The command line: parse, build the request, make one call, print. Knows no step's inside."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from pipelines import checking
from pipelines.calibrating import calibrate
from pipelines.calibration import read_calibration, write_calibration
from pipelines.cli_flags import BenchFlags, JobFlags, PlanFlags, with_job_flags
from pipelines.config import Engine
from pipelines.console import demo_facts, progress_bar, say, say_demo, say_json, say_table
from pipelines.demo import DemoRequest
from pipelines.demo import demo as run_demo
from pipelines.errors import IncompleteError, RequestError, StorageError
from pipelines.estimate import estimate
from pipelines.plan import Plan
from pipelines.plan_files import read_plan
from pipelines.planning import job_limits, make_plan
from pipelines.run_job import model_recipe, run_job
from pipelines.steps import ReadStep
from pipelines.storage import Store
from reasoner.errors import ModelError, QueryError
from tiling.errors import GridError, SceneError
from training.cli import app as train
from training.errors import DatasetError, LaunchError, PracticeError, RecipeError
from training.evaluation.eval_cli import evaluate_command

WRONG_REQUEST = (
    RequestError,
    SceneError,
    GridError,
    QueryError,
    ModelError,
    PracticeError,
    RecipeError,
    DatasetError,
    LaunchError,
    StorageError,
)
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
app.add_typer(train, name="train")
app.command("eval")(evaluate_command)

Out = Annotated[str, typer.Argument(help="output folder of a run")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]


@app.command()
@with_job_flags
def plan(flags: PlanFlags) -> None:
    """Say what a run would do and, with a calibration, what it would cost; write nothing.

    Example: [bold]remotereasoner plan 'images/*.tif' --ask "Where are ships?"[/bold]
    """
    calibration = read_calibration(flags.calibration) if flags.calibration else None
    if flags.price is not None and calibration is None:
        raise RequestError("price", "a price needs hours to multiply", "give --calibration too (see bench)")
    made = make_plan(flags.config(needs_out=False))
    facts = _plan_facts(made)
    if calibration is not None:
        facts |= asdict(estimate(made, calibration, price=flags.price, workers=flags.workers))
    _say_facts("plan", facts, as_json=flags.json)


@app.command()
@with_job_flags
def bench(flags: BenchFlags) -> None:
    """Time models, reads and commits on sample scenes, for the estimates of plan.

    Example: [bold]remotereasoner bench 'images/*.tif' --ask "Where are ships?" --out calibration.json[/bold]
    """
    config = flags.config()
    made = make_plan(config)
    read = ReadStep(made.scaling, job_limits(config))
    found = calibrate(made, read=read, recipe=model_recipe(made), answers=flags.answers)
    write_calibration(config.out, found)
    _say_facts("calibration", {**asdict(found), "out": config.out}, as_json=flags.json)


@app.command()
@with_job_flags
def run(flags: JobFlags) -> None:
    """Answer questions about scenes; run the same command again to resume.

    Example: [bold]remotereasoner run 'images/*.tif' --ask "Where are ships?" --out answers[/bold]
    """
    config = flags.config()
    with progress_bar() as listener:
        report = run_job(config, overwrite=flags.overwrite, listener=listener)
    _say_facts("run", asdict(report), as_json=flags.json)
    if report.failed:
        say(f"{report.failed} tiles failed: the result is marked incomplete; see answers/ for the reasons")
        raise typer.Exit(INCOMPLETE)


@app.command()
def status(out: Out, as_json: AsJson = False) -> None:
    """Say how far a run is.

    Example: [bold]remotereasoner status answers[/bold]
    """
    _say_facts("status", asdict(checking.status(Store(out))), as_json=as_json)


@app.command()
def check(out: Out, as_json: AsJson = False) -> None:
    """Prove that a result is whole: every planned tile has its row, every file can be read.

    Example: [bold]remotereasoner check answers --json[/bold]
    """
    report = checking.check(Store(out))
    if as_json:
        say_json(asdict(report))
    else:
        for problem in report.problems:
            say(problem)
        say(f"complete: {report.complete}, valid: {report.valid}, problems: {len(report.problems)}")
    if not (report.complete and report.valid):
        raise typer.Exit(INCOMPLETE)


@app.command()
def show(out: Out, as_json: AsJson = False) -> None:
    """Write map.html: imagery and objects in one file that opens without a network.

    Example: [bold]remotereasoner show answers[/bold]
    """
    from pipelines.map_page import write_map

    store = Store(out)
    _say_facts("map", {"map": write_map(store, read_plan(store))}, as_json=as_json)


@app.command()
def practice(
    out: Out,
    scenes: Annotated[int, typer.Option(help="how many scenes")] = 4,
    size: Annotated[int, typer.Option(help="side of each, pixels")] = 1024,
    seed: Annotated[int, typer.Option(help="seed of the scenes")] = 0,
    empty: Annotated[int, typer.Option(help="so many of them hold no objects")] = 0,
    crs: Annotated[
        list[str] | None, typer.Option(help="CRS of the scenes, in turn (default: EPSG:32631)")
    ] = None,
    collar: Annotated[bool, typer.Option("--collar", help="a tilted frame without data")] = False,
    as_json: AsJson = False,
) -> None:
    """Write practice scenes with exact truth and questions.

    Example: [bold]remotereasoner practice practice --scenes 4 --size 1024[/bold]
    """
    from training.practice import write_practice

    systems = tuple(crs or ("EPSG:32631",))
    write_practice(
        out, scenes=scenes, size_px=size, seed=seed, empty=empty, crs=systems, nodata_collar=collar
    )
    facts = {"scenes": f"{out}/scenes", "truth": f"{out}/truth.parquet", "questions": f"{out}/questions.json"}
    _say_facts("practice", facts, as_json=as_json)


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="folder for scenes and result")] = "remotereasoner-demo",
    seed: Annotated[int, typer.Option(help="seed of the scenes")] = 0,
    engine: Annotated[Engine, typer.Option(help="ray or loop")] = Engine.RAY,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="exact models in place of the embedded ones")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try everything on this machine: practice scenes, two questions, a score, a map.

    Example: [bold]remotereasoner demo[/bold]
    """
    request = DemoRequest(out, seed=seed, engine=engine, oracle=oracle)
    with progress_bar() as listener:
        report = run_demo(_demo_scenes, request, listener=listener)
    if as_json:
        say_json(demo_facts(report))
    else:
        say_demo(report)


def _demo_scenes(folder: str, seed: int) -> None:
    from training.practice import write_practice

    write_practice(folder, scenes=2, size_px=1024, seed=seed)


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


def _say_facts(title: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        say_json(facts)
    else:
        say_table(title, ("what", "value"), list(facts.items()))


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
