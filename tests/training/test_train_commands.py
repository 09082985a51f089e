"""Claim: training commands leave folders that load, do nothing twice and refuse wrong recipes in one line."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
import torch
import yaml
from safetensors.torch import load_file

from reasoner.answer import TileView
from reasoner.loading import load_reasoner, load_segmenter
from reasoner.query import Query
from tests.commands import assert_refused, command, tree
from tests.reasoner.checkpoints import save_qwen2_5, save_qwen3
from tests.training.tiny import GRPO, POOL, SEGMENTER, SFT, write_recipe
from tests.worlds.practice import write_tiled

HERE = ("--in-process", "--json")
VIEW = TileView(np.zeros((64, 64, 3), np.uint8), key="")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Practice scenes of these tests lie in a folder of their own."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random reasoner that GRPO may start from."""
    return save_qwen3(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command says of a trained segmenter."""
    folder = tmp_path_factory.mktemp("segmenter")
    return train(
        "segmenter", write_recipe(folder / "recipe.yaml", SEGMENTER), folder / "out", "--max-steps", "2"
    )


def train(what: str, recipe: Path, out: Path, *options: str) -> dict[str, Any]:
    """What a training says on stdout, which is one JSON object and nothing else."""
    done = command("train", what, str(recipe), "--out", str(out), *HERE, *options)
    assert done.code == 0, done.err
    result: dict[str, Any] = json.loads(done.out)
    assert result.keys() == {"checkpoint", "steps", "metrics"}
    assert result["checkpoint"] == str(out / "checkpoint")
    assert {"log.csv", "curve.png"} <= {path.name for path in (out / "log").iterdir()}
    assert len((out / "log" / "log.csv").read_text().splitlines()) == result["steps"] + 1
    return result


def test_sft_leaves_a_reasoner_that_answers_and_is_not_trained_twice(tmp_path: Path, own_cache: Path) -> None:
    recipe, out = write_recipe(tmp_path / "sft.yaml", SFT), tmp_path / "out"
    result = train("sft", recipe, out, "--max-steps", "3")
    assert result["steps"] == 3
    assert result["metrics"]["loss"] > 0
    assert list((own_cache / "remotereasoner" / "pools").iterdir())
    reasoner = load_reasoner(result["checkpoint"], device="cpu")
    ((completion,),) = reasoner.generate([VIEW], [Query("find all ships")])
    assert completion.n_tokens > 0
    before = tree(out)
    assert train("sft", recipe, out, "--max-steps", "3") == result
    assert tree(out) == before
    assert train("sft", recipe, out)["steps"] == SFT["dense_steps"] + SFT["steps"]


def test_an_out_that_holds_another_model_is_refused_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    train("sft", write_recipe(tmp_path / "sft.yaml", SFT), out, "--max-steps", "2")
    kept = tree(out / "checkpoint")
    wider = write_recipe(tmp_path / "wider.yaml", SFT, shape={**SFT["shape"], "width": 96})
    result = command("train", "sft", str(wider), "--out", str(out), *HERE)
    assert_refused(result, ["does not fit this recipe", "start in a new out"])
    assert tree(out / "checkpoint") == kept


def test_a_segmenter_is_left_that_segments(segmenter: dict[str, Any]) -> None:
    assert segmenter["steps"] == 2
    assert 0 <= segmenter["metrics"]["check_practice"] <= 1
    assert load_segmenter(segmenter["checkpoint"], device="cpu")


def test_grpo_leaves_a_reasoner_and_is_not_trained_twice(
    tmp_path: Path, policy: Path, segmenter: dict[str, Any]
) -> None:
    weights = {"format": 1.0, "repetition": 1.0, "mask": 0.5}
    recipe = write_recipe(
        tmp_path / "grpo.yaml", GRPO, model=str(policy), weights=weights, segmenter=segmenter["checkpoint"]
    )
    out = tmp_path / "out"
    result = train("grpo", recipe, out)
    assert result["steps"] == 1
    assert 0 <= result["metrics"]["reward"] <= 1
    assert load_reasoner(result["checkpoint"], device="cpu")
    before = tree(out)
    assert train("grpo", recipe, out) == result
    assert tree(out) == before


def test_a_dry_run_prints_steps_and_a_prompt_and_writes_nothing(tmp_path: Path, policy: Path) -> None:
    recipe = write_recipe(tmp_path / "grpo.yaml", GRPO, model=str(policy), max_steps=3)
    before = tree(tmp_path)
    result = command("train", "grpo", str(recipe), "--dry-run")
    assert result.code == 0, result.err
    assert "steps" in result.out
    report = json.loads(command("train", "grpo", str(recipe), "--dry-run", "--json", "--max-steps", "2").out)
    assert report["steps"] == 2
    assert report["prompt"]["text"]
    assert report["prompt"]["text"] in result.out
    assert tree(tmp_path) == before


def test_shipping_halves_the_weights_and_keeps_the_model(tmp_path: Path, segmenter: dict[str, Any]) -> None:
    result = command("train", "ship", segmenter["checkpoint"], "--out", str(tmp_path / "small"))
    assert result.code == 0, result.err
    whole = load_file(Path(segmenter["checkpoint"]) / "model.safetensors")
    half = load_file(tmp_path / "small" / "model.safetensors")
    assert {value.dtype for value in half.values()} == {torch.float16}
    for name, value in whole.items():
        torch.testing.assert_close(half[name].float(), value, rtol=1e-3, atol=1e-6)
    assert load_segmenter(str(tmp_path / "small"), device="cpu")


def test_shipping_nothing_is_refused(tmp_path: Path) -> None:
    result = command("train", "ship", str(tmp_path / "none"), "--out", str(tmp_path / "small"))
    assert_refused(result, ["none", "model.safetensors"])
    assert tree(tmp_path) == {}


Case = tuple[str, Mapping[str, object], list[str], list[str]]
"""What to train, the recipe's fields, further options, and the words of the refusal."""


def an_unknown_key(folder: Path) -> Case:
    return "sft", {**SFT, "shape": {"tile": 64}}, [], ["shape.tile", "tile_px"]


def a_wrong_value_in_the_pool(folder: Path) -> Case:
    return "sft", {**SFT, "pool": {"scenes": "many"}}, [], ["pool.scenes", "integer"]


def a_wrong_count(folder: Path) -> Case:
    return "segmenter", {**SEGMENTER, "threads": "many"}, [], ["threads", "integer"]


def a_batch_of_none(folder: Path) -> Case:
    return "sft", {**SFT, "batch": 0}, [], ["batch 0"]


def a_pool_too_small_to_check_on(folder: Path) -> Case:
    return "segmenter", {**SEGMENTER, "pool": {**POOL, "scenes": 4}}, [], ["pool.scenes 4", "more than"]


def a_folder_that_is_not_there(folder: Path) -> Case:
    return "sft", {**SFT, "real": {"root": str(folder / "none")}}, [], ["neon-trees", f"{folder}/none"]


def real(folder: Path, labels: str) -> dict[str, object]:
    """Labelled scenes of one set, described in a file of its own."""
    sets = {
        "format": "polygons",
        "root": ".",
        "images": "*.tif",
        "labels": labels,
        "kind": "building",
        "scale": 1,
    }
    (folder / "sets.yaml").write_text(yaml.safe_dump({"roofs": sets}), "utf-8")
    write_tiled(folder / "scene.tif")
    return {"root": str(folder), "sets": f"{folder}/sets.yaml"}


def a_set_without_its_labels(folder: Path) -> Case:
    return "sft", {**SFT, "real": real(folder, "roofs.parquet")}, [], ["roofs", "roofs.parquet", str(folder)]


def labels_without_crs(folder: Path) -> Case:
    frame = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 9, 9)])
    frame.to_parquet(folder / "roofs.parquet")
    return (
        "segmenter",
        {**SEGMENTER, "real": real(folder, "*.parquet")},
        [],
        ["roofs.parquet", "no CRS", "set_crs"],
    )


def a_weight_of_an_unknown_set(folder: Path) -> Case:
    fields = {**SFT, "real": {"root": str(folder), "weights": {"moon": 1}}}
    return "sft", fields, [], ["real.weights", "moon", "ships"]


def workers_that_cannot_share_a_batch(folder: Path) -> Case:
    return "sft", SFT, ["--workers", "3"], ["batch of 4", "3 workers"]


def no_workers(folder: Path) -> Case:
    return "segmenter", SEGMENTER, ["--workers", "0"], ["0 workers"]


def a_start_of_another_architecture(folder: Path) -> Case:
    save_qwen2_5(folder / "other")
    return "sft", {**SFT, "start": f"{folder}/other"}, [], ["start", "qwen2_5_vl", "qwen3_vl"]


def a_start_of_other_sizes(folder: Path) -> Case:
    return "sft", {**SFT, "start": "nano"}, [], ["start", "hidden_size 128", "48"]


def a_segmenter_of_other_sizes(folder: Path) -> Case:
    return "segmenter", {**SEGMENTER, "start": "nano"}, [], ["start", "image_size 128", "64"]


def a_start_that_is_not_there(folder: Path) -> Case:
    return "segmenter", {**SEGMENTER, "start": f"{folder}/none"}, [], [f"{folder}/none"]


def no_steps(folder: Path) -> Case:
    return "sft", SFT, ["--max-steps", "0"], ["max_steps is 0", "at least 1"]


def slices_that_do_not_divide(folder: Path) -> Case:
    return "grpo", {**GRPO, "model": "nano", "grad_accum": 3}, [], ["grad_accum 3", "use 2"]


def no_workers_for_a_group(folder: Path) -> Case:
    return "grpo", {**GRPO, "model": "nano"}, ["--workers", "0"], ["workers 0"]


def a_dataset_of_another_layout(folder: Path) -> Case:
    data = {"format": "earthreason", "root": str(folder)}
    return "grpo", {**GRPO, "model": "nano", "tiles": None, "data": data}, [], [str(folder), "train"]


def a_model_that_is_not_there(folder: Path) -> Case:
    return "grpo", {**GRPO, "model": f"{folder}/none"}, [], [f"{folder}/none"]


def a_segmenter_that_is_not_there(folder: Path) -> Case:
    fields = {**GRPO, "model": "nano", "weights": {"mask": 1}, "segmenter": f"{folder}/none"}
    return "grpo", fields, [], [f"{folder}/none"]


def too_few_questions(folder: Path) -> Case:
    return "grpo", {**GRPO, "model": "nano", "prompts_per_step": 9}, [], ["4 questions", "prompts_per_step"]


BAD: tuple[Callable[[Path], Case], ...] = (
    an_unknown_key, a_wrong_value_in_the_pool, a_wrong_count, a_batch_of_none, a_pool_too_small_to_check_on,
    a_folder_that_is_not_there, a_set_without_its_labels, labels_without_crs, a_weight_of_an_unknown_set,
    workers_that_cannot_share_a_batch, no_workers, a_start_of_another_architecture, a_start_of_other_sizes,
    a_segmenter_of_other_sizes, a_start_that_is_not_there, no_steps, slices_that_do_not_divide,
    no_workers_for_a_group, a_dataset_of_another_layout, a_model_that_is_not_there,
    a_segmenter_that_is_not_there, too_few_questions,
)  # fmt: skip


@pytest.mark.parametrize("place", [[], ["--in-process"]], ids=["ray", "here"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.__name__)
def test_a_wrong_training_costs_one_sentence(
    bad: Callable[[Path], Case], place: list[str], tmp_path: Path
) -> None:
    what, fields, options, words = bad(tmp_path)
    recipe = write_recipe(tmp_path / "recipe.yaml", fields)
    before, out = tree(tmp_path), tmp_path / "out"
    assert_refused(command("train", what, str(recipe), "--out", str(out), *place, *options), words)
    assert not out.exists()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("content", [None, b"a: [\nb", b"\xff\xfe\x00\x81", b"[1]"])
@pytest.mark.parametrize("what", ["sft", "segmenter", "grpo"])
def test_what_is_no_recipe_costs_one_sentence(what: str, content: bytes | None, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    if content is not None:
        recipe.write_bytes(content)
    assert_refused(command("train", what, str(recipe), "--out", str(tmp_path / "out")), ["recipe.yaml"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", ["sft", "segmenter", "grpo"])
def test_a_missing_out_is_reported(what: str, tmp_path: Path, policy: Path) -> None:
    fields = {"sft": SFT, "segmenter": SEGMENTER, "grpo": {**GRPO, "model": str(policy)}}[what]
    result = command("train", what, str(write_recipe(tmp_path / "recipe.yaml", fields)))
    assert result.code == 2
    assert "--out" in result.err
