"""The training commands: parse, read the recipe, make one call. Mounted by the product's command line."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

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
    import torch

    from training.pool import draw_pool
    from training.recipe_files import read_sft
    from training.sft import print_report, train_reasoner

    taught, pool, threads = read_sft(recipe)
    scenes = draw_pool(pool, workers=os.cpu_count() or 1)
    torch.set_num_threads(threads)
    train_reasoner(taught, scenes, out=out, report=print_report())
    _finish(out, taught.steps, as_json=as_json)


@app.command()
def segmenter(recipe: Recipe, out: Out, as_json: AsJson = False) -> None:
    """Teach a nano segmenter from nothing.

    Example: remotereasoner train segmenter training/recipes/nano-segmenter.yaml --out my-segmenter
    """
    import torch

    from training.pool import draw_pool
    from training.recipe_files import read_segmenter
    from training.segmenter import train_segmenter
    from training.sft import print_report

    taught, pool, threads = read_segmenter(recipe)
    scenes = draw_pool(pool, workers=os.cpu_count() or 1)
    torch.set_num_threads(threads)
    train_segmenter(taught, scenes, out=out, report=print_report())
    _finish(out, taught.steps, as_json=as_json)


def _finish(out: Path, steps: int, *, as_json: bool) -> None:
    from training.shipping import halve

    halve(out)
    if as_json:
        typer.echo(json.dumps({"checkpoint": str(out), "steps": steps}))
    else:
        typer.echo(f"checkpoint in {out}", err=True)
