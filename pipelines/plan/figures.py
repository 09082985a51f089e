"""The figures of a plan that `plan` prints, on the command line and in Python."""

from dataclasses import dataclass

from pipelines.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanFigures:
    """What a run would do."""

    scenes: int
    """Scenes planned."""
    tiles: int
    """Tiles planned, of all scenes."""
    chunks: int
    """Chunks they are read in."""
    questions: int
    """Questions asked of every tile."""
    model_calls: int
    """Maximum number of the reasoner's answers: tiles times questions."""
    gigabytes: float
    """Decoded data to read, in 1e9 bytes."""
    tile: int
    """Side of a tile, pixels."""
    overlap: int
    """Overlap of neighbouring tiles, pixels."""
    gsd: float
    """Metres per pixel that the first scene is read at."""
    reasoner: str
    """Name of the reasoner."""
    segmenter: str
    """Name of the segmenter."""
    run_id: str
    """Digest of what the answers are made with."""


def plan_figures(plan: Plan) -> PlanFigures:
    """The figures of a plan."""
    first = plan.scenes[0]
    return PlanFigures(
        scenes=len(plan.scenes),
        tiles=plan.n_tiles,
        chunks=len(plan.chunks),
        questions=len(plan.queries),
        model_calls=plan.n_model_calls,
        gigabytes=round(plan.read_bytes / 1e9, 3),
        tile=first.grid.tile_px,
        overlap=first.grid.overlap_px,
        gsd=round(first.work.gsd, 4),
        reasoner=plan.reasoner.name,
        segmenter=plan.segmenter.name,
        run_id=plan.run_id,
    )
