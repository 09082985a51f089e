"""The commands that read a result: status, check, show, query and export."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import INCOMPLETE, RequestError
from pipelines.cli.console import AsJson, say, say_facts, say_json, say_status
from pipelines.results import ExportRequest, Shape

if TYPE_CHECKING:
    from tiling.storage import Store

Out = Annotated[str, typer.Argument(help="output folder of a run")]


def status_command(
    out: Out,
    every_file: Annotated[bool, typer.Option("--all", help="read every file for reasons of failure")] = False,
    watch: Annotated[float | None, typer.Option(help="read again every so many seconds", min=1.0)] = None,
    as_json: AsJson = False,
) -> None:
    """Say how far a run is: from its files alone, from any machine, while it runs and after.

    Example: [bold]remotereasoner status s3://bucket/answers --watch 60[/bold]
    """
    # Imported here, as in all commands, so that the other commands do not wait for the libraries behind it.
    from pipelines.results import read_status
    from tiling.storage import Store

    if watch is not None and as_json:
        raise RequestError("watch", "JSON is one object", "leave --watch or --json out")
    report = read_status(Store(out), read_all=every_file)
    while watch is not None and not report.published:
        say_status(report)
        time.sleep(watch)
        report = read_status(Store(out), read_all=every_file)
    if as_json:
        say_json(asdict(report))
    else:
        say_status(report)


def check_command(out: Out, as_json: AsJson = False) -> None:
    """Prove that a result is whole: every planned tile has its row, every file can be read.

    Example: [bold]remotereasoner check answers --json[/bold]
    """
    from pipelines.results import check_result
    from tiling.storage import Store

    report = check_result(Store(out))
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
    from pipelines.map import serve as serve_map
    from pipelines.map import write_map
    from pipelines.plan import read_plan
    from tiling.storage import Store

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


Unfinished = Annotated[
    bool, typer.Option("--unfinished", help="read what is there of a run that is not finished")
]


def query_command(
    out: Out,
    sql: Annotated[str, typer.Argument(help="one SELECT; views: objects, answers, texts, changes")],
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV on stdout")] = False,
    file: Annotated[str | None, typer.Option("--out", help="write the rows to this .parquet file")] = None,
    unfinished: Unfinished = False,
) -> None:
    """Ask a result in SQL, without a server: DuckDB reads the files, local or on s3://, and writes nothing.

    Example: [bold]remotereasoner query answers "SELECT query, count(*) FROM objects GROUP BY 1"[/bold]

    In a box, reading little: [bold]"SELECT * FROM objects WHERE in_box(bbox, 3.0, 50.0, 3.2, 50.4)"[/bold]
    """
    from pipelines.results import again, json_rows, open_dataset, select, show_rows, write_csv, write_parquet
    from tiling.storage import Store

    store = Store(out)
    if sum((as_json, as_csv, file is not None)) > 1:
        raise RequestError("--json, --csv, --out", "more than one is given", "choose one")
    path = _parquet_file(store, file)

    def answer() -> None:
        with open_dataset(store, unfinished=unfinished, sql=sql) as connection:
            rows = select(connection, sql)
            if path:
                write_parquet(rows, path)
            elif as_json:
                say_json(json_rows(rows))
            elif as_csv:
                write_csv(rows, sys.stdout)
            else:
                show_rows(rows)

    again(answer)


def export_command(
    out: Out,
    file: Annotated[str, typer.Argument(help="file to write: .gpkg, .fgb, .geojson, .pmtiles or .parquet")],
    query: Annotated[
        str | None, typer.Option(help="only this question: its text or its slug, as in objects/query=…")
    ] = None,
    where: Annotated[str | None, typer.Option(help="only objects of which this SQL condition holds")] = None,
    kind: Annotated[
        str | None, typer.Option("--format", help="where the file's ending does not tell")
    ] = None,
    geometry: Annotated[
        Shape, typer.Option(help="which of the three geometries a file with room for one carries")
    ] = Shape.GEOMETRY,
    simplify: Annotated[
        float | None,
        typer.Option(help="leave out corners: outlines move by so many metres at most, neighbours together"),
    ] = None,
    unfinished: Unfinished = False,
    as_json: AsJson = False,
) -> None:
    """Write the objects as one file for other tools.

    GeoPackage, FlatGeobuf, GeoJSON (RFC 7946), PMTiles, or GeoParquet 2.0 with native geometry columns.

    Example: [bold]remotereasoner export answers big.gpkg --where "area_m2 > 500 AND score > 0.8"[/bold]
    """
    from pipelines.results import export_objects
    from tiling.storage import Store

    request = ExportRequest(
        query=query, where=where, format=kind, geometry=geometry, simplify_m=simplify, unfinished=unfinished
    )
    say_facts("export", export_objects(Store(out), file, request), as_json=as_json)


def _parquet_file(store: "Store", name: str | None) -> Path | None:
    if name is not None and not name.endswith(".parquet"):
        raise RequestError("--out", f"{name} is no .parquet file", "name one, or print with --csv or --json")
    from pipelines.results import own_file

    return own_file(store, name) if name is not None else None
