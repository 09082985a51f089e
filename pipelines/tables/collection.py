"""collection.json: the STAC Collection of a result, whose presence means that the result is published."""

import json
from collections.abc import Sequence
from datetime import datetime

import pystac
import shapely

from pipelines.plan import RULES_VERSION, Plan, package_version, scene_outline
from pipelines.tables.changes import CHANGES
from pipelines.tables.objects import OBJECTS, instant, item_name, object_files
from pipelines.tables.stac_items import ITEM_FILE, PARQUET, table_columns
from pipelines.tables.texts import TEXTS
from tiling.geo import LONLAT
from tiling.storage import Store

COLLECTION_FILE = "collection.json"
_EXTENSIONS = (
    "https://stac-extensions.github.io/table/v1.2.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
)


def publish(store: Store, plan: Plan, *, files: Sequence[str], failed: int) -> None:
    """Write collection.json; the last step of a run.

    Args:
        store: the output folder.
        plan: the frozen plan.
        files: names of the object and text files.
        failed: tiles and questions that failed; above 0 the result is marked incomplete.

    Raises:
        OSError: the storage refuses.
    """
    items = _items(store, files)
    record = _collection(plan, files, failed=failed, items=items).to_dict(
        include_self_link=False, transform_hrefs=False
    )
    store.write(COLLECTION_FILE, json.dumps(record, indent=2, sort_keys=True).encode())


def withdraw(store: Store) -> None:
    """Delete collection.json before published files change."""
    store.remove([COLLECTION_FILE])


def published_files(store: Store) -> list[str] | None:
    """Files that the published collection names, None if nothing is published."""
    if not store.exists(COLLECTION_FILE):
        return None
    assets = json.loads(store.read(COLLECTION_FILE))["assets"]
    return sorted(str(asset["href"]).removeprefix("./") for asset in assets.values())


def result_files(store: Store) -> list[str]:
    """Names of all files that a published result is made of."""
    return [*object_files(store), *store.names(TEXTS), *store.names(CHANGES)]


def missing_files(store: Store, files: Sequence[str]) -> list[str]:
    """The files, of these files of a result, that do not exist, sorted; each folder is listed once."""
    folders = sorted({name.split("/")[0] for name in files})
    return sorted(set(files) - {name for folder in folders for name in store.names(folder)})


def published_failed(store: Store) -> int:
    """Number of failed tiles and questions in the published collection, 0 if nothing is published."""
    return (
        int(json.loads(store.read(COLLECTION_FILE))["remotereasoner:failed"])
        if store.exists(COLLECTION_FILE)
        else 0
    )


def _items(store: Store, files: Sequence[str]) -> list[str]:
    """Names of the STAC Items of these files; items of files that no longer exist are deleted."""
    there = {name for name in store.names(OBJECTS) if name.endswith(f"/{ITEM_FILE}")}
    wanted = {item_name(name) for name in files if name.startswith(f"{OBJECTS}/")}
    store.remove(sorted(there - wanted))
    return sorted(there & wanted)


def _collection(plan: Plan, files: Sequence[str], *, failed: int, items: Sequence[str]) -> pystac.Collection:
    questions = "; ".join(query.text for query in plan.queries)
    found = pystac.Collection(
        id=f"remotereasoner-{plan.job_id}",
        title=questions,
        description=f"Answers to: {questions}",
        license="other",
        extent=pystac.Extent(pystac.SpatialExtent(_boxes(plan)), _interval(plan)),
        stac_extensions=list(_EXTENSIONS),
        providers=[_maker(plan)],
        summaries=pystac.Summaries({"proj:code": [LONLAT]}),
        extra_fields=_facts(plan, failed),
    )
    found.assets = {name.replace("/", "-"): _asset(name) for name in files}
    found.clear_links()  # the collection is its own root
    for name in items:
        found.add_link(pystac.Link("item", f"./{name}", media_type="application/geo+json"))
    return found


def _facts(plan: Plan, failed: int) -> dict[str, object]:
    return {
        "table:columns": table_columns(),
        "table:primary_geometry": "geometry",
        "remotereasoner:complete": failed == 0,
        "remotereasoner:failed": failed,
        "remotereasoner:run_id": plan.run_id,
    }


def _maker(plan: Plan) -> pystac.Provider:
    """The provider that processed the data, with the software and the lineage."""
    lineage = (
        f"reasoner {plan.reasoner.digest}, segmenter {plan.segmenter.digest}, "
        f"rules {RULES_VERSION}, {len(plan.scenes)} scenes"
    )
    facts = {"processing:software": {"remotereasoner": package_version()}, "processing:lineage": lineage}
    return pystac.Provider("remotereasoner", roles=[pystac.ProviderRole.PROCESSOR], extra_fields=facts)


def _boxes(plan: Plan) -> list[list[float]]:
    bounds = shapely.total_bounds([scene_outline(item) for item in plan.scenes])
    return [[float(value) for value in bounds]]


def _interval(plan: Plan) -> pystac.TemporalExtent:
    times = sorted(time for item in plan.scenes if (time := instant(item.scene.datetime)))
    ends: list[datetime | None] = [times[0], times[-1]] if times else [None, None]
    return pystac.TemporalExtent([ends])


def _asset(name: str) -> pystac.Asset:
    return pystac.Asset(f"./{name}", media_type=PARQUET, roles=["data"])
