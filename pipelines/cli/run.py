"""The commands plan, bench, run and nightly: each builds the request, makes one call and prints."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import INCOMPLETE, RequestError
from pipelines.cli.console import progress_bar, say, say_facts
from pipelines.cli.flags import BenchFlags, JobFlags, PlanFlags, with_job_flags

if TYPE_CHECKING:
    from pipelines.plan import JobConfig


@with_job_flags
def plan_command(flags: PlanFlags) -> None:
    """Say what a run would do and, with a calibration, what it would cost; write nothing.

    Example: [bold]remotereasoner plan 'images/*.tif' --ask "Where are ships?"[/bold]
    """
    from pipelines.plan import estimate, make_plan, plan_figures, read_calibration

    calibration = read_calibration(flags.calibration) if flags.calibration else None
    if flags.price is not None and calibration is None:
        raise RequestError("price", "a price needs hours to multiply", "give --calibration too (see bench)")
    made = make_plan(flags.config(needs_out=False))
    facts = asdict(plan_figures(made))
    if calibration is not None:
        facts |= asdict(estimate(made, calibration, price=flags.price, workers=flags.workers))
    say_facts("plan", facts, as_json=flags.json)


@with_job_flags
def bench_command(flags: BenchFlags) -> None:
    """Time models, reads and commits on sample scenes, for the estimates of plan.

    Example: [bold]remotereasoner bench 'images/*.tif' --ask "Where are ships?" --out calibration.json[/bold]
    """
    from pipelines.inference import calibrate
    from pipelines.jobs import chunk_step
    from pipelines.plan import make_plan, write_calibration
    from tiling.storage import Store

    config = flags.config()
    made = make_plan(config)
    found = calibrate(made, chunk_step(Store(config.out), made), answers=flags.answers)
    write_calibration(config.out, found)
    say_facts("calibration", {**asdict(found), "out": config.out}, as_json=flags.json)


@with_job_flags
def run_command(flags: JobFlags) -> None:
    """Answer questions about scenes; run the same command again to resume.

    Example: [bold]remotereasoner run 'images/*.tif' --ask "Where are ships?" --out answers[/bold]
    """
    from pipelines.jobs import run_job

    config = flags.config()
    with progress_bar() as listener:
        report = run_job(config, overwrite=flags.overwrite, listener=listener)
    say_facts("run", asdict(report), as_json=flags.json)
    if report.failed:
        say(f"{report.failed} tiles failed: the result is marked incomplete; see answers/ for the reasons")
        raise typer.Exit(INCOMPLETE)


_JOB_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class NightlyFlags(JobFlags):
    """Everything given on the command line of nightly; one of the words may be the job file."""

    date: Annotated[
        str | None, typer.Option(help="the update's date, YYYY-MM-DD (default: today in UTC)")
    ] = None

    def config(self, *, needs_out: bool = True) -> "JobConfig":
        """The request; an argument that ends in .yaml or .yml is the job file.

        Raises:
            RequestError: two job files are named, or a field is unknown, missing or wrong.
        """
        words = self.scenes or []
        files = [word for word in words if word.lower().endswith(_JOB_ENDINGS)]
        jobs = [*files, *([self.job] if self.job else [])]
        if len(jobs) > 1:
            raise RequestError("job", f"{len(jobs)} job files are named ({', '.join(jobs)})", "name one")
        scenes = [word for word in words if word not in files]
        flags = replace(self, scenes=scenes or None, job=jobs[0] if jobs else None)
        return JobFlags.config(flags, needs_out=needs_out)


@with_job_flags
def nightly_command(flags: NightlyFlags) -> None:
    """Bring a dataset up to date with what is new, changed or gone, and say what changed.

    Example: [bold]remotereasoner nightly job.yaml --date 2026-11-25[/bold]
    """
    from pipelines.jobs import run_nightly, today

    date = flags.date or today()
    config = flags.config()
    with progress_bar() as listener:
        report = run_nightly(config, date=date, overwrite=flags.overwrite, listener=listener)
    say_facts("nightly", asdict(report), as_json=flags.json)
    if report.failed:
        say(f"{report.failed} tiles failed: the result is marked incomplete; see answers/ for the reasons")
        raise typer.Exit(INCOMPLETE)
