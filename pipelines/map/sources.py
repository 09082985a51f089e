"""What the map reads of a finished run: figures of all objects, and all columns of some of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import RequestError
from pipelines.tables import missing_files, object_files, published_files
from reasoner.query import Query
from tiling.storage import Store

FIGURES = ("id", "score", "area_m2", "bbox")
DETAILS = (*FIGURES, "geometry", "region", "label", "thinking", "tile_ids", "datetime")
_UNREADABLE = (FileNotFoundError, KeyError, ValueError, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of all objects of one question, in the order of its files and rows."""

    query: Query
    """The question."""
    names: tuple[str, ...]
    """Its object files."""
    ends: tuple[int, ...]
    """Number of objects up to the end of each file."""
    ids: NDArray[np.object_]
    """(n,) ids: digests, whose order is independent of the places of objects."""
    score: NDArray[np.float64]
    """(n,) 0 to 1, to 1e-4; 0 where there is none."""
    area: NDArray[np.float64]
    """(n,) square metres, to 0.01."""
    bounds: NDArray[np.float64]
    """(n, 4) west, south, east, north, degrees."""

    def __len__(self) -> int:
        return len(self.ids)


def check_published(store: Store) -> None:
    """Refuse a folder whose run is not finished.

    Raises:
        RequestError: nothing is published, or a published file is missing.
    """
    files = published_files(store)
    if files is None:
        raise RequestError(
            "out", f"the run in {store.root} is not finished", "run the same command again to finish it"
        )
    if missing := missing_files(store, files):
        raise RequestError(
            "out", f"{store.path(missing[0])} is published but not there", "run the same command again"
        )


def read_figures(store: Store, query: Query) -> Figures:
    """Figures of a question's objects.

    Raises:
        RequestError: a file cannot be read.
    """
    names = tuple(object_files(store, query.id))
    tables = [read_columns(store, name, FIGURES) for name in names]
    table = pa.concat_tables(tables)
    return Figures(
        query=query,
        names=names,
        ends=tuple(np.cumsum([len(item) for item in tables]).tolist()),
        ids=np.asarray(table["id"].to_pylist(), dtype=object),
        score=scores(table),
        area=areas(table),
        bounds=boxes(table),
    )


def read_details(store: Store, figures: Figures, chosen: NDArray[np.int64]) -> pa.Table:
    """All columns that the map uses, of some objects.

    Args:
        store: the output folder.
        figures: the question's figures.
        chosen: numbers of the objects in the figures, ascending.

    Raises:
        RequestError: a file cannot be read.
    """
    begins = (0, *figures.ends[:-1])
    parts: list[pa.Table] = []
    for name, begin, end in zip(figures.names, begins, figures.ends, strict=True):
        own = chosen[(chosen >= begin) & (chosen < end)] - begin
        if len(own) or not parts:
            parts.append(read_columns(store, name, DETAILS).take(pa.array(own)))
    return pa.concat_tables(parts)


def each_file(store: Store, figures: Figures) -> Iterator[pa.Table]:
    """All columns that the map uses, file by file.

    Raises:
        RequestError: a file cannot be read.
    """
    return (read_columns(store, name, DETAILS) for name in figures.names)


def read_columns(store: Store, name: str, columns: Sequence[str]) -> pa.Table:
    """Columns of one Parquet file.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        return pq.read_table(BytesIO(store.read(name)), columns=list(columns))
    except _UNREADABLE as error:
        raise RequestError(
            "out",
            f"{store.path(name)} cannot be read ({error})",
            "'remotereasoner check' says what else is damaged; run the same command again",
        ) from error


def scores(table: pa.Table) -> NDArray[np.float64]:
    """(n,) scores to 1e-4, 0 where there is none."""
    return _numbers(table["score"], digits=4)


def areas(table: pa.Table) -> NDArray[np.float64]:
    """(n,) areas to 0.01 m²."""
    return _numbers(table["area_m2"], digits=2)


def boxes(table: pa.Table) -> NDArray[np.float64]:
    """(n, 4) west, south, east, north, degrees."""
    sides = [pc.struct_field(table["bbox"], side).to_numpy() for side in ("xmin", "ymin", "xmax", "ymax")]
    return np.column_stack(sides).astype(np.float64)


def _numbers(column: pa.ChunkedArray, *, digits: int) -> NDArray[np.float64]:
    values: NDArray[np.float64] = column.to_numpy().astype(np.float64)
    return np.nan_to_num(values).round(digits)
