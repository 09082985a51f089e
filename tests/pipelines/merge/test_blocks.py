"""Claim: objects and ids are the same whatever the chunks, blocks, their order, the cells and the runs."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.merge import blocks
from pipelines.merge.job import merge_job
from pipelines.plan.plan import ChunkRef
from pipelines.tables.ledger import ledger_name, read_table
from pipelines.tables.objects import object_files
from tests.worlds.fixtures import file_bytes
from tests.worlds.synthetic_run import QUERY, SyntheticRun, planned, verdict
from tiling.merge import objects as merge_objects

SIDE = 5200
"""Of the scene, pixels: some 5,000 fragments of 2,700 objects, two reaches of the river among them."""


CORNER = (0.5, 0.0, 498_500.0, 0.0, -0.5, 5_400_000.0)
"""A border of the deepest cells runs through the scene."""


def written(folder: Path, chunk_px: int, **grid: int) -> SyntheticRun:
    run = planned(folder, SIDE, chunk_px=chunk_px, place=CORNER, **grid)
    for ref in run.plan.chunks:
        run.write(ref)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    """Nine chunks."""
    return written(tmp_path_factory.mktemp("blocks"), 2300)


def objects(run: SyntheticRun) -> dict[str, bytes]:
    """Files of the objects, merged anew."""
    run.store.remove_folder("objects")
    merge_job(run.store, run.plan)
    return file_bytes(Path(run.store.root) / "objects")


@pytest.fixture(scope="module")
def expected(run: SyntheticRun) -> dict[str, bytes]:
    """All chunks in one block."""
    assert len(blocks.blocks_of(run.plan, 0, QUERY.id, run.store.sizes("answers"))) == 1
    return objects(run)


def test_the_world_is_hard_and_comes_back_exactly(run: SyntheticRun, expected: dict[str, bytes]) -> None:
    facts = verdict(run)
    assert facts["objects"] == facts["true_objects"] > 2000
    assert not any(facts[name] for name in ("cut", "doubled", "glued", "missing"))
    table = pq.read_table(run.store.path(object_files(run.store)[0]), partitioning=None)
    (river,) = table.filter(pa.compute.equal(table["label"], "river")).to_pylist()
    assert river["n_fragments"] >= 20


@pytest.mark.parametrize(("share", "count"), [(0.0, 9), (0.6, 4)])
def test_blocks_change_no_byte(
    run: SyntheticRun, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, share: float, count: int
) -> None:
    sizes = run.store.sizes("answers")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", share * sum(sizes.values()))
    assert len(blocks.blocks_of(run.plan, 0, QUERY.id, sizes)) == count
    assert objects(run) == expected
    assert not (Path(run.store.root) / "merge").exists()


@pytest.mark.parametrize(("share", "sides"), [(0.4, {4, 3}), (0.6, {4, 3}), (0.1, {2, 1}), (0.2, {3, 1})])
def test_blocks_are_of_about_one_size(monkeypatch: pytest.MonkeyPatch, share: float, sides: set[int]) -> None:
    plan = planned(Path("nowhere"), 4600, chunk_px=900).plan
    assert {(ref.row, ref.col) for ref in plan.chunks} == {(row, col) for row in range(7) for col in range(7)}
    sizes = {ledger_name(QUERY.id, ref.chunk_id): 1000 for ref in plan.chunks}
    monkeypatch.setattr(blocks, "BLOCK_BYTES", share * sum(sizes.values()))
    found = blocks.blocks_of(plan, 0, QUERY.id, sizes)
    assert {math.isqrt(len(each.chunk_ids)) for each in found} == sides
    assert sorted(name for each in found for name in each.chunk_ids) == sorted(
        ref.chunk_id for ref in plan.chunks
    )


def test_merging_twice_changes_no_byte(run: SyntheticRun, expected: dict[str, bytes]) -> None:
    merge_job(run.store, run.plan)
    assert file_bytes(Path(run.store.root) / "objects") == expected


@pytest.mark.parametrize("chunk_px", [900, 3400])
def test_chunks_change_no_byte(tmp_path: Path, expected: dict[str, bytes], chunk_px: int) -> None:
    other = written(tmp_path, chunk_px)
    assert len(other.plan.chunks) == (64 if chunk_px == 900 else 4)
    assert objects(other) == expected


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(9)))
def test_the_order_of_chunks_and_of_blocks_changes_no_byte(
    run: SyntheticRun, expected: dict[str, bytes], order: Sequence[int]
) -> None:
    chunks: tuple[ChunkRef, ...] = tuple(run.plan.chunks[index] for index in order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", 1)
        assert objects(replace(run, plan=replace(run.plan, chunks=chunks))) == expected


def test_a_long_object_has_the_same_bytes_united_in_one_block_or_in_many(
    run: SyntheticRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (merge_objects, blocks):
        monkeypatch.setattr(module, "RUN", 4)
    whole = objects(run)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    assert objects(run) == whole


def test_cells_change_where_objects_are_filed_and_nothing_else(
    run: SyntheticRun, expected: dict[str, bytes]
) -> None:
    def rows() -> list[dict[str, object]]:
        tables = [pq.read_table(run.store.path(name), partitioning=None) for name in object_files(run.store)]
        return sorted(pa.concat_tables(tables).to_pylist(), key=lambda row: str(row["id"]))

    objects(run)
    few, coarse = rows(), len(object_files(run.store))
    run.store.remove_folder("objects")
    run.store.write("objects/_cells.json", json.dumps({"zoom": 12}).encode())
    merge_job(run.store, run.plan)
    assert len(object_files(run.store)) > coarse
    assert rows() == few
    assert len({row["id"] for row in few}) == len(few)


@pytest.mark.parametrize("seed", [0, 1])
def test_failed_tiles_count_across_blocks_as_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    run = written(tmp_path, 2300)
    before = objects(run)
    draw = np.random.default_rng(seed)
    for ref in run.plan.chunks:
        fail_a_third(run, ref, draw)
    one = objects(run)
    assert one != before
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    assert objects(run) == one


def test_objects_of_adjacent_tiles_are_merged_across_blocks_as_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = written(tmp_path, 2300, overlap_px=0)
    one = objects(run)
    (table,) = (pq.read_table(run.store.path(name), partitioning=None) for name in object_files(run.store))
    assert max(table["n_fragments"].to_pylist()) > 2
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    assert objects(run) == one


def fail_a_third(run: SyntheticRun, ref: ChunkRef, draw: np.random.Generator) -> None:
    """Let a third of a chunk's tiles have failed."""
    name = ledger_name(QUERY.id, ref.chunk_id)
    rows = read_table(run.store, name).to_pylist()
    for row in rows:
        if draw.random() < 1 / 3:
            row |= {"status": "failed", "fragments": []}
    table = pa.Table.from_pylist(rows, schema=read_table(run.store, name).schema)
    pq.write_table(table, run.store.path(name))
