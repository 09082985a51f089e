"""The calls of the Python interface: run, plan, nightly, and opening an existing result."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import fspath
from typing import TypeVar

from pipelines import Listener, RequestError, ignore
from pipelines.cli import progress_bar
from pipelines.jobs import run_job, run_nightly, today
from pipelines.notebook.plan_summary import PlanSummary
from pipelines.notebook.request import Asked, SceneName, job_config
from pipelines.notebook.result import Result
from pipelines.plan import DRY_RUN, JobConfig, estimate, make_plan, plan_figures, read_calibration, read_plan
from tiling.storage import Address, Store

F = TypeVar("F", bound=Callable[..., object])


def _with_job_fields(function: F) -> F:
    """Replace `**fields` in the signature by the fields of a request, for help and completion."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    known = {each.name for each in own}
    rest = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=field.annotation)
        for name, field in JobConfig.model_fields.items()
        if name not in known
    ]
    function.__signature__ = signature.replace(parameters=[*own, *rest])  # type: ignore[attr-defined]
    return function


@_with_job_fields
def run(
    scenes: SceneName | Sequence[SceneName] | None = None,
    *,
    ask: Asked | Sequence[Asked] | None = None,
    out: Address | None = None,
    config: Address | JobConfig | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **fields: object,
) -> Result:
    """Answer questions about scenes; repeating the call resumes, and does nothing if all is done.

    Args:
        scenes: files, folders, globs, s3:// addresses or STAC documents: one, or a list.
        ask: the question in plain words, or a list of them.
        out: output folder, local or s3://.
        config: a job.yaml or a `JobConfig`, whose fields the other arguments replace.
        overwrite: replace what another job left in the folder.
        progress: show a progress bar below the cell or on the terminal.
        **fields: every other field of `JobConfig` by its name: `reasoner`, `segmenter`, `gsd`, `tile`, `aoi`.

    Returns:
        The result as a value.

    Raises:
        RequestError: the request is wrong, or the output folder holds another job; nothing is written.
        LockedError: another process writes into the folder; nothing is written.
        SceneError: a scene cannot be opened; nothing is written.
        GridError: the sizes make no grid; nothing is written.
        ModelError: a model cannot be found or loaded.
        StorageError: object storage refuses or is away; nothing is written.
        StoppedError: object storage fails while work is done; what is committed stays.
    """
    request = job_config(scenes, ask, config, {**fields, "out": out})
    with _listener(progress) as listener:
        report = run_job(request, overwrite=overwrite, listener=listener)
    return Result(request.out, report=report)


@_with_job_fields
def plan(
    scenes: SceneName | Sequence[SceneName] | None = None,
    *,
    ask: Asked | Sequence[Asked] | None = None,
    config: Address | JobConfig | None = None,
    calibration: Address | None = None,
    price: float | None = None,
    **fields: object,
) -> PlanSummary:
    """Say what a run would do and, with a calibration, what it would cost; writes nothing.

    Args:
        scenes: as for a run.
        ask: as for a run.
        config: as for a run.
        calibration: what a tile takes, a file that `remotereasoner bench` wrote.
        price: of one hour of one worker's machine.
        **fields: every other field of `JobConfig` by its name; `out` may be left out.

    Raises:
        RequestError: the request is wrong, or a price is given without a calibration.
        SceneError: a scene cannot be opened.
        GridError: the sizes make no grid.
        ModelError: a model cannot be found.
    """
    if price is not None and calibration is None:
        raise RequestError("price", "a price needs hours to multiply", "give a calibration too")
    kept = None if calibration is None else read_calibration(fspath(calibration))
    spare = {} if config is not None else {"out": DRY_RUN}
    request = job_config(scenes, ask, config, {**spare, **fields})
    made = make_plan(request)
    cost = None if kept is None else estimate(made, kept, price=price, workers=request.workers)
    return PlanSummary(made, plan_figures(made), cost)


@_with_job_fields
def nightly(
    scenes: SceneName | Sequence[SceneName] | None = None,
    *,
    ask: Asked | Sequence[Asked] | None = None,
    out: Address | None = None,
    config: Address | JobConfig | None = None,
    date: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **fields: object,
) -> Result:
    """Bring a result up to date with the scenes that are new, changed or gone, and say what changed.

    Args:
        scenes: as for a run.
        ask: as for a run.
        out: as for a run.
        config: as for a run.
        date: date of the update, YYYY-MM-DD; today in UTC if left out.
        overwrite: as for a run.
        progress: as for a run.
        **fields: every other field of `JobConfig` by its name.

    Returns:
        The result; its view `changes` says what appeared, disappeared and changed.

    Raises:
        RequestError: the request or the date is wrong, or the output folder holds another job.
        LockedError: another process writes into the folder; nothing is written.
        SceneError: a scene cannot be opened.
        ModelError: a model cannot be found or loaded.
        StorageError: object storage refuses or is away.
        StoppedError: object storage fails while work is done; what is committed stays.
    """
    request = job_config(scenes, ask, config, {**fields, "out": out})
    with _listener(progress) as listener:
        report = run_nightly(request, date=date or today(), overwrite=overwrite, listener=listener)
    return Result(request.out, report=report)


def open_result(out: Address, *, unfinished: bool = False) -> Result:
    """Open the result of an earlier run.

    Args:
        out: output folder, local or s3://.
        unfinished: read what exists of a run that is not finished.

    Raises:
        RequestError: the folder holds no run.
        StorageError: object storage refuses or is away.
    """
    found = Result(fspath(out), unfinished=unfinished)
    read_plan(Store(found.out))  # raises if the folder holds no run
    return found


@contextmanager
def _listener(progress: bool) -> Iterator[Listener]:
    if not progress:
        yield ignore
        return
    with progress_bar() as listener:
        yield listener
