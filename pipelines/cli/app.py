"""The command line's roof: mounts every command, the training's included. Knows no step's inside."""

import signal
import sys
from typing import Annotated, Literal

import typer

from pipelines import (
    INCOMPLETE,
    OTHER,
    WRONG,
    IncompleteError,
    LockedError,
    LockLostError,
    RequestError,
    StoppedError,
)
from pipelines.cli.cluster import submit_command
from pipelines.cli.console import demo_facts, progress_bar, say, say_demo, say_facts, say_json
from pipelines.cli.results import (
    AsJson,
    check_command,
    export_command,
    query_command,
    show_command,
    status_command,
)
from pipelines.cli.run import bench_command, nightly_command, plan_command, run_command
from reasoner.errors import ModelError, QueryError
from tiling import GridError, SceneError, StorageError
from training import DatasetError, LaunchError, PracticeError, RecipeError
from training import app as train
from training.evaluation import evaluate_command

WRONG_REQUEST = (
    RequestError,
    LockedError,
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

app = typer.Typer(
    name="remotereasoner",
    help="Ask a question in plain words of a whole country of imagery; get a GeoParquet table of the places.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for _name, _command in (
    ("plan", plan_command),
    ("bench", bench_command),
    ("run", run_command),
    ("submit", submit_command),
    ("nightly", nightly_command),
    ("status", status_command),
    ("check", check_command),
    ("show", show_command),
    ("query", query_command),
    ("export", export_command),
    ("eval", evaluate_command),
):
    app.command(_name)(_command)
app.add_typer(train, name="train")


@app.command()
def practice(
    out: Annotated[str, typer.Argument(help="folder to write to, local or s3://")],
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
    from training.scenery import write_practice

    systems = tuple(crs or ("EPSG:32631",))
    write_practice(
        out, scenes=scenes, size_px=size, seed=seed, empty=empty, crs=systems, nodata_collar=collar
    )
    facts = {"scenes": f"{out}/scenes", "truth": f"{out}/truth.parquet", "questions": f"{out}/questions.json"}
    say_facts("practice", facts, as_json=as_json)


@app.command()
def demo(
    out: Annotated[str, typer.Option(help="folder for scenes and result")] = "remotereasoner-demo",
    seed: Annotated[int, typer.Option(help="seed of the scenes")] = 0,
    engine: Annotated[Literal["ray", "loop"], typer.Option(help="ray or loop")] = "ray",
    oracle: Annotated[
        bool, typer.Option("--oracle", help="exact models in place of the embedded ones")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try everything on this machine: practice scenes, two questions, a score, a map.

    Example: [bold]remotereasoner demo[/bold]
    """
    from pipelines import DemoRequest, run_demo
    from pipelines.plan import Engine

    request = DemoRequest(out, seed=seed, engine=Engine(engine), oracle=oracle)
    with progress_bar() as listener:
        report = run_demo(_demo_scenes, request, listener=listener)
    if as_json:
        say_json(demo_facts(report))
    else:
        say_demo(report)


def _demo_scenes(folder: str, seed: int) -> None:
    from training.scenery import write_practice

    write_practice(folder, scenes=2, size_px=1024, seed=seed)


def _end(number: int, _: object) -> None:
    """End as on an interrupt, so that what is held, such as a lock, is given back."""
    sys.exit(128 + number)


def main() -> None:
    """Entry point: run a command, turn a wrong request into one sentence and exit code 2."""
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except WRONG_REQUEST as error:
        say(f"error: {error}")
        sys.exit(WRONG)
    except StoppedError as error:
        say(f"error: {error}")
        sys.exit(OTHER)
    except IncompleteError as error:
        say(f"incomplete: {error}")
        sys.exit(INCOMPLETE)
    except LockLostError as error:
        say(f"error: {error}")
        sys.exit(OTHER)


if __name__ == "__main__":
    main()
