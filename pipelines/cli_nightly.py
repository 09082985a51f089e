"""The command that keeps a dataset up to date: build the request, make one call, print. Knows no step."""

from dataclasses import asdict, dataclass, replace
from typing import Annotated

import typer

from pipelines.cli_flags import JobFlags, with_job_flags
from pipelines.config import JobConfig
from pipelines.console import progress_bar, say, say_facts
from pipelines.errors import RequestError
from pipelines.exit_codes import INCOMPLETE
from pipelines.nightly import nightly, today

_JOB_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class NightFlags(JobFlags):
    """Everything given on the command line of nightly; one of the words may be the job file."""

    date: Annotated[str | None, typer.Option(help="the night's date, YYYY-MM-DD (default: today in UTC)")] = (
        None
    )

    def config(self, *, needs_out: bool = True) -> JobConfig:
        """The request; a word that ends as job files do is the job file.

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
def nightly_command(flags: NightFlags) -> None:
    """Bring a dataset up to date with what is new, changed or gone, and say what changed.

    Example: [bold]remotereasoner nightly job.yaml --date 2026-11-25[/bold]
    """
    date = flags.date or today()
    config = flags.config()
    with progress_bar() as listener:
        report = nightly(config, date=date, overwrite=flags.overwrite, listener=listener)
    say_facts("nightly", asdict(report), as_json=flags.json)
    if report.failed:
        say(f"{report.failed} tiles failed: the result is marked incomplete; see answers/ for the reasons")
        raise typer.Exit(INCOMPLETE)
