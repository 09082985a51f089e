"""STAC around rasters: items, an ItemCollection, a catalog, and a real STAC API server on loopback.

The server is `rustac serve`, the in-memory STAC API of the stac-utils project: one wheel, no dependencies.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pystac
import pytest
import rasterio
import shapely
from rasterio.warp import transform_geom

COLLECTION = "drawn"
JsonItem = dict[str, object]


def item_of(path: Path, *, href: str | None = None, **properties: object) -> JsonItem:
    """A STAC 1.0 item of a raster: its stem as id, its own time, one asset `visual`."""
    with rasterio.open(path) as dataset:
        outline = shapely.box(*dataset.bounds)
        ground = transform_geom(dataset.crs, "EPSG:4326", shapely.geometry.mapping(outline))
        stamp = dataset.tags().get("TIFFTAG_DATETIME", "2024:05:01 10:00:00")
    day, clock = stamp.split(" ")
    shape = shapely.geometry.shape(ground)
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": path.stem,
        "collection": COLLECTION, "geometry": json.loads(shapely.to_geojson(shape)),
        "bbox": list(shape.bounds), "links": [],
        "properties": {"datetime": f"{day.replace(':', '-')}T{clock}Z", **properties},
        "assets": {
            "thumbnail": {"href": "./gone.png", "roles": ["thumbnail"], "type": "image/png"},
            "visual": {"href": href or str(path), "roles": ["visual"], "type": "image/tiff"},
        },
    }  # fmt: skip


def write_collection(file: Path, items: Sequence[Mapping[str, object]]) -> Path:
    """An ItemCollection in one file."""
    file.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}), "utf-8")
    return file


def write_catalog(folder: Path, items: Sequence[JsonItem]) -> Path:
    """A static catalog with one collection below it, linked by relative addresses."""
    catalog = pystac.Catalog("root", "a catalog of drawn scenes")
    extent = pystac.Extent(
        pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]])
    )
    collection = pystac.Collection(COLLECTION, "drawn scenes", extent)
    catalog.add_child(collection)
    collection.add_items([pystac.Item.from_dict(dict(item)) for item in items])
    catalog.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def stac_api(items_file: Path) -> Iterator[str]:
    """A STAC API over an ItemCollection file; yields its address and ends with the block."""
    pytest.importorskip("rustac", reason="rustac is not installed: pip install 'remotereasoner[dev]'")
    port = free_port()
    program = Path(sys.executable).with_name("rustac")
    command = [str(program), "serve", str(items_file), "--create-collections", "--addr", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/", process)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def wait_for(url: str, process: "subprocess.Popen[bytes]", *, seconds: float = 20.0) -> None:
    """Until an address answers, or the process behind it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(url, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer (the server's exit code: {process.poll()})")
