"""What goes into the ledger comes out of it unchanged, and only finished files count."""

from pathlib import Path

import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tables.ledger import AnswerRow, Status, committed, read_rows, write_rows
from tiling.grid import Window
from tiling.merge.fragments import Fragment
from tiling.storage.store import Store

TRANSFORM = (0.5, 0.0, 100.0, 0.0, -0.5, 200.0)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
numbers = st.floats(-1e6, 1e6)


@st.composite
def rows(draw: st.DrawFn) -> AnswerRow:
    window = Window(x0 := draw(st.integers(0, 99)), 7, x0 + 8, 15)
    fragment = Fragment(
        geometry=shapely.box(0, 0, draw(st.floats(1, 9)), 1),
        box=shapely.box(0, 0, 2, 2),
        score=draw(st.floats(0, 1)),
        tile_id="s/r0-c0",
        truncated=draw(st.booleans()),
        touches_scene_edge=draw(st.booleans()),
        edge_distance=draw(st.floats(0, 99)),
        core_share=draw(st.floats(0, 1)),
        label=draw(words),
        valid_fraction=draw(st.floats(0, 1)),
    )
    return AnswerRow(
        chunk_id="c",
        tile_id="s/r0-c0",
        query_id="q",
        scene_uri=draw(words),
        scene_id="s",
        window=window,
        geometry=shapely.box(1, 2, 3, 4),
        status=draw(st.sampled_from(Status)),
        problem=draw(words),
        thinking=draw(words),
        text=draw(words),
        boxes=draw(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=3).map(tuple)),
        fragments=(fragment,) * draw(st.integers(0, 2)),
        n_tokens=draw(st.integers(0, 10**6)),
        seconds=draw(st.floats(0, 1e6)),
    )


@given(st.lists(rows(), min_size=1, max_size=3))
def test_rows_come_back_as_they_went_in(tmp_path_factory: object, written: list[AnswerRow]) -> None:
    store = Store(str(tmp_path_factory.mktemp("ledger")))  # type: ignore[attr-defined]
    name = write_rows(store, written)
    assert read_rows(store, name) == written


def test_only_whole_files_with_our_names_are_committed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for name in ("query=q/chunk=a.parquet", "query=q/chunk=b.parquet.tmp-00", "notes.txt"):
        path = tmp_path / "answers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert committed(store) == {("q", "a")}
