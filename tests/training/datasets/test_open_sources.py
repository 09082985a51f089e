"""Every layout opens by its name, and a folder of another layout is refused with the file it lacks."""

import pickle

import pytest

from training.datasets.errors import UnusableError
from training.datasets.open import SOURCES, read_examples
from training.datasets.options import Choices
from training.errors import DatasetError

LAYOUTS = {
    "practice": ["questions.json=", "truth.parquet=", "scenes"],
    "earthreason": ["test", "test/images", "test/labels", "test/QAs"],
    "rrsisd": ["rrsisd/refs(unc).p=", "rrsisd/instances.json=", "images/rrsisd/JPEGImages"],
    "refsegrs": ["output_phrase_test.txt=", "images", "masks"],
    "risbench": ["output_phrase_test.txt=", "img_rgb", "mask"],
}
"""What each must have, in the order it is looked for; `=` marks files."""


def test_every_source_is_listed():
    assert tuple(LAYOUTS) == SOURCES


@pytest.mark.parametrize(
    ("name", "missing"), [(name, part) for name, parts in LAYOUTS.items() for part in range(len(parts))]
)
def test_what_is_missing_is_named(tmp_path, name, missing):
    for number, part in enumerate(LAYOUTS[name]):
        path = tmp_path / part.rstrip("=")
        if number == missing or part.startswith(f"{LAYOUTS[name][missing]}/"):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("") if part.endswith("=") else path.mkdir(exist_ok=True)
    if name == "practice" and missing:
        (tmp_path / "questions.json").write_text('{"tank": {"ask": ["where?"]}}')
    if name == "practice" and missing == 2:
        pytest.importorskip("geopandas").GeoDataFrame(
            {"kind": [], "scene_id": []}, geometry=[], crs="OGC:CRS84"
        ).to_parquet(tmp_path / "truth.parquet")
    with pytest.raises(DatasetError) as caught:
        read_examples(name, tmp_path, split="test")
    assert str(tmp_path / LAYOUTS[name][missing].rstrip("=")) in str(caught.value)


@pytest.mark.parametrize("name", SOURCES)
def test_an_unknown_split_is_a_sentence(tmp_path, name):
    with pytest.raises(DatasetError, match="'testA' is unknown: give one of train, val, test"):
        read_examples(name, tmp_path, split="testA")


def test_an_unknown_name_or_folder_is_a_sentence(tmp_path):
    with pytest.raises(DatasetError, match="give one of practice, earthreason"):
        read_examples("coco", tmp_path, split="test")
    with pytest.raises(DatasetError, match="nowhere"):
        read_examples("rrsisd", tmp_path / "nowhere", split="test")
    with pytest.raises(DatasetError, match="tiles is 0"):
        Choices(tiles=0)


def test_names_reach_their_own_layout(tmp_path):
    for name, folders in (("refsegrs", ("images", "masks")), ("risbench", ("img_rgb", "mask"))):
        root = tmp_path / name
        for folder in folders:
            (root / folder).mkdir(parents=True)
        (root / "output_phrase_test.txt").write_text("1 a ship\n")
        assert read_examples(name, root, split="test").counts == {"no image": 1}


def test_errors_survive_pickling():
    again = pickle.loads(pickle.dumps(UnusableError("no mask")))
    assert type(again) is UnusableError
    assert str(again) == "no mask"
