"""Group-relative policy optimisation of a reasoner by reward alone, on TRL's trainer.

Prompts, vision tokens and parsing are those of inference.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch.distributed as dist
from datasets import Dataset
from PIL import Image
from transformers import PreTrainedModel, PrinterCallback, ProcessorMixin, TrainerCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from reasoner.engines.transformers_engine import fit_processor, load_checkpoint, vision_token_ids
from reasoner.loading import profile_of
from reasoner.model_files import Role, find_model
from reasoner.profiles import NANO, Profile
from training.data import Example
from training.launching import Worker, save
from training.rl.grpo_recipe import GrpoRecipe
from training.rl.lora import with_lora
from training.rl.mask_union import MaskMaker
from training.rl.reward_function import CompletionReader, Rewarder
from training.rl.rewards import RewardWeights

MODEL, TRAINER = "model", "trainer"
"""Folders of a checkpoint: what inference loads, and what training goes on from."""


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """A model that is to be trained."""

    model: PreTrainedModel
    """Its weights, with low-rank matrices where the recipe asks for them."""
    processor: ProcessorMixin
    """Its processor, padding on the left."""
    profile: Profile
    """How it is asked and read."""


def open_policy(recipe: GrpoRecipe, resume: Path | None) -> Policy:
    """Load the recipe's model, or the one of a checkpoint.

    The weights are read from the checkpoint here, by the model class: the trainer's own resume silently loads
    nothing for architectures whose saved names differ from those in memory.

    Raises:
        ModelError: there is no such model or it cannot be loaded.
    """
    start = find_model(recipe.model, Role.REASONER)
    profile = profile_of(recipe.model, start, recipe.profile)
    full = resume is not None and recipe.lora is None
    folder = resume / TRAINER if full and resume is not None else start
    # Steps of 1e-6 would be lost in weights of half precision: what is trained is kept in float32.
    trained = recipe.lora is None
    model, processor = load_checkpoint(folder, exact=trained or profile.name == NANO.name or not recipe.bf16)
    capped = dataclasses.replace(profile.sizing, max_pixels=min(profile.sizing.max_pixels, recipe.max_pixels))
    sizing = fit_processor(processor, capped)
    if recipe.lora is not None:
        model = with_lora(model, recipe.lora)
    return Policy(model, processor, dataclasses.replace(profile, sizing=sizing))


@dataclasses.dataclass(frozen=True, slots=True)
class TrainerHooks:
    """What a training is given from outside: masks, and a fit to the cluster."""

    masks: MaskMaker | None = None
    """Makes masks of boxes, where the reward asks for them."""
    prepare: Callable[[GRPOTrainer], GRPOTrainer] = lambda trainer: trainer
    """Fits a trainer to the cluster it runs on."""


def train_grpo(
    recipe: GrpoRecipe, examples: Sequence[Example], *, worker: Worker, parts: TrainerHooks
) -> None:
    """Train a reasoner until the recipe's steps are done; checkpoints and figures go to the worker.

    Raises:
        ModelError: the model cannot be loaded.
        RecipeError: the examples are too few for one step.
    """
    recipe.steps(len(examples))  # refuses too few examples before anything is loaded
    policy = open_policy(recipe, worker.resume)
    with tempfile.TemporaryDirectory(prefix="remotereasoner-grpo-") as private:
        trainer = build_trainer(
            policy, recipe, examples, out=Path(private), masks=parts.masks, device=worker.world.device
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_ReportToWorker(worker, policy, recipe))
        trainer = parts.prepare(trainer)
        trainer.train(resume_from_checkpoint=_resume(worker.resume))


def build_trainer(
    policy: Policy,
    recipe: GrpoRecipe,
    examples: Sequence[Example],
    *,
    out: Path,
    masks: MaskMaker | None = None,
    device: str = "cpu",
) -> GRPOTrainer:
    """Put policy, reward and data into TRL's trainer; its files go to `out`, which no other rank may use."""
    processor: Any = policy.processor
    ends = policy.model.generation_config.eos_token_id
    reader = CompletionReader(
        decode=lambda ids: str(processor.tokenizer.decode(ids, skip_special_tokens=False)),
        ends=frozenset(ends if isinstance(ends, list) else [ends]) - {None},
        longest=recipe.max_completion,
    )
    rewarder = Rewarder(
        examples,
        profile=policy.profile,
        reader=reader,
        weights=RewardWeights.of(recipe.weights),
        masks=masks,
    )
    return GRPOTrainer(
        model=policy.model,
        reward_funcs=[cast(Any, rewarder)],
        args=trainer_arguments(
            recipe, policy, steps=recipe.steps(len(examples)), out=out, on_gpu=device != "cpu"
        ),
        train_dataset=as_dataset(examples, policy.profile),
        processing_class=processor,
    )


def as_dataset(examples: Sequence[Example], profile: Profile) -> Dataset:
    """Wrap examples as the trainer wants them: prompt and image of a number, read when asked for."""

    def row(batch: dict[str, list[int]]) -> dict[str, list[object]]:
        chosen = [examples[number] for number in batch["number"]]
        return {
            "prompt": [profile.messages(example.query) for example in chosen],
            "image": [Image.fromarray(example.picture.pixels()) for example in chosen],
            "number": list(batch["number"]),
        }

    return Dataset.from_dict({"number": list(range(len(examples)))}).with_transform(row)


def trainer_arguments(
    recipe: GrpoRecipe, policy: Policy, *, steps: int, out: Path, on_gpu: bool
) -> GRPOConfig:
    """Translate the recipe for TRL; `steps` is the number of all steps."""
    return GRPOConfig(
        output_dir=str(out),
        seed=recipe.seed,
        per_device_train_batch_size=recipe.batches.per_device_batch,
        gradient_accumulation_steps=recipe.grad_accum,
        num_generations=recipe.group,
        max_completion_length=recipe.max_completion,
        temperature=recipe.temperature,
        top_p=recipe.top_p,
        learning_rate=recipe.lr,
        lr_scheduler_type="constant_with_warmup" if recipe.lr_schedule == "constant" else recipe.lr_schedule,
        warmup_steps=recipe.warmup,
        max_steps=steps,
        loss_type=recipe.loss,
        importance_sampling_level=recipe.importance_sampling_level,
        beta=recipe.beta,
        epsilon=recipe.epsilon,
        epsilon_high=recipe.epsilon_high,
        scale_rewards=recipe.scale_rewards,
        max_grad_norm=1.0,
        bf16=recipe.bf16 and on_gpu,
        use_cpu=not on_gpu,
        ddp_backend=dist.get_backend() if dist.is_initialized() else None,
        gradient_checkpointing=policy.profile.name != NANO.name,
        # A sampled vision token has no picture behind it and crashes the model.
        generation_kwargs={"suppress_tokens": vision_token_ids(policy.model)},
        save_strategy="steps",
        save_steps=recipe.save_every,
        save_total_limit=1,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        log_completions=False,
    )


class _ReportToWorker(TrainerCallback):
    """Reports every step's figures to the worker and hands it the checkpoints."""

    def __init__(self, worker: Worker, policy: Policy, recipe: GrpoRecipe) -> None:
        self._worker, self._policy, self._recipe = worker, policy, recipe

    def on_log(self, args: Any, state: Any, control: Any, **arguments: Any) -> None:
        """Pass a step's figures on."""
        logs = arguments.get("logs")
        figures = {name: float(one) for name, one in (logs or {}).items() if isinstance(one, int | float)}
        if "train_runtime" not in figures:
            self._worker.report(state.global_step, renamed(figures), None)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Hand over the trainer's own checkpoint, and the model as inference loads it."""

        def write(folder: Path) -> None:
            shutil.copytree(Path(args.output_dir) / f"checkpoint-{state.global_step}", folder / TRAINER)
            if self._recipe.lora is None or state.global_step >= state.max_steps:
                save_policy(self._policy, folder / MODEL)

        save(self._worker, state.global_step, write)


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a model folder that the loader accepts; low-rank matrices are merged for good."""
    model: Any = policy.model
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    policy.processor.save_pretrained(folder)


def renamed(figures: Mapping[str, float]) -> dict[str, float]:
    """Keep the trainer's figures of a step, under short names."""
    return {short: figures[name] for name, short in _FIGURES.items() if name in figures} | {
        name: value for name, value in figures.items() if name.startswith("reward_")
    }


_FIGURES = {
    "loss": "loss",
    "reward": "reward",
    "reward_std": "reward_std",
    "frac_reward_zero_std": "groups_without_spread",
    "completions/mean_length": "completion_tokens",
    "completions/clipped_ratio": "cut_off",
    "entropy": "entropy",
    "kl": "kl",
    "clip_ratio/region_mean": "clipped",
    "grad_norm": "gradient",
    "learning_rate": "lr",
    "step_time": "seconds",
    "num_tokens": "tokens_seen",
}


def _resume(folder: Path | None) -> str | None:
    return None if folder is None else str(folder / TRAINER)
