"""The commands that take rows out of a result: make one call, print. Knows no file of a run."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli_results import AsJson, Out
from pipelines.console import say_facts, say_json
from pipelines.errors import RequestError
from pipelines.export_request import ExportRequest, Shape
from pipelines.storage import Store

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
    # Imported here, as in the other command: every other one would wait for DuckDB and GDAL's writers.
    from pipelines.query_engine import again, open_dataset, select
    from pipelines.query_output import json_rows, show_rows, write_csv, write_parquet

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
    from pipelines.export import export

    request = ExportRequest(
        query=query, where=where, format=kind, geometry=geometry, simplify_m=simplify, unfinished=unfinished
    )
    say_facts("export", export(Store(out), file, request), as_json=as_json)


def _parquet_file(store: Store, name: str | None) -> Path | None:
    if name is not None and not name.endswith(".parquet"):
        raise RequestError("--out", f"{name} is no .parquet file", "name one, or print with --csv or --json")
    from pipelines.query_output import own_file

    return own_file(store, name) if name is not None else None
