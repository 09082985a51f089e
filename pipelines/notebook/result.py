"""The result of a run as one value: its objects, map, tables and status; what `run` returns in Python."""

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import RequestError
from pipelines.jobs import RunReport, UpdateReport
from pipelines.map import map_page
from pipelines.notebook.html import link_html, table_html
from pipelines.notebook.map_view import MapView
from pipelines.plan import read_plan
from pipelines.results import (
    CheckReport,
    ExportRequest,
    Shape,
    StatusReport,
    check_result,
    export_objects,
    objects_frame,
    query_frame,
    read_status,
)
from reasoner.query import Query, Task
from tiling.storage import Store

if TYPE_CHECKING:
    import geopandas
    import pandas

_LINKED = ("map.html", "collection.json", "job.json")
"""Files of a local result that a notebook links if they exist."""


@dataclass(frozen=True, slots=True)
class QuestionCount:
    """What one question found."""

    question: str
    """The question as it was asked."""
    rows: int
    """Number of objects; for captions and answers in words, number of tiles with a text."""
    unit: str
    """`objects` or `texts`."""
    area_m2: float
    """Area of the objects together, square metres."""


@dataclass(frozen=True, repr=False)
class Result:
    """The files of a run in its output folder; every method reads them from there."""

    out: str
    """The output folder, local or s3://."""
    unfinished: bool = False
    """Read what exists of a run that is not finished."""
    report: RunReport | UpdateReport | None = field(default=None, compare=False)
    """The report of the run; None if the result was opened later."""

    def objects(self, query: str | None = None, *, where: str | None = None) -> "geopandas.GeoDataFrame":
        """The objects, one a row, with three geometry columns in longitude and latitude (OGC:CRS84).

        `geometry`, the outline, is the active one; `region` is the box and `contour` the rings.

        Args:
            query: only this question: its text, or its slug.
            where: only objects of which this SQL condition holds, as `area_m2 > 500`.

        Raises:
            RequestError: the question or the condition is wrong, or the run is not finished.
            StorageError: object storage refuses or is away.
        """
        request = ExportRequest(query=query, where=where, unfinished=self.unfinished)
        return objects_frame(self._store, request)

    def query(self, sql: str) -> "pandas.DataFrame":
        """The rows of one SELECT; a GeoDataFrame where a column is a geometry.

        Args:
            sql: the statement; its views are `objects`, `answers`, `texts` and `changes`.

        Raises:
            RequestError: the statement is wrong or does anything but read, or the run is not finished.
            StorageError: object storage refuses or is away.
        """
        return query_frame(self._store, sql, unfinished=self.unfinished)

    def map(self, *, height_px: int = 520) -> MapView:
        """Imagery and objects on one page, which shows a sample of more than 20,000 objects; writes nothing.

        Args:
            height_px: of the map in a notebook.

        Raises:
            RequestError: the run is not finished.
            StorageError: object storage refuses or is away.
        """
        return MapView(map_page(self._store, read_plan(self._store)), height_px)

    def status(self) -> StatusReport:
        """How far the run is, according to its files.

        Raises:
            StorageError: object storage refuses or is away.
        """
        return read_status(self._store)

    def check(self) -> CheckReport:
        """Whether the result is complete and valid: all planned tiles have rows and all files can be read.

        Raises:
            StorageError: object storage refuses or is away.
        """
        return check_result(self._store)

    def export(
        self,
        path: str | PathLike[str],
        *,
        query: str | None = None,
        where: str | None = None,
        geometry: str = Shape.GEOMETRY,
        simplify_m: float | None = None,
    ) -> Path:
        """Write the objects as one file: .gpkg, .fgb, .geojson, .pmtiles or .parquet.

        Args:
            path: of the local file; its ending says the format.
            query: only this question: its text, or its slug.
            where: only objects of which this SQL condition holds.
            geometry: `geometry`, `region` or `contour`, where the file has room for one.
            simplify_m: leave out corners; outlines move by so many metres at most.

        Raises:
            RequestError: the format, the question or the condition is wrong, the file cannot be written, or
                the run is not finished.
            StorageError: object storage refuses or is away.
        """
        if geometry not in tuple(Shape):
            raise RequestError("geometry", f"{geometry!r} is not one of them", f"choose {', '.join(Shape)}")
        request = ExportRequest(
            query=query, where=where, geometry=Shape(geometry), simplify_m=simplify_m,
            unfinished=self.unfinished,
        )  # fmt: skip
        export_objects(self._store, fspath(path), request)
        return Path(path)

    @cached_property
    def counts(self) -> tuple[QuestionCount, ...]:
        """What each question found, in the order asked; counted at the first call.

        Raises:
            RequestError: the run is not finished.
            StorageError: object storage refuses or is away.
        """
        located, worded = (
            self.query(f"SELECT query_id, count(*) AS n, {area} AS area_m2 FROM {view} GROUP BY 1")
            for view, area in (("objects", "sum(area_m2)"), ("texts", "0.0"))
        )
        found = {str(row.query_id): row for table in (located, worded) for row in table.itertuples()}
        return tuple(_count(query, found.get(query.id)) for query in read_plan(self._store).queries)

    @property
    def _store(self) -> Store:
        return Store(self.out)

    def __repr__(self) -> str:
        counts, note = self._counts_and_notice()
        lines = [f"{each.rows:>9,} {each.unit}  {each.question}" for each in counts]
        return "\n".join([f"Result({self.out!r})", *lines, *([note] if note else [])])

    def _repr_html_(self) -> str:
        """Counts and links, as a notebook shows them."""
        counts, note = self._counts_and_notice()
        rows = [(each.question, f"{each.rows:,} {each.unit}", _area(each)) for each in counts]
        there = [name for name in _LINKED if self._store.is_local and self._store.exists(name)]
        links = " · ".join(link_html(self._store.path(name), name) for name in there)
        line = " · ".join(filter(None, [f"<code>{escape(self.out)}</code>", links, escape(note)]))
        return f"{table_html(('question', 'found', 'area'), rows)}<p>{line}</p>"

    def _counts_and_notice(self) -> tuple[tuple[QuestionCount, ...], str]:
        """The counts, and a notice about failed tiles or why there are no counts; this never raises."""
        try:
            counts = self.counts
        except (RequestError, OSError) as error:
            return (), str(error)
        failed = self.report.failed if self.report else 0
        return counts, f"{failed:,} tiles failed; status() says why" if failed else ""


def _count(query: Query, row: Any) -> QuestionCount:
    """Count of one question from its row of the totals, which is None if it found nothing."""
    unit = "objects" if query.task is Task.LOCATE else "texts"
    return QuestionCount(query.text, int(row.n) if row else 0, unit, float(row.area_m2) if row else 0.0)


def _area(count: QuestionCount) -> str:
    return f"{count.area_m2:,.0f} m²" if count.unit == "objects" else ""
