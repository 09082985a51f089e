"""Objects and area per question, of those whose outline touches a box: `with_geopandas.py OUT W S E N`."""

import sys

import geopandas
import pandas
import shapely
from fsspec.core import url_to_fs

out, west, south, east, north = sys.argv[1], *map(float, sys.argv[2:6])
files, folder = url_to_fs(out)
found = sorted(files.glob(f"{folder}/objects/query=*/cell=*/objects.parquet"))

# bbox= leaves out the row groups, and then the rows, whose covering box is elsewhere.
box = (west, south, east, north)
columns = ["query", "area_m2", "geometry"]
parts = [geopandas.read_parquet(name, columns=columns, bbox=box, filesystem=files) for name in found]
objects = pandas.concat(parts, ignore_index=True)
objects = objects[objects.intersects(shapely.box(*box))]
for query, group in objects.groupby("query"):
    print(f"{query}\t{len(group)}\t{group['area_m2'].sum():.6f}")
