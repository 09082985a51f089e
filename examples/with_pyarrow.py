"""Objects and area per question, of those whose covering box touches a box: `with_pyarrow.py OUT W S E N`."""

import sys

import pyarrow.compute as pc
import pyarrow.dataset as ds
from fsspec.core import url_to_fs

out, west, south, east, north = sys.argv[1], *map(float, sys.argv[2:6])
files, folder = url_to_fs(out)
found = sorted(files.glob(f"{folder}/objects/query=*/cell=*/objects.parquet"))

objects = ds.dataset(found, filesystem=files, format="parquet")
inside = (
    (pc.field("bbox", "xmin") <= east)
    & (pc.field("bbox", "xmax") >= west)
    & (pc.field("bbox", "ymin") <= north)
    & (pc.field("bbox", "ymax") >= south)
)
table = objects.to_table(columns=["query", "area_m2"], filter=inside)
totals = table.group_by("query").aggregate([("area_m2", "count"), ("area_m2", "sum")]).sort_by("query")
for row in totals.to_pylist():
    print(f"{row['query']}\t{row['area_m2_count']}\t{row['area_m2_sum']:.6f}")
