"""The command line as a whole: mounts every command, those of the training among them."""

import signal
import sys

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
from pipelines.cli.console import say
from pipelines.cli.demo import demo_command, practice_command
from pipelines.cli.results import (
    check_command,
    export_command,
    query_command,
    show_command,
    status_command,
)
from pipelines.cli.run import bench_command, nightly_command, plan_command, run_command
from reasoner.errors import ModelError, QueryError
from tiling import GridError, SceneError, StorageError
from training import DatasetError, LaunchError, PracticeError, RecipeError, training_app
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
    ("practice", practice_command),
    ("demo", demo_command),
):
    app.command(_name)(_command)
app.add_typer(training_app, name="train")


def _end(number: int, _: object) -> None:
    """End as on an interrupt, so that a lock or another resource that is held is released."""
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
