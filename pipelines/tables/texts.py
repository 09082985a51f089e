"""Captions and answers in words: the table of texts, one row per tile, one file per question."""

from collections.abc import Sequence

from pipelines.tables.geoparquet import (
    WORLD,
    geoparquet_bytes,
    hilbert_order,
)
from pipelines.tables.ledger import AnswerRow
from pipelines.tables.schema import TEXT_COLUMNS, Origin, schema_of
from tiling.storage import Store

TEXTS = "texts"


TEXT_SCHEMA = schema_of(TEXT_COLUMNS)


def write_texts(store: Store, rows: Sequence[AnswerRow], origin: Origin) -> str:
    """Write a question's texts, one row per tile, in Hilbert order; the file's name."""
    order = hilbert_order([row.geometry for row in rows], WORLD, [row.tile_id for row in rows])
    records = [_text_record(rows[index], origin) for index in order]
    names = [field.name for field in TEXT_SCHEMA if field.name != "bbox"]
    columns = {name: [record[name] for record in records] for name in names}
    name = f"{TEXTS}/query={origin.query.id}/texts.parquet"
    store.write(name, geoparquet_bytes(columns, TEXT_SCHEMA, {"geometry": "bbox"}))
    return name


def _text_record(row: AnswerRow, origin: Origin) -> dict[str, object]:
    return {
        "tile_id": row.tile_id,
        "scene_id": row.scene_id,
        "query_id": origin.query.id,
        "query": origin.query.text,
        "text": row.text,
        "status": str(row.status),
        "thinking": row.thinking,
        "geometry": row.geometry,
        "run_id": origin.run_id,
    }
