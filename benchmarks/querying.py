"""The benchmark `querying`: a query of a thousandth of a country against a scan of all of it, and writing.

Bytes are those that a reader requests, with footers, over all bytes of the files: through our own file system
for DuckDB, which otherwise opens local files itself, and through a range server for SedonaDB. DuckDB's times
are given for the query alone, with footers, and with the start of a database before it. SedonaDB reads
footers when it opens the files, so its times always contain both.
"""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import geopandas
import sedona.db
import shapely

from benchmarks.measure import Aim, Row, divided, interleaved
from benchmarks.objects import COUNTRY, QUERY, many_objects
from benchmarks.range_server import address_of, range_server
from benchmarks.settings import Settings
from pipelines.results.query import open_dataset, select
from pipelines.tables.objects import GEOMETRIES, object_files, read_cell, write_cell
from pipelines.tables.schema import Bounds
from tiling.geo.crs import LONLAT
from tiling.storage.store import Store

NAME = "querying"
SHARE = 0.001
"""Share of the country's area in the box of the query."""
BYTES, FASTER = Aim(maximum=0.03), Aim(minimum=10.0)
FOOTER_BYTES = 1 << 16
"""Bytes fetched from the end of a file for its footer; SedonaDB fetches half a megabyte by default."""
_DUCK_TOTALS = "count(*), sum(area_m2), sum(octet_length(ST_AsWKB(geometry)))"
_SEDONA_TOTALS = "count(*) AS n, sum(area_m2) AS area, sum(ST_NPoints(geometry)) AS points"


@dataclass(frozen=True, slots=True)
class _Answer:
    """An engine's answer to one query."""

    objects: int
    """Number of objects that it counted."""
    seconds: float
    """Time of the query."""
    opening_s: float = 0.0
    """Time to open the database before, without reads."""


@dataclass(frozen=True, slots=True)
class _Queries:
    """The two queries of one engine, both of which read the outlines that they count."""

    engine: str
    """Its name."""
    box: Callable[[], _Answer]
    """Queries the box."""
    scan: Callable[[], _Answer]
    """Queries everything."""


def measure(settings: Settings) -> list[Row]:
    """Bytes and times of a query of a box, by two engines, and speed and size of writing."""
    folder = many_objects(settings)
    size = sum(path.stat().st_size for path in folder.rglob("objects.parquet"))
    box = _box()
    looks = [_duckdb(folder, box), _sedonadb([str(path) for path in _paths(folder)], box)]
    read = {"DuckDB": _bytes_by_duckdb(looks[0]), "SedonaDB": _bytes_by_sedonadb(folder, box)}
    rows = [_bytes_row(engine, count, size, aim=BYTES) for engine, count in read.items()]
    untold = _bytes_by_sedonadb(folder, box, footer_bytes=0)
    rows.append(_bytes_row("SedonaDB, not told how large footers are", untold, size))
    rows += [row for queries in looks for row in _speed_rows(queries, settings)]
    return rows + _writing_rows(folder, settings)


def _box() -> Bounds:
    """A box of the share's area about a third of the way into the country."""
    west, south, east, north = COUNTRY
    side = math.sqrt(SHARE)
    x, y = west + 0.37 * (east - west), south + 0.61 * (north - south)
    return x, y, x + side * (east - west), y + side * (north - south)


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.rglob("objects.parquet"))


def _duckdb(folder: Path, box: Bounds) -> _Queries:
    corners = ", ".join(map(repr, box))
    where = f" WHERE in_box(bbox, {corners})"

    def ask(condition: str) -> _Answer:
        sql = f"SELECT {_DUCK_TOTALS} FROM objects{condition}"
        began = time.perf_counter()
        with open_dataset(Store(str(folder)), sql=sql) as connection:
            ready = time.perf_counter()
            count = int(select(connection, sql).fetchall()[0][0])
            return _Answer(count, time.perf_counter() - ready, ready - began)

    return _Queries("DuckDB", partial(ask, where), partial(ask, ""))


def _sedonadb(files: list[str], box: Bounds, *, footer_bytes: int = FOOTER_BYTES) -> _Queries:
    wkt = shapely.to_wkt(shapely.box(*box), rounding_precision=-1)
    where = f" WHERE ST_Intersects(geometry, ST_SetCRS(ST_GeomFromText('{wkt}'), '{LONLAT}'))"

    def ask(condition: str) -> _Answer:
        began = time.perf_counter()
        context = sedona.db.connect()
        if footer_bytes:
            context.sql(f"SET datafusion.execution.parquet.metadata_size_hint = {footer_bytes}").execute()
        context.read_parquet(files, partitioning=[]).to_view("objects")
        found = context.sql(f"SELECT {_SEDONA_TOTALS} FROM objects{condition}").to_pandas()
        return _Answer(int(found["n"][0]), time.perf_counter() - began)

    return _Queries("SedonaDB", partial(ask, where), partial(ask, ""))


def _bytes_by_duckdb(queries: _Queries) -> int:
    counted: list[int] = []
    read = os.pread

    def counting(descriptor: int, size: int, offset: int) -> bytes:
        data = read(descriptor, size, offset)
        counted.append(len(data))
        return data

    with patch.object(os, "pread", counting):
        queries.box()
    return sum(counted)


def _bytes_by_sedonadb(folder: Path, box: Bounds, *, footer_bytes: int = FOOTER_BYTES) -> int:
    with range_server(folder) as (base, sent):
        files = [address_of(base, path.relative_to(folder).as_posix()) for path in _paths(folder)]
        _sedonadb(files, box, footer_bytes=footer_bytes).box()
        return sent.bytes


def _bytes_row(engine: str, read: int, size: int, *, aim: Aim | None = None) -> Row:
    what = f"{engine}: bytes read for {SHARE:.1%} of the area over all bytes"
    return Row(NAME, what, (read / size,), f"{read / 1e6:.1f} of {size / 1e6:.0f} MB", aim)


def _speed_rows(queries: _Queries, settings: Settings) -> Iterator[Row]:
    queries.scan()  # from here on the files are in the system's cache
    timed = interleaved({"box": queries.box, "scan": queries.scan}, settings)
    what = f"{queries.engine}: time of a full scan over that of the box"
    yield _speed_row(what, timed, lambda answer: answer.seconds, FASTER)
    if any(answer.opening_s for answer in timed["box"]):
        yield _speed_row(f"{what}, with opening", timed, lambda answer: answer.seconds + answer.opening_s)


def _speed_row(
    what: str, timed: dict[str, list[_Answer]], time_of: Callable[[_Answer], float], aim: Aim | None = None
) -> Row:
    box, scan = ([time_of(answer) for answer in timed[name]] for name in ("box", "scan"))
    found, there = (timed[name][0].objects for name in ("box", "scan"))
    detail = (
        f"{statistics.median(box) * 1e3:.0f} ms for {found}, "
        f"{statistics.median(scan) * 1e3:.0f} ms for {there} objects"
    )
    return Row(NAME, what, divided(scan, box), detail, aim)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _writing_rows(folder: Path, settings: Settings) -> list[Row]:
    """Our writer against geopandas' plain one, on the table of the fullest cell."""
    store = Store(str(folder))
    name = max(object_files(store), key=lambda file: (folder / file).stat().st_size)
    cell = name.split("/cell=")[1].split("/")[0]
    part = read_cell(store, QUERY.id, cell)
    frame = geopandas.read_parquet(folder / name)
    with ExitStack() as stack:
        written = Store(str(folder.parent / "written"))
        stack.callback(written.remove_folder, "")
        ours = partial(write_cell, written, "q", cell, part)
        took = interleaved(
            {"ours": partial(_seconds, ours), "plain": partial(_seconds, partial(_plain, frame))}, settings
        )
    return list(_written(len(part), (folder / name).stat().st_size, len(_plain(frame)), took))


def _plain(frame: geopandas.GeoDataFrame) -> bytes:
    sink = BytesIO()
    frame.drop(columns=["bbox", "region_bbox"], errors="ignore").to_parquet(sink, index=False)
    return sink.getvalue()


def _written(count: int, size: int, plain: int, took: dict[str, list[float]]) -> Iterator[Row]:
    ours, other = (statistics.median(took[name]) for name in ("ours", "plain"))
    speed = (
        f"{count / ours:.0f} of {count / other:.0f} rows/s, {count} rows with {len(GEOMETRIES)} geometries"
    )
    yield Row(
        NAME, "writing a cell: speed over geopandas' to_parquet", divided(took["plain"], took["ours"]), speed
    )
    detail = f"{size / count:.0f} of {plain / count:.0f} bytes an object"
    yield Row(NAME, "writing a cell: bytes over geopandas' to_parquet", (size / plain,), detail)
