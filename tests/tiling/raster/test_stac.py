"""Claim: assets and bands of a STAC item are found by key, name or role, in 1.0 and 1.1, or named missing."""

import pytest

from tiling.errors import SceneError
from tiling.raster.stac import ItemDocument, choose, self_address
from tiling.scene import Band
from tiling.storage.files import resolved_address

RED, GREEN, BLUE, NIR = (f"/data/B0{number}.tif" for number in (4, 3, 2, 8))

SENTINEL_1_0 = {
    "thumbnail": {"href": "/data/t.png", "roles": ["thumbnail"]},
    "B02": {"href": BLUE, "eo:bands": [{"name": "B02", "common_name": "blue"}]},
    "B03": {"href": GREEN, "eo:bands": [{"name": "B03", "common_name": "green"}]},
    "B04": {"href": RED, "eo:bands": [{"name": "B04", "common_name": "red"}], "raster:bands": [{"scale": 2}]},
    "B08": {"href": NIR, "eo:bands": [{"name": "B08", "common_name": "nir"}]},
}
SENTINEL_1_1 = {
    "nir": {"href": NIR, "bands": [{"name": "B08", "eo:common_name": "nir"}], "proj:code": "EPSG:1"},
    "r": {"href": RED, "bands": [{"name": "B04", "eo:common_name": "red"}]},
    "g": {"href": GREEN, "bands": [{"name": "B03", "eo:common_name": "green"}]},
    "b": {"href": BLUE, "bands": [{"name": "B02", "eo:common_name": "blue"}]},
}
NAIP = {
    "image": {
        "href": "/data/n.tif",
        "roles": ["data"],
        "eo:bands": [{"name": n, "common_name": n} for n in ("red", "green", "blue", "nir")],
    }
}
PLAIN = {"data": {"href": "/data/p.tif", "roles": ["image"]}}
PLANET = {"ortho": {"href": "/data/o.tif", "roles": ["analytic"]}, "udm": {"href": "/data/u.tif"}}


def chosen(assets: dict[str, object], wanted: tuple[str, ...] | None) -> tuple[Band, ...]:
    content: dict[str, object] = {"type": "Feature", "id": "x", "assets": assets, "properties": {}}
    return choose(ItemDocument("/stac/item.json", content), wanted=wanted).files


@pytest.mark.parametrize(
    ("assets", "wanted", "files"),
    [
        (SENTINEL_1_0, ("B08", "B04", "B03"), [(NIR, 1), (RED, 1), (GREEN, 1)]),
        (SENTINEL_1_0, ("b08", "red", "Green"), [(NIR, 1), (RED, 1), (GREEN, 1)]),
        (SENTINEL_1_0, ("nir",), [(NIR, 1)]),
        (SENTINEL_1_0, None, [(RED, 1), (GREEN, 1), (BLUE, 1)]),
        (SENTINEL_1_1, ("B08", "red", "g"), [(NIR, 1), (RED, 1), (GREEN, 1)]),
        (SENTINEL_1_1, None, [(RED, 1), (GREEN, 1), (BLUE, 1)]),
        (NAIP, ("nir", "red", "green"), [("/data/n.tif", 4), ("/data/n.tif", 1), ("/data/n.tif", 2)]),
        (NAIP, ("image",), [("/data/n.tif", 0)]),
        (PLAIN, ("data",), [("/data/p.tif", 0)]),
        (PLANET, ("analytic",), [("/data/o.tif", 0)]),
        (PLANET, ("udm",), [("/data/u.tif", 0)]),
    ],
)
def test_names_lead_to_files_and_bands(
    assets: dict[str, object], wanted: tuple[str, ...] | None, files: list[tuple[str, int]]
) -> None:
    assert chosen(assets, wanted) == tuple(Band(uri, index) for uri, index in files)


@pytest.mark.parametrize(
    ("assets", "wanted", "message"),
    [
        (SENTINEL_1_0, ("B04", "B99", "B02"), r"/stac/item.json: has no asset or band 'B99' .*B02, B03, B04"),
        (NAIP, ("image", "red", "green"), "no asset or band 'image'"),
        (PLAIN, None, r"no red, green and blue and no visual asset \(assets: data\).*--assets"),
        ({"a": {"roles": ["visual"]}}, ("a",), "no href"),
        ({f"B{k:02d}": {"href": "x"} for k in range(40)}, ("C",), r"B11 …\)"),
        ({}, ("red",), r"assets: none"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    assets: dict[str, object], wanted: tuple[str, ...] | None, message: str
) -> None:
    with pytest.raises(SceneError, match=message) as caught:
        chosen(assets, wanted)
    assert len(str(caught.value)) < 400


def test_what_is_no_item_is_refused() -> None:
    with pytest.raises(SceneError, match="not a STAC item"):
        choose(ItemDocument("x.json", {"type": "Catalog"}))


def test_an_item_lies_where_its_last_self_link_says_without_a_query() -> None:
    links = [{"rel": "self", "href": "https://old/x"}, {"rel": "self", "href": "https://new/x?token=1"}]
    assert self_address({"links": links}, fallback="f") == "https://new/x"
    assert self_address({"links": [{"rel": "self", "href": "./x.json"}]}, fallback="f") == "f"
    assert self_address({}, fallback="f") == "f"


@pytest.mark.parametrize(
    ("base", "href", "address"),
    [
        ("s3://b/stac/a/a.json", "../../a.tif", "s3://b/a.tif"),
        ("https://h/stac/a.json", "./a.tif", "https://h/stac/a.tif"),
        ("/data/stac/a.json", "../a.tif", "/data/a.tif"),
        ("stac/a.json", "a.tif", "stac/a.tif"),
        ("a.json", "./a.tif", "a.tif"),
        ("a.json", "s3://b/a.tif", "s3://b/a.tif"),
        ("s3://b/a.json", "/data/a.tif", "/data/a.tif"),
    ],
)
def test_relative_addresses_start_at_the_folder_of_the_document(base: str, href: str, address: str) -> None:
    assert resolved_address(base, href) == address
