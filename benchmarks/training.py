"""The benchmark `training`: how fast the nano models train, and what Ray Train costs."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch

from benchmarks.generating import Stopwatch
from benchmarks.large_policy import large_steps
from benchmarks.measure import Aim, Row, divided, interleaved
from benchmarks.settings import Settings
from training.launching.distributed import World
from training.launching.in_process import run_here
from training.launching.metrics_log import read_log
from training.launching.ray_launch import launch
from training.launching.stage import Stage, stage_loop
from training.launching.worker import Launch, Loop, TrainingResult
from training.recipe_yaml import read_fields
from training.rl.grpo import TrainerHooks
from training.trainers import GrpoLoop, config_of, sft_stage

NAME = "training"
RECIPES = Path(__file__).parents[1] / "training" / "recipes"
WARM_UP = 3
"""First steps of a supervised run that are not counted."""
ROUNDS = 3
"""Rounds at most: a run takes many steps."""
NEVER = 10**9
"""Steps between logs and checkpoints, so many that these do not disturb the times."""

Run = Callable[[Loop, Mapping[str, object], Launch], TrainingResult]


@dataclass(frozen=True, slots=True)
class Taught:
    """Medians over the steps of one supervised run."""

    seconds: float
    """Time of a step."""
    processor_s: float
    """Processor time of the training process in a step, all threads: a busy machine blurs it less."""
    images_s: float
    """Images a second."""
    tokens_s: float
    """Answer tokens a second."""


def measure(settings: Settings) -> list[Row]:
    """Rates of both trainings of the nano reasoner, Ray Train against none, and a large policy on a GPU."""
    return [*_supervised(settings), *_by_reward(settings), *_large(settings)]


def _supervised(settings: Settings) -> list[Row]:
    longer = replace(settings, repeats=min(settings.repeats, ROUNDS), budget_s=4 * settings.budget_s)
    ways: Mapping[str, Run] = {"here": run_here, "ray": launch}
    runs = interleaved({name: partial(_taught, run, settings) for name, run in ways.items()}, longer)
    seconds = {name: [one.seconds for one in found] for name, found in runs.items()}
    processor = {name: [one.processor_s for one in found] for name, found in runs.items()}
    ray, here = (statistics.median(seconds[name]) for name in ("ray", "here"))
    images, tokens = zip(*((one.images_s, one.tokens_s) for one in runs["here"]), strict=True)
    of = f"{settings.batch} images a step, {here:.2f} s a step"
    return [
        Row(NAME, "SFT of nano: images a second", images, of),
        Row(NAME, "SFT of nano: answer tokens a second", tokens, of),
        Row(
            NAME,
            "SFT of nano, time of a step: Ray Train with one worker over none",
            divided(seconds["ray"], seconds["here"]),
            f"{ray:.3f} and {here:.3f} s",
            Aim(maximum=1.05),
        ),
        Row(
            NAME,
            "SFT of nano, processor time of a step: Ray Train with one worker over none",
            divided(processor["ray"], processor["here"]),
            "all threads of the training process",
            Aim(maximum=1.05),
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Clocked:
    """A stage whose steps say their processor time too."""

    stage: Stage

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stage's own."""
        return getattr(self.stage, name)

    def step(self, number: int) -> Mapping[str, float]:
        """Take a step of the stage."""
        began = time.process_time()
        figures = dict(self.stage.step(number))
        return {**figures, "processor_s": time.process_time() - began}


def _clocked(config: Mapping[str, object], world: World) -> Stage:
    return cast(Stage, _Clocked(sft_stage(config, world)))


def _taught(run: Run, settings: Settings) -> Taught:
    with TemporaryDirectory(prefix="sft-") as out:
        run(stage_loop(_clocked, save_every=NEVER), _sft_config(settings), Launch(out=out))
        rows = [row.figures for row in read_log(Path(out) / "log")][WARM_UP:]
    kept = [row for row in rows if "check_practice" not in row]
    return Taught(
        seconds=statistics.median(row["seconds"] for row in kept),
        processor_s=statistics.median(row["processor_s"] for row in kept),
        images_s=statistics.median(row["images"] / row["seconds"] for row in kept),
        tokens_s=statistics.median(row["tokens"] / row["seconds"] for row in kept),
    )


def _sft_config(settings: Settings) -> dict[str, object]:
    changed = {"dense_steps": 0, "steps": settings.sft_steps, "check_every": NEVER, "batch": settings.batch}
    fields = {**read_fields(RECIPES / "nano-sft.yaml"), **changed, "pool": _pool(settings)}
    return config_of(fields, max_steps=None)


def _by_reward(settings: Settings) -> list[Row]:
    watch = Stopwatch()
    with TemporaryDirectory(prefix="grpo-") as out:
        loop = GrpoLoop(lambda recipe: TrainerHooks(prepare=watch.watched))
        run_here(loop, _grpo_config(settings), Launch(out=out))
    steps = watch.steps()
    of = f"{settings.group} × {settings.group} completions a step"
    return [
        Row(
            NAME,
            "GRPO of nano: completions a second",
            tuple(one.completions / one.seconds for one in steps),
            of,
        ),
        Row(
            NAME,
            "GRPO of nano: generated tokens a second",
            tuple(one.tokens / one.seconds for one in steps),
            of,
        ),
        Row(NAME, "GRPO: share of a step spent generating", tuple(one.share for one in steps), of),
    ]


def _grpo_config(settings: Settings) -> dict[str, object]:
    fields: dict[str, Any] = read_fields(RECIPES / "nano-grpo.yaml")
    group = settings.group
    fields |= {
        "max_steps": settings.grpo_steps,
        "group": group,
        "prompts_per_step": group,
        "save_every": NEVER,
    }
    fields["tiles"] |= {"count": 4 * group, "pool": _pool(settings), "real": None}
    return config_of(fields, max_steps=None)


def _pool(settings: Settings) -> dict[str, object]:
    return {"scenes": 6, "size_px": settings.pattern_px, "seed": 50_000}


def _large(settings: Settings) -> list[Row]:
    if not torch.cuda.is_available():
        print("training: no GPU here, so that no step of the large policy is measured", file=sys.stderr)
        return []
    steps, peak = large_steps(settings.grpo_steps)
    of = "Qwen2.5-VL-7B, random weights, LoRA, group 4, 896 × 896"
    return [
        Row(NAME, "GRPO of 7B: seconds a step", tuple(one.seconds for one in steps), of),
        Row(NAME, "GRPO of 7B: share of a step spent generating", tuple(one.share for one in steps), of),
        Row(NAME, "GRPO of 7B: peak memory, GB", (peak / 1e9,), of),
    ]
