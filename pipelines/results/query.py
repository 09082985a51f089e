"""Opens a result, local or on object storage, as SQL views of DuckDB in this process, for reading only."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import chain
from typing import TypeVar

import duckdb
import pyarrow as pa
from fsspec import AbstractFileSystem

from pipelines import RequestError, UnreadableError
from pipelines.plan import read_job
from pipelines.results.query_files import PROTOCOL, LocalFiles, remote_files
from pipelines.results.sql_functions import add_functions, named
from pipelines.tables import (
    CHANGES,
    GEOMETRIES,
    LEDGER_SCHEMA,
    OBJECT_SCHEMA,
    OBJECTS,
    TEXT_SCHEMA,
    TEXTS,
    committed,
    ledger_name,
    published_files,
)
from tiling.storage import Store

GEOMETRY_TYPE = "GEOMETRY('OGC:CRS84')"
"""DuckDB's type of our geometry columns."""

TRIES = 3
"""Tries of a query whose files are replaced while they are read."""

T = TypeVar("T")
_UNREADABLE = "if it was being replaced, ask again; else check names the broken file"
_AGAIN = "run the same command again to finish it, or read what is there with --unfinished"
_READING = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",  # nothing is fetched from a network
    "TimeZone": "UTC",
    "python_enable_replacements": "false",  # a table's name never means a variable of this program
}

ANSWERS = "answers"
"""View of the ledger."""

Views = Mapping[str, Sequence[str]]
"""Files of each view, relative to the output folder."""


@contextmanager
def open_dataset(
    store: Store, *, unfinished: bool = False, sql: str = ""
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the views `objects`, `answers`, `texts` and, where there are any, `changes`.

    Args:
        store: the output folder.
        unfinished: read what exists of a run that is not published.
        sql: the query to be run; only the views and functions that it names are created. If it names no view,
            all views are created, and if it is empty, all functions too.

    Raises:
        RequestError: the folder holds no run, or no published one, or a published file is missing; or, raised
            from within the block, a statement is wrong or a file cannot be read.
        OSError: the storage refuses.
    """
    views = view_files(store, unfinished=unfinished, sql=sql)
    with ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect(config=_SETTINGS))
        stack.enter_context(plain_errors())
        connection.register_filesystem(_files(store, views, stack))
        for name, files in views.items():
            connection.execute(_view(connection, store, name, files))
        add_functions(connection, sql)
        yield connection


def _files(store: Store, views: Views, stack: ExitStack) -> AbstractFileSystem:
    if not store.is_local:
        return remote_files(store, list(views))
    names = list(chain.from_iterable(views.values()))
    try:
        return stack.enter_context(closing(LocalFiles(store.root, names)))
    except FileNotFoundError as error:
        raise UnreadableError("out", f"{error.filename} was there a moment ago", _UNREADABLE) from error


def select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """The rows of one SELECT statement, not computed yet.

    Raises:
        RequestError: the statement is wrong, or does more than read.
    """
    with plain_errors():
        _refuse_all_but_reading(connection, sql)
        relation: duckdb.DuckDBPyRelation | None = connection.sql(sql)
    assert relation is not None  # every statement that only reads gives a relation
    return relation


@contextmanager
def plain_errors() -> Iterator[None]:
    """A block that runs SQL, in which DuckDB's errors become one sentence with a remedy."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        # An exception of this project's file systems arrives as a plain Error whose message is its traceback.
        if isinstance(error, duckdb.IOException) or ".parquet'" in text or text.startswith("Traceback"):
            raise UnreadableError("out", _sentence(text), _UNREADABLE) from error
        raise RequestError("sql", _sentence(text), _remedy(text)) from error


def again(ask: Callable[[], T]) -> T:
    """Run a query, and repeat it if a file was replaced meanwhile.

    Raises:
        RequestError: raised by the query; UnreadableError if repeating it did not help.
    """
    for _ in range(TRIES - 1):
        try:
            return ask()
        except UnreadableError:
            continue
    return ask()


def view_files(store: Store, *, unfinished: bool = False, sql: str = "") -> Views:
    """Files of each view.

    Args:
        store: the output folder.
        unfinished: read what exists of a run that is not published.
        sql: the query to be run; only files of the views it names are listed, or all if it names none.

    Raises:
        RequestError: the folder holds no run, or no published one, or a published file is missing.
        OSError: the storage refuses.
    """
    published = published_files(store)
    if published is None and not (unfinished and read_job(store)):
        raise _not_published(store)
    there = {name for folder in (OBJECTS, TEXTS, CHANGES) for name in store.names(folder)}
    missing = sorted(set(published or ()) - there)
    if missing and not unfinished:
        reason = f"{store.root} is half written: {missing[0]} is published, but missing"
        raise UnreadableError("out", reason, "if it was being replaced, ask again; else run the same command")
    names = sorted(there & set(published) if published else there)
    tables = [name for name in names if name.endswith(".parquet")]
    views: dict[str, Callable[[], list[str]]] = {
        folder: partial(_below, folder, tables) for folder in (OBJECTS, TEXTS, CHANGES)
    }
    views[ANSWERS] = partial(_answers, store)
    if not _below(CHANGES, tables):
        del views[CHANGES]
    asked = [name for name in views if named(name, sql)] or list(views)
    return {name: views[name]() for name in asked}


def _below(folder: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if name.startswith(f"{folder}/")]


def _answers(store: Store) -> list[str]:
    return [ledger_name(*key) for key in sorted(committed(store))]


def _not_published(store: Store) -> RequestError:
    if read_job(store) is None:
        return RequestError("out", f"{store.root} holds no run", "name the --out of an earlier run")
    return RequestError("out", f"the run in {store.root} is not finished", _AGAIN)


_EMPTY: Mapping[str, tuple[pa.Schema, Sequence[str]]] = {
    OBJECTS: (OBJECT_SCHEMA, GEOMETRIES),
    TEXTS: (TEXT_SCHEMA, ("geometry",)),
    ANSWERS: (LEDGER_SCHEMA, ("geometry",)),
}
"""Columns of a view without files, and which of them are geometries."""


def _view(connection: duckdb.DuckDBPyConnection, store: Store, name: str, files: Sequence[str]) -> str:
    if not files:
        schema, shapes = _EMPTY[name]
        connection.register(f"no_{name}", schema.empty_table())
        return f"CREATE VIEW {name} AS SELECT * REPLACE ({_placed(shapes)}) FROM no_{name}"
    listed = ", ".join(_literal(_address(store, file)) for file in files)
    # A partition query=… would replace the column `query`; the partition of an update adds its date.
    source = f"read_parquet([{listed}], hive_partitioning={str(name == CHANGES).lower()})"
    columns = f"* REPLACE ({_placed(['geometry'])})" if name == ANSWERS else "*"
    return f"CREATE VIEW {name} AS SELECT {columns} FROM {source}"


def _placed(shapes: Sequence[str]) -> str:
    return ", ".join(f"ST_GeomFromWKB({name})::{GEOMETRY_TYPE} AS {name}" for name in shapes)


def _address(store: Store, name: str) -> str:
    return f"{PROTOCOL}://{name}" if store.is_local else store.path(name)


def _literal(address: str) -> str:
    """An address as an SQL string in which no character acts as a wildcard."""
    plain = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in address)
    return "'" + plain.replace("'", "''") + "'"


def _refuse_all_but_reading(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Accept a statement only if all nodes of its tree only read: a CTE may hide a COPY or an INSERT."""
    statements = connection.extract_statements(sql)
    only = RequestError("sql", "only one SELECT statement is run, and nothing that writes", "ask with SELECT")
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise only
    ((text,),) = connection.execute("SELECT json_serialize_sql(?)", [statements[0].query]).fetchall()
    tree = json.loads(text)
    if tree["error"] or not set(_nodes(tree)) <= _READING:
        raise only


def _nodes(tree: object) -> Iterator[str]:
    if isinstance(tree, list):
        for item in tree:
            yield from _nodes(item)
    elif isinstance(tree, dict):
        if str(tree.get("type", "")).endswith("_NODE"):
            yield str(tree["type"])
        yield from _nodes(list(tree.values()))


def _sentence(text: str) -> str:
    """DuckDB's message on one line, without its marking of the position."""
    if text.startswith("Traceback"):
        return text.strip().split("\n")[-1]
    if lacking := re.search(r'name "(\w+)" is not in the catalog.* (\w+) extension', text):
        return f"{lacking[1]} is there only with DuckDB's {lacking[2]} extension"
    if lacking := re.search(r"the required extension '(\w+)", text):
        return f"this needs DuckDB's {lacking[1]} extension"
    message = " ".join(text.split("\n\n")[0].split()).removesuffix(".")
    return message.replace(f"{PROTOCOL}://", "")


def _remedy(text: str) -> str:
    if "spatial extension" in text:
        return "docs/schema.md lists the ST_ functions that need none; SedonaDB has them all"
    if "required extension" in text:
        return "query reads its own result and local files, and fetches no extension"
    return "the views are objects, answers, texts and changes; DESCRIBE objects lists the columns"
