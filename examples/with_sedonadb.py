"""Objects and area per question, of those whose outline touches a box: `with_sedonadb.py OUT W S E N`."""

import os
import sys

import sedona.db
from fsspec.core import url_to_fs

out, west, south, east, north = sys.argv[1], *map(float, sys.argv[2:6])
files, folder = url_to_fs(out)
found = sorted(files.glob(f"{folder}/objects/query=*/cell=*/objects.parquet"))
options: dict[str, object] = {}
if "://" in out:  # SedonaDB has an S3 client of its own, which is told the address of the store
    found = [f"{out.split('://')[0]}://{name}" for name in found]
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    options = {"aws.endpoint": endpoint, "aws.allow_http": "true"} if endpoint else {}

context = sedona.db.connect()
context.read_parquet(found, options=options, partitioning=[]).to_view("objects")
box = f"POLYGON(({west} {south}, {east} {south}, {east} {north}, {west} {north}, {west} {south}))"
rows = context.sql(
    f"""
    SELECT query, count(*) AS n, sum(area_m2) AS area FROM objects
    WHERE ST_Intersects(geometry, ST_SetCRS(ST_GeomFromText('{box}'), 'OGC:CRS84'))
    GROUP BY query ORDER BY query
    """
).to_pandas()
for row in rows.itertuples():
    print(f"{row.query}\t{row.n}\t{row.area:.6f}")
