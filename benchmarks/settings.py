"""The settings of the benchmarks: how large and how often to measure."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What all benchmarks of one call share."""

    out: Path
    """Folder of scenes (kept for the next call), runs and results."""
    size_px: int = 10_000
    """Side of the scene that is read, pixels."""
    times_larger: int = 3
    """Side of the large scene over the side of the other."""
    repeats: int = 5
    """Rounds, each of which measures every variant once."""
    budget_s: float = 110.0
    """No further round starts once a benchmark would run longer than this, seconds."""
    chunk_px: int = 4096
    """Side of a chunk, pixels."""
    pattern_px: int = 1024
    """Side of the practice scene that is repeated, pixels."""
    memory_engine: str = "ray"
    """Engine of the runs whose memory is watched."""
    sft_steps: int = 14
    """Supervised steps of a run, the first three not counted."""
    grpo_steps: int = 5
    """Steps of policy optimisation, the first and the last not counted."""
    group: int = 8
    """Completions of a question, and questions of a step of policy optimisation."""
    scale_scenes: int = 5_200
    """Scenes of the large plan, of 196 tiles each."""
    scale_headers: int = 300
    """Headers that are read."""
    scale_tiles: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Tiles of the runs whose driver is watched."""
    batch: int = 32
    """Images of a supervised step."""
    objects: int = 3_000_000
    """Objects of the result that is queried."""
    show_objects: int = 1_000_000
    """Objects on the map that is opened in a browser."""

    merge_sizes: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    """Fragments whose merge is watched as they grow."""
    merge_peers: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Fragments that other ways merge too."""

    @property
    def large_px(self) -> int:
        """Side of the large scene, pixels."""
        return self.size_px * self.times_larger


def quick(out: Path) -> Settings:
    """Small sizes and one round, to check that everything works; the figures have no meaning.

    Only one run starts Ray: the memory of the plain loop is watched instead.
    """
    return Settings(
        out, size_px=1200, times_larger=2, repeats=1, chunk_px=1000, pattern_px=256, memory_engine="loop",
        sft_steps=5, grpo_steps=3, group=2, batch=4, scale_scenes=20, scale_headers=5, scale_tiles=(10_000,),
        show_objects=22_000, objects=30_000, merge_sizes=(5_000, 20_000), merge_peers=(5_000,),
    )  # fmt: skip
