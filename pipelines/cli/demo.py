"""The commands `practice`, which draws practice scenes, and `demo`, which runs everything on them."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipelines.cli.console import AsJson, progress_bar, say, say_facts, say_json, say_table

if TYPE_CHECKING:
    from pipelines import DemoReport


def practice_command(
    out: Annotated[str, typer.Argument(help="folder to write to, local or s3://")],
    scenes: Annotated[int, typer.Option(help="how many scenes")] = 4,
    size: Annotated[int, typer.Option(help="side of each, pixels")] = 1024,
    seed: Annotated[int, typer.Option(help="seed of the scenes")] = 0,
    empty: Annotated[int, typer.Option(help="so many of them hold no objects")] = 0,
    crs: Annotated[
        list[str] | None, typer.Option(help="CRS of the scenes, in turn (default: EPSG:32631)")
    ] = None,
    collar: Annotated[bool, typer.Option("--collar", help="a tilted frame without data")] = False,
    as_json: AsJson = False,
) -> None:
    """Write practice scenes with exact truth and questions.

    Example: [bold]remotereasoner practice practice --scenes 4 --size 1024[/bold]
    """
    from training.scenery import write_practice

    systems = tuple(crs or ("EPSG:32631",))
    write_practice(
        out, scenes=scenes, size_px=size, seed=seed, empty=empty, crs=systems, nodata_collar=collar
    )
    facts = {"scenes": f"{out}/scenes", "truth": f"{out}/truth.parquet", "questions": f"{out}/questions.json"}
    say_facts("practice", facts, as_json=as_json)


def demo_command(
    out: Annotated[str, typer.Option(help="folder for scenes and result")] = "remotereasoner-demo",
    seed: Annotated[int, typer.Option(help="seed of the scenes")] = 0,
    engine: Annotated[Literal["ray", "loop"], typer.Option(help="ray or loop")] = "ray",
    oracle: Annotated[
        bool, typer.Option("--oracle", help="exact models in place of the embedded ones")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try everything on this machine: practice scenes, two questions, a score, a map.

    Example: [bold]remotereasoner demo[/bold]
    """
    from pipelines import DemoRequest, run_demo
    from pipelines.plan import Engine

    request = DemoRequest(out, seed=seed, engine=Engine(engine), oracle=oracle)
    with progress_bar() as listener:
        report = run_demo(_demo_scenes, request, listener=listener)
    if as_json:
        say_json(demo_facts(report))
    else:
        say_demo(report)


def _demo_scenes(folder: str, seed: int) -> None:
    from training.scenery import write_practice

    write_practice(folder, scenes=2, size_px=1024, seed=seed)


def demo_facts(report: "DemoReport") -> dict[str, object]:
    """The demo's report as JSON values."""
    scores = {
        text: {**asdict(score), "precision": score.precision, "recall": score.recall, "f1": score.f1}
        for text, score in report.scores.items()
    }
    return {**asdict(report.run), "scores": scores, "objects_files": list(report.objects), "map": report.map}


def say_demo(report: "DemoReport") -> None:
    """Print the demo's report for people."""
    header = ("question", "true", "found", "right", "precision", "recall", "F1")
    rows = [
        (
            text,
            score.true,
            score.found,
            score.right,
            *(f"{x:.2f}" for x in (score.precision, score.recall, score.f1)),
        )
        for text, score in report.scores.items()
    ]
    say_table("found against the truth (IoU 0.5)", header, rows)
    for name in report.objects:
        say(f"GeoParquet   {name}")
    say(f"map          {report.map}")
    out = report.run.out
    say(
        "DuckDB       SELECT query, count(*), sum(area_m2) "
        f"FROM read_parquet('{out}/objects/*/*/*.parquet', hive_partitioning=false) GROUP BY 1"
    )
    say(f"next         {report.next}")
