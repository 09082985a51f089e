"""The commands that plan and run jobs: build the request, make one call, print. Knows no step's inside."""

from dataclasses import asdict

import typer

from pipelines.calibrating import calibrate
from pipelines.calibration import read_calibration, write_calibration
from pipelines.cli_flags import BenchFlags, JobFlags, PlanFlags, with_job_flags
from pipelines.console import progress_bar, say, say_facts
from pipelines.errors import RequestError
from pipelines.estimate import estimate
from pipelines.exit_codes import INCOMPLETE
from pipelines.plan import Plan
from pipelines.planning import job_limits, make_plan
from pipelines.run_job import model_recipe, run_job
from pipelines.steps import ReadStep


@with_job_flags
def plan_command(flags: PlanFlags) -> None:
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
    say_facts("plan", facts, as_json=flags.json)


@with_job_flags
def bench_command(flags: BenchFlags) -> None:
    """Time models, reads and commits on sample scenes, for the estimates of plan.

    Example: [bold]remotereasoner bench 'images/*.tif' --ask "Where are ships?" --out calibration.json[/bold]
    """
    config = flags.config()
    made = make_plan(config)
    read = ReadStep(made.scaling, job_limits(config))
    found = calibrate(made, read=read, recipe=model_recipe(made), answers=flags.answers)
    write_calibration(config.out, found)
    say_facts("calibration", {**asdict(found), "out": config.out}, as_json=flags.json)


@with_job_flags
def run_command(flags: JobFlags) -> None:
    """Answer questions about scenes; run the same command again to resume.

    Example: [bold]remotereasoner run 'images/*.tif' --ask "Where are ships?" --out answers[/bold]
    """
    config = flags.config()
    with progress_bar() as listener:
        report = run_job(config, overwrite=flags.overwrite, listener=listener)
    say_facts("run", asdict(report), as_json=flags.json)
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
