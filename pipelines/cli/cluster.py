"""The command `submit`, which sends a job to a Ray cluster and follows its log."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import OTHER, ClusterError, RequestError
from pipelines.cli.console import say, say_facts
from pipelines.cli.flags import JobFlags, with_job_flags

if TYPE_CHECKING:
    from pipelines.plan import JobConfig


@dataclass(frozen=True, slots=True)
class SubmitFlags(JobFlags):
    """Everything given on the command line of submit."""

    cluster: Annotated[str | None, typer.Option(help="dashboard of the Ray cluster: http://host:8265")] = None
    no_wait: Annotated[bool, typer.Option("--no-wait", help="print the job's id and end")] = False


@with_job_flags
def submit_command(flags: SubmitFlags) -> None:
    """Run a job on a Ray cluster from here: sends the code, shows the log, ends with the job's exit code.

    The cluster needs the dependencies and its own access to the storage. Interrupted? The job goes on.

    Example: [bold]remotereasoner submit --job job.yaml --cluster http://head:8265[/bold]
    """
    from pipelines.engine import cluster_config

    config, address = flags.config(), _address(flags)
    sent = cluster_config(config)
    _warn_of_local(sent, address)
    try:
        job = _submitted(address, sent, overwrite=flags.overwrite)
        say(f"job {job} runs on {address}; stop it with: ray job stop {job} --address {address}")
        if flags.no_wait:
            say_facts("submitted", {"job": job, "cluster": address, "out": sent.out}, as_json=flags.json)
            return
        code = _followed(address, job, as_json=flags.json)
    except ClusterError as error:
        say(f"error: {error}")
        raise typer.Exit(OTHER) from error
    except KeyboardInterrupt as error:
        say(f"no longer following; the job goes on: remotereasoner status {sent.out}")
        raise typer.Exit(OTHER) from error
    raise typer.Exit(code)


def _address(flags: SubmitFlags) -> str:
    if flags.address is not None:
        raise RequestError("address", "submit names the cluster with --cluster", "leave --address out")
    if not flags.cluster:
        raise RequestError("cluster", "no cluster is named", "give its dashboard: --cluster http://host:8265")
    return flags.cluster


def _warn_of_local(config: "JobConfig", address: str) -> None:
    from pipelines.engine import is_here, local_parts

    if (local := local_parts(config)) and not is_here(address):
        shown = ", ".join(local[:3]) + (" …" if len(local) > 3 else "")
        say(f"warning: {shown}: every node of the cluster must see this path (shared storage), or use s3://")


def _submitted(address: str, config: "JobConfig", *, overwrite: bool) -> str:
    from pipelines.engine import command_line, pack, submit_job

    with TemporaryDirectory(prefix="remotereasoner-") as folder:
        pack(Path(folder), config)
        about = {"job": "remotereasoner", "out": config.out}
        return submit_job(address, Path(folder), command_line(overwrite=overwrite), metadata=about)


def _followed(address: str, job: str, *, as_json: bool) -> int:
    """Show the log to its end and return the job's exit code."""
    from pipelines.engine import JobLog, follow_job

    log = JobLog(say)
    ended = follow_job(address, job, log.take)
    log.close()
    error = "" if ended.exit_code == 0 else log.error or ended.message
    facts = {"job": job, "status": ended.status, "exit_code": ended.exit_code, "error": error}
    say_facts("job", {**facts, **log.report}, as_json=as_json)
    if error:
        say(f"error: the job ended with code {ended.exit_code}: {error}")
    return ended.exit_code
