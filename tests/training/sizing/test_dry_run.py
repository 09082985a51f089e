"""Claim: a dry run reads the data, builds the model and says what training would take, or why it cannot."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import TypeAdapter

import training
from reasoner.errors import ModelError
from reasoner.profiles import QWEN3_VL, REMOTEREASONER, THINK2SEG
from reasoner.query import Query, Task
from training.data.examples import ArrayImage, Example, FileImage, Problem, Reading
from training.datasets.open import read_examples
from training.errors import DatasetError, RecipeError
from training.rl.batches import Batches
from training.rl.grpo_recipe import GrpoRecipe, LoraRecipe
from training.sizing.architectures import config_file
from training.sizing.dry import DryRunRequest, dry_run, request_of
from training.sizing.prompt_text import prompt_text, text_tokens

REFERENCE = Path(training.__file__).parent / "recipes" / "remotereasoner-7b-grpo.yaml"
QUESTION = "Where could a helicopter land?"


def example(height: int, width: int, *, number: int = 0, text: str = QUESTION) -> Example:
    return Example(
        id=f"tile-{number}",
        source="drawn",
        place=str(number),
        query=Query(text),
        size=(height, width),
        boxes=np.array([[1.0, 2.0, 30.0, 40.0]]),
        picture=ArrayImage(np.zeros((height, width, 3), np.uint8)),
    )


def reading(count: int = 6, *, size: tuple[int, int] = (128, 128)) -> Reading:
    return Reading(tuple(example(*size, number=number) for number in range(count)))


def nano(**changed: object) -> DryRunRequest:
    fields: dict[str, object] = {"model": "nano", "reading": reading(), "batches": Batches(4, 4), **changed}
    return DryRunRequest(**fields)  # type: ignore[arg-type]


@pytest.fixture
def earthreason(tmp_path: Path) -> Path:
    """Two usable images of a training split and one without a mask."""
    for folder in ("images", "labels", "QAs"):
        (tmp_path / "train" / folder).mkdir(parents=True)
    for number, (height, width) in enumerate([(900, 1200), (300, 200), (64, 64)]):
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(
            tmp_path / "train" / "images" / f"{number}.png"
        )
        asked = {"questions": [f"{QUESTION} {number}"], "answer": ["there"]}
        (tmp_path / "train" / "QAs" / f"{number}.json").write_text(json.dumps(asked))
    for number, (height, width) in enumerate([(900, 1200), (300, 200)]):
        mask = np.zeros((height, width), np.uint8)
        mask[10:50, 20:100] = 255
        Image.fromarray(mask).save(tmp_path / "train" / "labels" / f"{number}.png")
    return tmp_path


def test_the_reference_recipe_is_checked_end_to_end(earthreason: Path):
    fields = yaml.safe_load(REFERENCE.read_text()) | {"workers": 1}
    recipe = TypeAdapter(GrpoRecipe).validate_python(fields)
    report = dry_run(request_of(recipe, read_examples("earthreason", earthreason, split="train")))
    assert report.parameters == 8_292_166_656
    assert report.trainable == 28 * 8 * (2 * 7168 + 2 * (3584 + 512) + 3 * (3584 + 18944))
    assert report.share == report.trainable / (report.parameters + report.trainable)
    # 1200 × 900 is above 802,816 pixels: 36 × 27 tokens of 28 pixels
    assert report.prompt.resized == (756, 1008)
    assert report.image_tokens == 36 * 27
    assert (report.examples, report.steps) == (2, 2 * 24)
    assert sum(report.problems.values()) == 1
    assert report.prompt.boxes == ((20.0, 10.0, 100.0, 50.0),)
    assert report.fits
    assert report.prompt.text == prompt_text(REMOTEREASONER, Query(f"{QUESTION} 0"))
    for line in ("steps        48", "data         2 questions, 1 problems", "  fits 80 GB"):
        assert line in report.lines()


def test_the_report_is_json_with_every_term(earthreason: Path):
    report = dry_run(
        nano(reading=read_examples("earthreason", earthreason, split="train"), batches=Batches(2, 2))
    )
    stated = json.loads(json.dumps(report.as_dict()))
    assert stated["memory_gb"]["total"] == pytest.approx(report.footprint.total / 1e9)
    assert stated["trainable"] == stated["parameters"] == report.trainable
    assert stated["trainable_share"] == 1
    assert stated["problems"] == dict(report.problems)
    assert stated["prompt"]["boxes"] == [[20.0, 10.0, 100.0, 50.0]]
    assert QUESTION.lower() in stated["prompt"]["text"]


def test_a_square_of_896_pixels_is_1024_tokens_and_the_largest_image_counts():
    request = nano(
        model="Qwen/Qwen2.5-VL-3B-Instruct",
        architecture="qwen2.5-vl-3b",
        profile="remotereasoner",
        reading=Reading((example(224, 224), example(896, 896, number=1))),
        batches=Batches(2, 2),
    )
    assert dry_run(request).image_tokens == 1024
    halved = dry_run(dataclasses.replace(request, reading=reading(1, size=(896, 896)), max_pixels=448 * 448))
    assert (halved.image_tokens, halved.prompt.resized) == (256, (448, 448))


def test_longer_questions_and_completions_need_more():
    words = dry_run(nano()).prompt_tokens
    longer = Reading((*reading().examples, example(128, 128, number=9, text="which " * 200)))
    assert dry_run(nano(reading=longer)).prompt_tokens > words + 300
    small, large = (dry_run(nano(max_completion=n)).footprint.total for n in (100, 1000))
    assert large > small


def test_a_group_that_does_not_divide_the_batch_is_refused_with_what_would():
    with pytest.raises(RecipeError, match=r"group 4 does not divide .* use a group of 3 or 6 or"):
        nano(batches=Batches(4, 6))
    with pytest.raises(RecipeError, match="give at least 2"):
        nano(batches=Batches(1, 4))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "qwen9"}, "no architecture 'qwen9'"),
        ({"lora": LoraRecipe(targets=("query",))}, "lora.targets query"),
        ({"reading": reading(3), "batches": Batches(4, 16)}, "3 questions are fewer than the 4"),
        ({"max_pixels": 1000}, "max_pixels 1000: profile nano makes no image below 16384"),
        ({"reading": Reading(())}, "no question can be used$"),
        ({"reading": Reading((), (Problem("a", "b", "no mask"),) * 3)}, r"left out: no mask \(3\)"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        dry_run(nano(**changed))


def test_an_image_that_cannot_be_read_or_has_another_size_is_refused(tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    first = dataclasses.replace(example(128, 128), picture=FileImage(tmp_path / "broken.png"))
    with pytest.raises(DatasetError, match="drawn tile-0: its image cannot be read"):
        dry_run(nano(reading=Reading((first,))))
    first = dataclasses.replace(example(128, 128), size=(128, 64))
    with pytest.raises(DatasetError, match=r"\(128, 128\) rows and columns, not \(128, 64\)"):
        dry_run(nano(reading=Reading((first,))))


def test_the_profile_is_the_requested_one_or_that_of_the_checkpoint(tmp_path: Path):
    assert dry_run(nano()).profile == "nano"
    assert dry_run(nano(profile="qwen3-vl", max_pixels=1_310_720)).profile == "qwen3-vl"
    (tmp_path / "config.json").write_text(config_file("qwen2.5-vl-3b").read_text())
    (tmp_path / "args.json").write_text('{"system": "Be brief."}')
    report = dry_run(nano(model=str(tmp_path), lora=LoraRecipe()))
    assert report.profile == "remotereasoner"
    assert report.prompt.text.startswith("system: Be brief.\nuser: ")
    with pytest.raises(ModelError, match="no such profile"):
        dry_run(nano(profile="gpt"))


@pytest.mark.parametrize("profile", [REMOTEREASONER, QWEN3_VL, THINK2SEG])
@pytest.mark.parametrize("task", list(Task))
def test_prompts_read_as_they_are_sent(profile, task: Task):
    query = Query(QUESTION, task)
    text = prompt_text(profile, query)
    parts = [part for turn in profile.messages(query) for part in turn["content"]]
    assert text.count("<image>") == 1
    assert all(part["text"] in text for part in parts if part["type"] == "text")
    assert text_tokens(profile, query) > len(text.split())


def test_a_request_holds_all_of_the_recipe_that_it_names():
    changes: dict[str, Callable[[], object]] = {
        "lora": lambda: LoraRecipe(r=2),
        "architecture": lambda: "qwen2.5-vl-3b",
        "profile": lambda: "nano",
        "epochs": lambda: 3.0,
        "max_steps": lambda: 5,
        "max_completion": lambda: 77,
        "max_pixels": lambda: 20_000,
        "bf16": lambda: False,
        "beta": lambda: 0.5,
    }
    fields = {name: make() for name, make in changes.items()}
    recipe = TypeAdapter(GrpoRecipe).validate_python({"model": "nano", "data": {}, "group": 2, **fields})
    request = request_of(recipe, reading())
    assert {name: getattr(request, name) for name in fields} == fields
    assert request.batches == recipe.batches == Batches(2, 2)
