"""collection.json: the STAC Collection whose presence means that the result is published. Knows no row."""

import json
from collections.abc import Sequence

import pyarrow as pa
import shapely

from pipelines.dataset import OBJECT_SCHEMA
from pipelines.plan import RULES_VERSION, Plan, scene_outline
from pipelines.plan_files import package_version
from pipelines.storage import Store

NAME = "collection.json"
_EXTENSIONS = (
    "https://stac-extensions.github.io/table/v1.2.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
)


def publish(store: Store, plan: Plan, *, files: Sequence[str], failed: int) -> None:
    """Write collection.json; the last act of a run.

    Args:
        store: the output folder.
        plan: the frozen plan.
        files: names of the object and text files.
        failed: tiles and questions that failed; above 0 the result is marked incomplete.

    Raises:
        OSError: the storage refuses.
    """
    store.write(NAME, json.dumps(_collection(plan, files, failed), indent=2, sort_keys=True).encode())


def withdraw(store: Store) -> None:
    """Take collection.json away before work starts."""
    store.remove([NAME])


def published_files(store: Store) -> list[str] | None:
    """Files the published collection names, None where nothing is published."""
    if not store.exists(NAME):
        return None
    assets = json.loads(store.read(NAME))["assets"]
    return sorted(str(asset["href"]).removeprefix("./") for asset in assets.values())


def published_failed(store: Store) -> int:
    """Failed tiles and questions that the published collection names, 0 where nothing is published."""
    return int(json.loads(store.read(NAME))["remotereasoner:failed"]) if store.exists(NAME) else 0


def _collection(plan: Plan, files: Sequence[str], failed: int) -> dict[str, object]:
    questions = "; ".join(query.text for query in plan.queries)
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "stac_extensions": list(_EXTENSIONS),
        "id": f"remotereasoner-{plan.job_id}",
        "title": questions,
        "description": f"Answers to: {questions}",
        "license": "other",
        "extent": {"spatial": {"bbox": _boxes(plan)}, "temporal": {"interval": [_interval(plan)]}},
        "links": [],
        "assets": {name.replace("/", "-"): _asset(name) for name in files},
        "table:columns": [{"name": field.name, "type": _type_name(field.type)} for field in OBJECT_SCHEMA],
        "table:primary_geometry": "geometry",
        "processing:software": {"remotereasoner": package_version()},
        "processing:lineage": f"reasoner {plan.reasoner.digest}, segmenter {plan.segmenter.digest}, "
        f"rules {RULES_VERSION}, {len(plan.scenes)} scenes",
        "remotereasoner:complete": failed == 0,
        "remotereasoner:failed": failed,
        "remotereasoner:run_id": plan.run_id,
    }


def _boxes(plan: Plan) -> list[list[float]]:
    bounds = shapely.total_bounds([scene_outline(item) for item in plan.scenes])
    return [[float(value) for value in bounds]]


def _interval(plan: Plan) -> list[str | None]:
    times = sorted(item.scene.datetime for item in plan.scenes if item.scene.datetime)
    return [times[0], times[-1]] if times else [None, None]


def _asset(name: str) -> dict[str, object]:
    return {"href": f"./{name}", "type": "application/vnd.apache.parquet", "roles": ["data"]}


def _type_name(kind: pa.DataType) -> str:
    return str(kind).replace("double", "float64")
