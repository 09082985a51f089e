"""The site's pages lead to one another; what has no page is named, not linked; what is wrong stays wrong."""

import importlib.util
from types import ModuleType

import pytest
import yaml

from tests.rooms import PACKAGES, ROOT, door


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The hook that puts the pages together."""
    for name in ("mkdocs", "nbformat"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / ".ci" / "site_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "given", "wanted"),
    [
        ("README.md", "![map](docs/demo.jpg)", "![map](demo.jpg)"),
        ("README.md", "[a](ARCHITECTURE.md#merge)", "[a](architecture.md#merge)"),
        ("docs/schema.md", "[a](../README.md)", "[a](index.md)"),
        ("examples/README.md", "[a](../docs/schema.md)", "[a](schema.md)"),
        ("README.md", "[the tests](tests/rooms.py)", "the tests"),
        ("README.md", "[a](docs/nothing.md)", "[a](docs/nothing.md)"),
        ("README.md", "[Ray](https://ray.io)", "[Ray](https://ray.io)"),
    ],
)
def test_links_lead_to_pages(pages: ModuleType, source: str, given: str, wanted: str) -> None:
    assert pages.linked(given, source) == wanted


def test_every_name_at_a_door_has_a_place(pages: ModuleType) -> None:
    found = dict(pages.code_pages())
    text = "\n".join(found.values())
    assert list(found) == [f"api/{name}.md" for name in ("remotereasoner", *PACKAGES)]
    for room in ("pipelines/jobs", "tiling/raster", "training"):
        for name, file in door(room).items():
            assert f"::: {file.removesuffix('.py').replace('/', '.')}.{name}" in text


def test_the_notebook_is_a_page_with_its_picture(pages: ModuleType) -> None:
    (name, picture), (page, text) = pages.notebook_files()
    assert page == "first_questions.md"
    assert f"]({name})" in text
    assert picture.startswith(b"\xff\xd8")
    assert "<style" not in text


def test_nothing_is_fetched_and_what_is_wrong_fails() -> None:
    text = (
        (ROOT / "mkdocs.yml").read_text("utf-8").replace("!!python/object/apply:pymdownx.slugs.slugify", "")
    )
    config = yaml.safe_load(text)
    assert config["theme"]["font"] is False
    assert config["strict"] is True
    assert set(config["validation"]["links"].values()) == {"warn"}
    assert "http" not in text
