"""What the texts of the STAC extensions in use require of a record, as JSON Schema in our own words.

The published schemas are fetched by validators and are in no package; these say the same of the fields that
are used, and refuse fields of an extension that they do not know. Source: the READMEs of stac-extensions'
table 1.2.0, projection 2.0.0, processing 1.2.0 and file 2.1.0.
"""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft7Validator

Schema = dict[str, Any]
TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}


def _only(prefix: str, fields: Schema, **more: Any) -> Schema:
    """Fields of one extension, and nothing else that begins like them."""
    return {
        "type": "object",
        "properties": fields,
        "patternProperties": {f"^(?!{prefix}:)": {}},
        "additionalProperties": False,
        **more,
    }


_COLUMN = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": TEXT, "type": TEXT, "description": TEXT},
    "additionalProperties": False,
}
_TABLE = {
    "table:columns": {"type": "array", "minItems": 1, "items": _COLUMN},
    "table:primary_geometry": TEXT,
    "table:row_count": COUNT,
    "table:storage_options": {"type": "object"},
}
_PROJECTION = {
    "proj:code": {"type": ["string", "null"], "pattern": "^[A-Z]+:[0-9A-Za-z]+$"},
    "proj:bbox": {"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "number"}},
}
_PROCESSING = {
    "processing:software": {"type": "object", "minProperties": 1, "additionalProperties": TEXT},
    "processing:lineage": TEXT,
}
_FILE = {"file:size": COUNT, "file:checksum": {"type": "string", "pattern": "^([0-9a-f]{2})+$"}}
_NEEDS_COLUMNS = {"required": ["table:columns"]}


def _assets(prefix: str, fields: Schema) -> Schema:
    return {"properties": {"assets": {"additionalProperties": _only(prefix, fields)}}}


_PROVIDERS = {
    "type": "array",
    "contains": {
        "required": ["roles", "processing:software"],
        "properties": {"roles": {"contains": {"enum": ["producer", "processor"]}}},
    },
    "items": _only("processing", _PROCESSING),
}
RULES: Mapping[tuple[str, str], list[Schema]] = {
    ("Feature", "table/v1.2.0"): [
        {"properties": {"properties": _only("table", _TABLE, **_NEEDS_COLUMNS)}},
        _assets("table", _TABLE),
    ],
    ("Collection", "table/v1.2.0"): [_only("table", _TABLE, **_NEEDS_COLUMNS), _assets("table", _TABLE)],
    ("Feature", "projection/v2.0.0"): [
        {"properties": {"properties": _only("proj", _PROJECTION)}},
        _assets("proj", _PROJECTION),
    ],
    ("Collection", "projection/v2.0.0"): [_assets("proj", _PROJECTION)],
    ("Collection", "processing/v1.2.0"): [
        {"required": ["providers"], "properties": {"providers": _PROVIDERS}},
        _assets("processing", _PROCESSING),
        _only("processing", {}),
    ],
    ("Feature", "file/v2.1.0"): [_assets("file", _FILE)],
}
"""By kind of record and extension."""


def broken_rules(record: Mapping[str, Any]) -> list[str]:
    """What a record breaks of the extensions it names; an extension without rules here is one too."""
    broken = []
    for address in record["stac_extensions"]:
        name = "/".join(address.split("/")[-3:-1])
        rules = RULES.get((record["type"], name))
        if rules is None:
            broken.append(f"no rules for {name} in a {record['type']}")
            continue
        for rule in rules:
            broken += [f"{name}: {error.message}" for error in Draft7Validator(rule).iter_errors(record)]
    return broken
