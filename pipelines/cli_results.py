"""The commands about a result that is there: make one call, print. Knows no file of a run."""

import time
from dataclasses import asdict
from typing import Annotated

import typer

from pipelines import checking
from pipelines.console import say, say_facts, say_json, say_status
from pipelines.errors import RequestError
from pipelines.exit_codes import INCOMPLETE
from pipelines.plan_files import read_plan
from pipelines.status import status
from pipelines.storage import Store

Out = Annotated[str, typer.Argument(help="output folder of a run")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]


def status_command(
    out: Out,
    every_file: Annotated[bool, typer.Option("--all", help="read every file for reasons of failure")] = False,
    watch: Annotated[float | None, typer.Option(help="look again every so many seconds", min=1.0)] = None,
    as_json: AsJson = False,
) -> None:
    """Say how far a run is: from its files alone, from any machine, while it runs and after.

    Example: [bold]remotereasoner status s3://bucket/answers --watch 60[/bold]
    """
    if watch is not None and as_json:
        raise RequestError("watch", "JSON is one object", "leave --watch or --json out")
    report = status(Store(out), read_all=every_file)
    while watch is not None and not report.published:
        say_status(report)
        time.sleep(watch)
        report = status(Store(out), read_all=every_file)
    if as_json:
        say_json(asdict(report))
    else:
        say_status(report)


def check_command(out: Out, as_json: AsJson = False) -> None:
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


def show_command(
    out: Out,
    serve: Annotated[
        bool, typer.Option("--serve", help="serve the map on this machine: all objects, all tiles' pictures")
    ] = False,
    port: Annotated[
        int, typer.Option(help="with --serve: port, 0 for any free one", min=0, max=65535)
    ] = 8765,
    as_json: AsJson = False,
) -> None:
    """Write map.html: imagery and objects in one file that opens without a network.

    Of more than 20,000 objects the file alone shows a sample; --serve shows them all.

    Example: [bold]remotereasoner show answers --serve[/bold]
    """
    from pipelines.map_page import write_map
    from pipelines.serving import serve as serve_map

    store = Store(out)
    plan = read_plan(store)
    facts = {"map": write_map(store, plan)}
    if not serve:
        say_facts("map", facts, as_json=as_json)
        return

    def ready(address: str) -> None:
        say_facts("map", {**facts, "address": address}, as_json=as_json)
        say("Ctrl-C stops it")

    serve_map(store, plan, port=port, ready=ready)
