"""A model's name says where the model is, and every part of the product reads it the same way."""

from pathlib import Path

import pytest

from reasoner.model_name import ModelKind, ModelName


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("nano", ModelKind.NANO),
        ("null", ModelKind.NULL),
        ("oracle:s3://bucket/truth.parquet", ModelKind.ORACLE),
        ("http://localhost:1/v1#m", ModelKind.SERVED),
        ("https://host/v1", ModelKind.SERVED),
        ("s3://bucket/model", ModelKind.BUCKET),
        ("Qwen/Qwen3-VL-8B-Instruct", ModelKind.HUB),
        ("no such name", ModelKind.HUB),
        ("oracle", ModelKind.HUB),
        ("", ModelKind.HUB),
    ],
)
def test_a_name_says_where_its_model_is(text: str, kind: ModelKind) -> None:
    assert ModelName.parse(text) == ModelName(text, kind)
    assert str(ModelName.parse(text)) == text


def test_files_and_folders_are_local_but_for_the_names_of_built_in_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("nano", "null", "mine", "sam_vit_b.pth"):
        (tmp_path / name).mkdir()
    assert [ModelName.parse(name).kind for name in ("nano", "null", "mine", "sam_vit_b.pth")] == [
        ModelKind.NANO,
        ModelKind.NULL,
        ModelKind.LOCAL,
        ModelKind.LOCAL,
    ]
    assert ModelName.parse("mine").path == Path("mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ModelName.parse("~/mine").path == tmp_path / "mine"
    assert ModelName.parse("nano").path is None


def test_the_parts_of_a_name_are_those_it_was_made_of() -> None:
    oracle = ModelName.oracle("data/truth.parquet")
    assert (oracle.truth, ModelName.parse(oracle.text)) == ("data/truth.parquet", oracle)
    served = ModelName.parse("http://localhost:1/v1/#Qwen/Qwen3-VL")
    assert served.endpoint == ("http://localhost:1/v1", "Qwen/Qwen3-VL")
    assert ModelName.parse("http://localhost:1/v1").endpoint is None
    assert ModelName.parse("s3://bucket/model#x").endpoint is None
    assert ModelName.parse("nano").truth is None


def test_only_null_oracle_and_served_models_have_no_local_weights() -> None:
    names = ("null", "oracle:t.parquet", "http://h/v1#m", "nano", "a/b", "s3://b/m", ".")
    assert [ModelName.parse(name).is_weightless for name in names] == [True] * 3 + [False] * 4
