"""Objects and area per question, of those whose covering box touches a box: `with_duckdb.py OUT W S E N`."""

import sys

import duckdb
from fsspec.core import url_to_fs

out, west, south, east, north = sys.argv[1], *map(float, sys.argv[2:6])
files, folder = url_to_fs(out)
found = sorted(files.glob(f"{folder}/objects/query=*/cell=*/objects.parquet"))
if "://" in out:  # DuckDB reads object storage through fsspec, without an extension
    duckdb.register_filesystem(files)
    found = [f"{out.split('://')[0]}://{name}" for name in found]

# hive_partitioning=false: the folder's name would take the place of the column `query`.
objects = duckdb.read_parquet(found, hive_partitioning=False)
rows = duckdb.execute(
    """
    SELECT query, count(*), sum(area_m2) FROM objects
    WHERE bbox.xmin <= ? AND bbox.xmax >= ? AND bbox.ymin <= ? AND bbox.ymax >= ?
    GROUP BY query ORDER BY query
    """,
    [east, west, north, south],
).fetchall()
for query, count, area in rows:
    print(f"{query}\t{count}\t{area:.6f}")
