"""Runs one way of merging the fragments of a synthetic run, or checks ours, in a process of its own.

`python -m benchmarks.merge_child WAY FOLDER FRAGMENTS` prints one JSON object. The seconds contain neither
imports nor, for ours, the start of Ray, which is reported separately. The alternatives begin and end with
data in memory; ours begins with the files of the ledger and ends with those of the dataset.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.merge import blocks
from pipelines.merge.job import merge_job
from pipelines.tables import cells
from pipelines.tables.ledger import ledger_name, read_answers
from tests.worlds.synthetic_run import QUERY, SyntheticRun, synthetic_run, verdict
from tiling.geo.polygon_array import bounds_of
from tiling.merge.fragment_table import FragmentTable

WARM_UP = 10_000
"""Fragments that are merged before anything is timed."""


def make(run: SyntheticRun) -> dict[str, float]:
    """Count the fragments and chunks of the run, which has been made before this call."""
    names = run.store.names("answers")
    lists = (_lists(Path(run.store.path(name))) for name in names)
    return {"fragments": sum(len(each.flatten()) for each in lists), "chunks": len(names)}


def ours(run: SyntheticRun) -> dict[str, float]:
    """Merge on Ray as a run does; its workers are warmed up with a few chunks, as after a run's chunks."""
    from pipelines.engine.ray_executor import RayExecutor
    from pipelines.engine.resources import Cluster

    folder = Path(run.store.root).parent
    small, executor = synthetic_run(folder, WARM_UP), RayExecutor(Cluster())
    began = time.perf_counter()
    with patch.object(blocks, "BLOCK_BYTES", 1), patch.object(cells, "CELL_BYTES", 200_000):
        merge_job(small.store, small.plan, executor)
    run.store.remove_folder("objects")
    ready = time.perf_counter()
    merge_job(run.store, run.plan, executor)
    return {"seconds": time.perf_counter() - ready, "start_s": ready - began}


def geopandas(run: SyntheticRun) -> dict[str, float]:
    """Merge by geopandas: a spatial join with itself, connected components, and a dissolve."""
    import geopandas as gpd
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    seen = _fragments(run)
    frame = gpd.GeoDataFrame(geometry=seen.outlines.shapes(), crs=run.plan.scenes[0].scene.crs)
    began = time.perf_counter()
    pairs = gpd.sjoin(frame, frame, predicate="intersects")
    ends = pairs.index.to_numpy(), pairs["index_right"].to_numpy()
    graph = coo_matrix((np.ones(len(pairs)), ends), shape=(len(frame), len(frame)))
    groups = connected_components(graph)[1]
    merged = frame.assign(group=groups).dissolve("group")
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "objects": len(merged), **_errors(seen, groups)}


def sahi(run: SyntheticRun) -> dict[str, float]:
    """Merge by SAHI: greedily by the boxes' intersection over the smaller box, as lists of indexes only."""
    from sahi.postprocess.combine import greedy_nmm

    seen = _fragments(run)
    columns = (bounds_of(seen.outlines), seen.score[:, None], np.zeros((len(seen), 1)))
    boxes = np.hstack(columns)
    took = []
    for _ in range(2):  # the first call imports torch if it is installed
        began = time.perf_counter()
        kept = greedy_nmm(boxes, "IOS", 0.5)
        took.append(time.perf_counter() - began)
    groups = np.arange(len(seen))
    for keep, merged in kept.items():
        groups[merged] = keep
    return {"seconds": took[0], "again_s": took[1], "objects": len(kept), **_errors(seen, groups)}


def _fragments(run: SyntheticRun) -> FragmentTable:
    names = [ledger_name(QUERY.id, ref.chunk_id) for ref in run.plan.chunks]
    return read_answers(run.store, names).fragments


def _errors(seen: FragmentTable, groups: NDArray[np.int64]) -> dict[str, float]:
    """Count true objects whose fragments are in several groups, and groups with several true objects.

    A true object is doubled if several groups hold a complete fragment of it, else it is cut.
    """
    _, true = np.unique(seen.label.astype(np.str_), return_inverse=True)
    places = np.unique(np.column_stack((true, groups)), axis=0)
    whole = np.unique(np.column_stack((true, groups))[~seen.truncated], axis=0)
    in_groups, as_whole = (np.bincount(each[:, 0], minlength=true.max() + 1) for each in (places, whole))
    objects_in_group = np.unique(places[:, 1], return_counts=True)[1]
    return {
        "true_objects": int(true.max() + 1),
        "cut": int(((in_groups > 1) & (as_whole <= 1)).sum()),
        "doubled": int(((in_groups > 1) & (as_whole > 1)).sum()),
        "glued": int((objects_in_group > 1).sum()),
    }


def _lists(path: Path) -> pa.ListArray:
    return pq.read_table(path, columns=["fragments"], partitioning=None).column("fragments").combine_chunks()


WAYS: dict[str, Callable[[SyntheticRun], dict[str, float]]] = {
    each.__name__: each for each in (make, ours, verdict, geopandas, sahi)
}

if __name__ == "__main__":
    way, folder, fragments = sys.argv[1:]
    print(json.dumps(WAYS[way](synthetic_run(Path(folder), int(fragments)))))
