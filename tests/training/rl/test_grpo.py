"""Claim: the policy is asked as at inference, rewarded through the same parser, and goes on from a checkpoint
with exactly its weights, also where the trainer's own resume would silently load nothing."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from reasoner.answer import TileView
from reasoner.engines.transformers_engine import load_checkpoint, vision_token_ids
from reasoner.loading import load_reasoner
from reasoner.profiles import NANO
from reasoner.query import Query
from tests.reasoner.checkpoints import save_qwen2_5, save_qwen3
from training.data.examples import ArrayImage, ArrayShapes, Example
from training.launching.distributed import World
from training.launching.worker import Worker
from training.rl.grpo import (
    MODEL,
    TRAINER,
    Policy,
    TrainerHooks,
    as_dataset,
    build_trainer,
    open_policy,
    train_grpo,
)
from training.rl.grpo_recipe import DataRecipe, GrpoRecipe, LoraRecipe
from training.rl.reward_function import CompletionReader, Rewarder
from training.rl.rewards import RewardWeights


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return save_qwen3(tmp_path_factory.mktemp("qwen3"))


@pytest.fixture(scope="module")
def qwen2_5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_qwen2_5(tmp_path_factory.mktemp("qwen2.5"))


def examples(count: int, side: int) -> list[Example]:
    rng = np.random.default_rng(5)
    return [
        Example(
            id=str(number),
            source="made",
            place="here",
            query=Query("where is a ship ?" if number % 2 else "where is the water ?"),
            size=(side, side),
            boxes=np.array([[4.0, 4.0, 20.0, 20.0]])[: number % 2],
            picture=ArrayImage(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)),
        )
        for number in range(count)
    ]


def recipe(model: Path, **given: Any) -> GrpoRecipe:
    standard: dict[str, Any] = {
        "model": str(model),
        "data": DataRecipe(),
        "group": 2,
        "prompts_per_step": 2,
        "max_steps": 2,
        "max_completion": 12,
        "temperature": 1.0,
        "lr": 1e-2,
        "bf16": False,
        "save_every": 1,
        # A random model's answers are all malformed; the text it repeats is what differs.
        "weights": {"format": 1.0, "location": 1.0, "repetition": 1.0},
    }
    return GrpoRecipe(**{**standard, **given})


class Kept:
    """A worker's reports, checkpoints copied before they go."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.figures, self.checkpoints = folder, [], {}

    def worker(self, resume: Path | None = None) -> Worker:
        return Worker(World(), resume, self)

    def __call__(self, step: int, figures: Mapping[str, float], checkpoint: Path | None) -> None:
        if checkpoint is None:
            self.figures.append((step, dict(figures)))
            return
        target = self.folder / f"step-{step}"
        shutil.copytree(checkpoint, target)
        self.checkpoints[step] = target


def length_reward(trainer: Any) -> None:
    """Pay for long completions, so that even a random model has something to learn."""
    trainer.reward_funcs[0] = lambda completion_ids, **_: [float(len(set(ids))) for ids in completion_ids]


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_prompt_and_pixels_are_those_of_inference(qwen3: Path) -> None:
    policy = open_policy(recipe(qwen3), None)
    chosen = examples(2, 64)
    rows = as_dataset(chosen, policy.profile)
    engine: Any = load_reasoner(str(qwen3), device="cpu")
    processor: Any = policy.processor
    for number, example in enumerate(chosen):
        row = rows[number]
        mine = processor(
            text=processor.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True),
            images=[row["image"]],
            return_tensors="pt",
        )
        theirs = engine._processor(
            text=engine._prompt(example.query), images=[row["image"]], return_tensors="pt"
        )
        assert torch.equal(mine["input_ids"], theirs["input_ids"])
        assert torch.equal(mine["pixel_values"], theirs["pixel_values"])
        assert np.array_equal(np.asarray(row["image"]), example.picture.pixels())


def test_the_trainer_sends_the_same_prompt_tokens(qwen3: Path, tmp_path: Path) -> None:
    policy, chosen = open_policy(recipe(qwen3), None), examples(4, 64)
    trainer: Any = build_trainer(policy, recipe(qwen3), chosen, out=tmp_path)
    sent = []
    trainer._generate_single_turn = lambda ids, *_, **__: sent.extend(ids) or ([[5, 2]] * len(ids), None)
    trainer.train()
    processor: Any = policy.processor
    wanted = {
        tuple(
            processor(
                text=processor.apply_chat_template(
                    policy.profile.messages(each.query), tokenize=False, add_generation_prompt=True
                ),
                images=[as_dataset([each], policy.profile)[0]["image"]],
            )["input_ids"][0]
        )
        for each in chosen
    }
    assert {tuple(int(token) for token in ids) for ids in sent} == wanted


@pytest.mark.parametrize("architecture", ["qwen3", "qwen2_5"])
def test_training_leaves_a_folder_that_answers(
    architecture: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    start: Path = request.getfixturevalue(architecture)
    kept = Kept(tmp_path)
    train_grpo(recipe(start), examples(8, 56), worker=kept.worker(), parts=TrainerHooks())
    assert [step for step, _ in kept.figures] == [1, 2]
    assert {"reward", "reward_format", "groups_without_spread", "seconds"} <= set(kept.figures[0][1])
    assert sorted(kept.checkpoints) == [1, 2]
    reasoner = load_reasoner(str(kept.checkpoints[2] / MODEL), device="cpu")
    view = TileView(examples(1, 56)[0].picture.pixels(), "a")
    assert reasoner.generate([view], [Query("where is water ?")])[0][0].n_tokens > 0


class Stop(TrainerCallback):
    """Keeps the weights with which a resumed training begins, and goes no further."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.weights, self.step = weights_of(given["model"]), state.global_step
        control.should_training_stop = True


def test_a_resumed_policy_has_the_weights_of_the_checkpoint(qwen2_5: Path, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "first")
    asked = recipe(qwen2_5)
    train_grpo(
        asked,
        examples(8, 56),
        worker=kept.worker(),
        parts=TrainerHooks(prepare=lambda t: length_reward(t) or t),
    )
    checkpoint = kept.checkpoints[1]
    saved, _ = load_checkpoint(checkpoint / MODEL, exact=True)
    untaught, _ = load_checkpoint(qwen2_5, exact=True)
    assert not same(weights_of(saved), weights_of(untaught)), "nothing was learned, so nothing is shown"
    resumed = begun(open_policy(asked, checkpoint), asked, checkpoint, tmp_path / "resumed")
    assert resumed.step == 1
    assert same(resumed.weights, weights_of(saved))
    # Without reading the weights first, the trainer resumes its counters and silently no weights at all.
    naive = begun(open_policy(asked, None), asked, checkpoint, tmp_path / "naive")
    assert naive.step == 1
    assert not same(naive.weights, weights_of(saved))


def begun(policy: Policy, asked: GrpoRecipe, checkpoint: Path, out: Path) -> Stop:
    trainer = build_trainer(policy, asked, examples(8, 56), out=out)
    stop = Stop()
    trainer.add_callback(stop)
    trainer.train(resume_from_checkpoint=str(checkpoint / TRAINER))
    return stop


def test_low_rank_training_resumes_and_is_merged_at_the_end(qwen2_5: Path, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "first")
    asked = recipe(qwen2_5, lora=LoraRecipe(r=2, alpha=4, targets=("q_proj", "v_proj")))
    parts = TrainerHooks(prepare=lambda trainer: length_reward(trainer) or trainer)
    train_grpo(asked, examples(8, 56), worker=kept.worker(), parts=parts)
    assert not (kept.checkpoints[1] / MODEL).exists(), "a large model is written once, at the end"
    merged, _ = load_checkpoint(kept.checkpoints[2] / MODEL, exact=True)
    start, _ = load_checkpoint(qwen2_5, exact=True)
    changed = {
        name.rsplit(".", 2)[-2]
        for name, value in weights_of(merged).items()
        if not torch.equal(value, weights_of(start)[name])
    }
    assert changed == {"q_proj", "v_proj"}
    stop = begun(open_policy(asked, kept.checkpoints[1]), asked, kept.checkpoints[1], tmp_path / "resumed")
    taught = [value for name, value in stop.weights.items() if "lora_B" in name]
    assert stop.step == 1
    assert any(bool(value.any()) for value in taught), "the matrices begin at zero and were taught"


def test_no_vision_token_is_ever_sampled(qwen3: Path, tmp_path: Path) -> None:
    policy = open_policy(recipe(qwen3), None)
    trainer: Any = build_trainer(policy, recipe(qwen3), examples(4, 64), out=tmp_path)
    assert set(trainer.generation_config.suppress_tokens) == set(vision_token_ids(policy.model))
    assert len(vision_token_ids(policy.model)) == 4


def test_the_reward_reads_what_inference_would_read() -> None:
    words = {1: "<think> ships float </think>", 2: "<answer> [[4,4,20,20]] </answer>", 3: "[]"}
    reader = CompletionReader(lambda ids: " ".join(words[i] for i in ids), frozenset({9}), longest=3)
    (example,) = examples(2, 128)[1:]
    masks = SimpleNamespace(union_masks=lambda pixels, boxes: [square(b) for b in boxes])
    shown = dataclasses.replace(example, shapes=ArrayShapes(square(example.boxes)[None]))
    rewarder = Rewarder(
        [shown],
        profile=NANO,
        reader=reader,
        weights=RewardWeights(),
        masks=masks,  # type: ignore[arg-type]
    )
    logged: dict[str, float] = {}
    right, cut_off, wrong = rewarder(
        completion_ids=[[1, 2, 9, 3], [1, 2, 2], [3, 9]], number=[0, 0, 0], log_metric=logged.__setitem__
    )
    assert (right, cut_off) == (1.0, 0.0)
    assert wrong == 0.0
    assert logged["reward_mask"] == pytest.approx(1 / 3)
    assert {"reward_format", "reward_location", "reward_quantity", "reward_composite"} <= set(logged)


def square(boxes: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((128, 128), bool)
    for x0, y0, x1, y1 in boxes.astype(int):
        mask[y0:y1, x0:x1] = True
    return mask
