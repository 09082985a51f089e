"""The training commands: parse, read the recipe, make one call. Mounted by the product's command line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.errors import RecipeError

if TYPE_CHECKING:
    from training.launching import Launch, Loop, TrainingResult
    from training.rl import GrpoRecipe, TrainerHooks

training_app = typer.Typer(help="Train reasoners and segmenters from recipes, on Ray.", no_args_is_help=True)

RecipeFile = Annotated[Path, typer.Argument(help="YAML recipe, such as training/recipes/nano-sft.yaml")]
OutFolder = Annotated[str, typer.Option(help="folder for log, curve, checkpoints and model: local or s3://")]
MaxSteps = Annotated[int | None, typer.Option(help="stop after so many steps")]
Workers = Annotated[int | None, typer.Option(help="processes that train together (default: the recipe's)")]
ClusterAddress = Annotated[str | None, typer.Option(help="address of a Ray cluster (default: this machine)")]
Gpu = Annotated[bool | None, typer.Option("--gpu/--cpu", help="a GPU for each worker (default: if there)")]
InProcess = Annotated[bool, typer.Option("--in-process", help="one worker in this process, no Ray")]
PrintJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]


@dataclass(frozen=True, slots=True)
class Where:
    """Where a training runs and where it leaves what it makes."""

    out: str
    """Folder, local or s3://."""
    workers: int
    """Processes that train together."""
    address: str | None
    """Ray cluster, None for this machine."""
    gpu: bool | None
    """A GPU for each worker; None where there is one."""
    in_process: bool
    """Without Ray."""
    as_json: bool
    """Print one JSON object."""

    def launch(self, *, keep: int = 2) -> "Launch":
        """Return it as the launcher takes it."""
        from training.launching import Launch

        return Launch(
            out=self.out,
            workers=self.workers,
            address=self.address,
            gpu=_has_gpu() if self.gpu is None else self.gpu,
            keep=keep,
        )


@training_app.command()
def sft(
    recipe: RecipeFile,
    out: OutFolder,
    max_steps: MaxSteps = None,
    workers: Workers = None,
    address: ClusterAddress = None,
    gpu: Gpu = None,
    in_process: InProcess = False,
    as_json: PrintJson = False,
) -> None:
    """Train a nano reasoner on examples; the same command again goes on from its last checkpoint.

    Example: remotereasoner train sft training/recipes/nano-sft.yaml --out my-reasoner
    """
    # Imported here: every other command would wait seconds for torch.
    from training.launching import stage_loop
    from training.preflight import check_sft
    from training.recipe_yaml import read_fields
    from training.trainers import config_of, sft_stage, sft_training

    config = config_of(read_fields(recipe), max_steps=max_steps)
    training = sft_training(config)
    where = Where(out, _counted(workers, training.workers), address, gpu, in_process, as_json)
    check_sft(training, workers=where.workers)
    _finish(_run(stage_loop(sft_stage, save_every=training.recipe.save_every), config, where), where)


@training_app.command()
def segmenter(
    recipe: RecipeFile,
    out: OutFolder,
    max_steps: MaxSteps = None,
    workers: Workers = None,
    address: ClusterAddress = None,
    gpu: Gpu = None,
    in_process: InProcess = False,
    as_json: PrintJson = False,
) -> None:
    """Train a nano segmenter; the same command again goes on from its last checkpoint.

    Example: remotereasoner train segmenter training/recipes/nano-segmenter.yaml --out my-segmenter
    """
    from training.launching import stage_loop
    from training.preflight import check_segmenter
    from training.recipe_yaml import read_fields
    from training.trainers import config_of, segmenter_stage, segmenter_training

    config = config_of(read_fields(recipe), max_steps=max_steps)
    training = segmenter_training(config)
    where = Where(out, _counted(workers, training.workers), address, gpu, in_process, as_json)
    check_segmenter(training, workers=where.workers)
    _finish(_run(stage_loop(segmenter_stage, save_every=training.recipe.save_every), config, where), where)


@training_app.command()
def grpo(
    recipe: RecipeFile,
    out: Annotated[str | None, typer.Option(help="folder for log, curve, checkpoints and model")] = None,
    max_steps: MaxSteps = None,
    workers: Workers = None,
    address: ClusterAddress = None,
    gpu: Gpu = None,
    in_process: InProcess = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="check everything, start nothing")] = False,
    as_json: PrintJson = False,
) -> None:
    """Train a reasoner by reward; the same command again goes on from its last checkpoint.

    Example: remotereasoner train grpo training/recipes/nano-grpo.yaml --out better-reasoner
    """
    from training.preflight import check_grpo
    from training.recipe_yaml import read_fields
    from training.trainers import GrpoLoop, config_of, grpo_training

    fields = read_fields(recipe)
    if workers is not None:
        fields["workers"] = workers
    config = config_of(fields, max_steps=max_steps)
    training = grpo_training(config)
    if dry:
        _say_dry_run(training, as_json=as_json)
        return
    if out is None:
        raise RecipeError("--out is missing: name a folder, or ask for a --dry-run")
    check_grpo(training)
    where = Where(out, training.workers, address, gpu, in_process, as_json)
    loop = GrpoLoop(_parts_here if in_process else _parts_on_ray)
    _finish(_run(loop, config, where, keep=training.keep), where)


@training_app.command("ship")
def ship_command(
    checkpoint: Annotated[Path, typer.Argument(help="model folder that a training left")],
    out: Annotated[Path, typer.Option(help="folder for the copy")],
) -> None:
    """Copy a model folder with its weights in half precision, as the embedded models are shipped.

    Example: remotereasoner train ship my-reasoner/checkpoint --out shipped
    """
    from training.sft import save_half_precision

    save_half_precision(checkpoint, out)
    typer.echo(f"model in {out}", err=True)


def _run(loop: "Loop", config: Mapping[str, object], where: Where, *, keep: int = 2) -> "TrainingResult":
    if where.in_process:
        from training.launching import run_here

        return run_here(loop, config, where.launch(keep=keep))
    from training.launching import launch

    return launch(loop, config, where.launch(keep=keep))


def _finish(outcome: "TrainingResult", where: Where) -> None:
    if where.as_json:
        result = {"checkpoint": outcome.checkpoint, "steps": outcome.steps, "metrics": dict(outcome.metrics)}
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{outcome.steps} steps; model in {outcome.checkpoint}", err=True)


def _counted(asked: int | None, stated: int) -> int:
    """Processes asked for, or else the recipe's."""
    return stated if asked is None else asked


def _parts_here(recipe: "GrpoRecipe") -> "TrainerHooks":
    from training.rl import SegmenterMasks, TrainerHooks

    if not recipe.weights.get("mask"):
        return TrainerHooks()
    from reasoner.loading import load_segmenter

    return TrainerHooks(masks=SegmenterMasks(load_segmenter(recipe.segmenter)))


def _parts_on_ray(recipe: "GrpoRecipe") -> "TrainerHooks":
    from training.rl import parts_on_ray

    return parts_on_ray(recipe)


def _say_dry_run(recipe: "GrpoRecipe", *, as_json: bool) -> None:
    from training.data import Reading
    from training.sizing import dry_run, request_of
    from training.trainers import examples_for, reading_for

    reading = reading_for(recipe) if recipe.data else Reading(tuple(examples_for(recipe)))
    report = dry_run(request_of(recipe, reading))
    typer.echo(json.dumps(report.as_dict()) if as_json else "\n".join(report.lines()))


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())
