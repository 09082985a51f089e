"""The training commands: parse, read the recipe, make one call. Mounted by the product's command line."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.pool import PoolRecipe
    from training.tiles import SceneRaster

app = typer.Typer(help="Train the nano models from a recipe.", no_args_is_help=True)

Recipe = Annotated[Path, typer.Argument(help="YAML recipe, such as training/recipes/nano-sft.yaml")]
Out = Annotated[Path, typer.Option(help="folder for the checkpoint")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")]


@app.command()
def sft(recipe: Recipe, out: Out, as_json: AsJson = False) -> None:
    """Teach a nano reasoner from nothing.

    Example: remotereasoner train sft training/recipes/nano-sft.yaml --out my-reasoner
    """
    # Imported here: every other command would wait seconds for torch.
    from training.recipe_files import read_sft
    from training.sft import print_report, train_reasoner

    taught, pool, threads = read_sft(recipe)
    train_reasoner(taught, _scenes(pool, threads), out=out, report=print_report())
    _finish(out, taught.steps, as_json=as_json)


@app.command()
def segmenter(recipe: Recipe, out: Out, as_json: AsJson = False) -> None:
    """Teach a nano segmenter from nothing.

    Example: remotereasoner train segmenter training/recipes/nano-segmenter.yaml --out my-segmenter
    """
    from training.recipe_files import read_segmenter
    from training.segmenter import train_segmenter
    from training.sft import print_report

    taught, pool, threads = read_segmenter(recipe)
    train_segmenter(taught, _scenes(pool, threads), out=out, report=print_report())
    _finish(out, taught.steps, as_json=as_json)


def _scenes(pool: "PoolRecipe", threads: int) -> "Sequence[SceneRaster]":
    """Draw the recipe's scenes on all cores, then leave the model its number of threads."""
    import torch

    from training.pool import draw_pool

    scenes = draw_pool(pool, workers=os.cpu_count() or 1)
    torch.set_num_threads(threads)
    return scenes


def _finish(out: Path, steps: int, *, as_json: bool) -> None:
    from training.shipping import halve

    halve(out)
    if as_json:
        typer.echo(json.dumps({"checkpoint": str(out), "steps": steps}))
    else:
        typer.echo(f"checkpoint in {out}", err=True)
