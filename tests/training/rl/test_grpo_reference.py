"""Claim: TRL's trainer earns our rewards, makes our advantages and takes the step that a plain loop takes."""

import copy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from reasoner.profiles import NANO
from reasoner.query import Query
from tests.training.answers import read
from tests.training.rl.reference import group_advantages
from tests.training.rl.toy_policy import Sample, Settings, learn_by_hand, toy_model, toy_tokenizer
from training.rl.rewards import RewardWeights, TrueAnswer, score_completion

WEIGHTS = RewardWeights(format=1, location=2, quantity=1, accuracy=1, repetition=0.5)
QUESTIONS = {
    "locate : where is fuel stored": [[1, 2, 30, 40], [5, 6, 50, 60]],
    "locate : where ships moor": [],
}
COMPLETIONS = {
    "locate : where is fuel stored": (
        "<think> fuel kept in tanks </think> <answer> [[ 1 , 2 , 30 , 40 ] , [ 5 , 6 , 50 , 60 ]] </answer>",
        "<think> in tanks </think> <answer> [[ 1 , 2 , 30 , 40 ]] </answer>",
        "<answer> [[ 5 , 6 , 30 , 60 ]] </answer>",
        "<think> tanks tanks tanks tanks tanks tanks <answer>",
    ),
    "locate : where ships moor": (
        "<think> ships moor at piers </think> <answer> [ ] </answer>",
        "<answer> [ ] </answer>",
        "<think> at piers </think> <answer> [[ 1 , 2 , 30 , 40 ]] </answer>",
        "piers",
    ),
}
# Worked out by hand from the weights 1, 2, 1, 1, 0.5, which sum to 5.5.
IOU_OF_THIRD = (25 * 54) / (45 * 54)
REWARDS = np.array(
    [
        [
            1.0,
            (1 + 2 * 0.5 + 0.5 + 0.5 + 0.5) / 5.5,
            (0.5 + 2 * IOU_OF_THIRD / 2 + 0.5 + 0.5 + 0.5) / 5.5,
            0.0,
        ],
        [1.0, (0.5 + 2 + 1 + 1 + 0.5) / 5.5, (1 + 0.5) / 5.5, 0.0],
    ]
)


def reward(prompts, completions, boxes, **_) -> list[float]:
    """The reward function TRL calls."""
    scores = []
    for prompt, text, true in zip(prompts, completions, boxes, strict=True):
        answer = read(NANO, text, Query(prompt))
        truth = TrueAnswer(np.array(true, dtype=np.float64).reshape(-1, 4))
        scores.append(score_completion(answer, text, truth=truth, weights=WEIGHTS).composite)
    return scores


class Dictated(GRPOTrainer):
    """Is given its completions, and keeps what it made of them."""

    def _generate_single_turn(self, prompt_ids, *args, **more):
        given, seen = [], {}
        for ids in prompt_ids:
            prompt = self.processing_class.decode(ids)
            number = seen[prompt] = seen.get(prompt, -1) + 1
            given.append(self.processing_class(COMPLETIONS[prompt][number] + " <eos>")["input_ids"])
        return given, None

    def _calculate_rewards(self, inputs, prompts, *args):
        self.seen_prompts = prompts
        self.seen_rewards = super()._calculate_rewards(inputs, prompts, *args)
        return self.seen_rewards

    def _generate_and_score_completions(self, inputs):
        scored = super()._generate_and_score_completions(inputs)
        self.seen_advantages = scored["advantages"].clone()
        return scored


def trainer_for(out: Path, settings: Settings, *, slices: int = 1, scale: str = "group") -> Dictated:
    tokenizer = toy_tokenizer()
    rows = [{"prompt": prompt, "boxes": boxes} for prompt, boxes in QUESTIONS.items()]
    config = GRPOConfig(
        output_dir=str(out),
        per_device_train_batch_size=8 // slices,
        gradient_accumulation_steps=slices,
        num_generations=4,
        num_iterations=settings.steps,
        max_steps=settings.steps,
        max_completion_length=settings.max_completion,
        loss_type=settings.loss,
        scale_rewards=scale,
        temperature=settings.temperature,
        epsilon=settings.epsilon,
        beta=0.0,
        learning_rate=settings.lr,
        lr_scheduler_type="constant",
        optim="sgd",
        max_grad_norm=0.0,
        weight_decay=0.0,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        logging_steps=1,
        disable_tqdm=True,
    )
    return Dictated(
        model=toy_model(tokenizer),
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )


def in_order(trainer: Dictated, values: torch.Tensor) -> np.ndarray:
    """(2, 4) values by question and completion; the trainer may take the questions in any order."""
    table = values.detach().numpy().astype(np.float64).reshape(2, 4)
    return table if trainer.seen_prompts[0] == next(iter(QUESTIONS)) else table[::-1]


def samples_with(advantages: np.ndarray) -> list[Sample]:
    tokenizer = toy_tokenizer()
    ids = partial(tokenizer, return_attention_mask=False)
    return [
        Sample(ids(prompt)["input_ids"], ids(text + " <eos>")["input_ids"], float(advantage))
        for (prompt, texts), row in zip(COMPLETIONS.items(), advantages, strict=True)
        for text, advantage in zip(texts, row, strict=True)
    ]


def compare(trainer: Dictated, settings: Settings, *, scale: str = "group") -> list[int]:
    """Train with TRL and by hand from the same weights; the clipped tokens of each step by hand."""
    # A copy of the trainer's model would not do: its forward is patched and bound to the original.
    by_hand = toy_model(toy_tokenizer())
    before = copy.deepcopy(by_hand.state_dict())
    assert all(torch.equal(weight, before[name]) for name, weight in trainer.model.state_dict().items())
    trainer.train()
    advantages = group_advantages(REWARDS, scale)
    np.testing.assert_allclose(in_order(trainer, trainer.seen_rewards[:, 0]), REWARDS, atol=1e-6)
    np.testing.assert_allclose(in_order(trainer, trainer.seen_advantages), advantages, atol=1e-5)
    losses, clips = learn_by_hand(by_hand.train(), samples_with(advantages), settings)
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    # The second step is large (its weights move by 4): float32 holds five digits of it, not five places.
    assert logged == pytest.approx(losses, rel=1e-5, abs=1e-5)
    learnt = trainer.model.state_dict()
    moved = max((learnt[name] - was).abs().max().item() for name, was in before.items())
    assert moved > 1e-3
    for name, weight in by_hand.state_dict().items():
        torch.testing.assert_close(
            learnt[name],
            weight,
            atol=1e-5 * max(1.0, moved),
            rtol=0,
            msg=lambda why, name=name: f"{name}: {why}",
        )
    return clips


@pytest.mark.parametrize(
    ("loss", "slices"),
    [
        ("dapo", 1),
        ("dapo", 2),
        ("grpo", 1),
        ("dr_grpo", 1),
        *(pytest.param(loss, 2, marks=pytest.mark.thorough) for loss in ("grpo", "dr_grpo")),
    ],
)
def test_one_step_of_trl_is_the_step_of_the_loop_by_hand(tmp_path, loss, slices):
    settings = Settings(loss=loss, lr=0.1, temperature=0.7, epsilon=0.2, max_completion=40)
    assert compare(trainer_for(tmp_path, settings, slices=slices), settings) == [0]


def test_a_second_step_on_the_same_completions_is_clipped_as_by_hand(tmp_path):
    settings = Settings(loss="dapo", lr=0.1, temperature=0.7, epsilon=0.05, max_completion=40, steps=2)
    first, second = compare(trainer_for(tmp_path, settings), settings)
    assert first == 0
    assert second > 3


@pytest.mark.parametrize("scale", ["batch", "none"])
def test_advantages_of_every_scale_are_ours(tmp_path, scale):
    settings = Settings(loss="grpo", lr=0.1, temperature=1.0, epsilon=0.2, max_completion=40)
    compare(trainer_for(tmp_path, settings, scale=scale), settings, scale=scale)
