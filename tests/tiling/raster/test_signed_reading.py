"""Claim: a signature that runs out in the middle of a scene costs a fresh one, and no pixel."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.servers.signed_files import SECRET, answers, signed_files
from tests.worlds.practice import write_tiled
from tiling.errors import SceneError
from tiling.geo.geobox import working_grid
from tiling.grid import Grid
from tiling.raster.chunks import read_chunk
from tiling.raster.describe import describe_scene
from tiling.raster.header import DEFAULT_OPTIONS, Limits, OpenOptions
from tiling.scene import Scene

SIGNED = OpenOptions(Limits(drivers=("GTiff", "HTTP")), sign="tests.servers.signed_files:sign")


def pixels_of(scene: Scene, options: OpenOptions) -> list[bytes]:
    """Pixels of every chunk; every tile must be readable."""
    work = working_grid(scene, gsd_m=None)
    images = [
        read_chunk(scene, work, chunk, scaling=None, options=options)
        for chunk in Grid("scene", work.width, work.height, 64, 16, 128).chunks()
    ]
    assert not any(image.failed for image in images)
    return [np.ascontiguousarray(image.pixels).tobytes() for image in images]


@pytest.mark.parametrize("lasts", [7, 10, 13])
def test_a_signature_that_runs_out_is_renewed_in_the_middle_of_a_scene(tmp_path: Path, lasts: int) -> None:
    path = write_tiled(tmp_path / "a.tif")
    with signed_files(tmp_path, lasts=lasts) as url:
        scene = describe_scene(f"{url}/a.tif", options=SIGNED)
        assert scene.bands[0].uri == scene.uri == f"{url}/a.tif"
        found = pixels_of(scene, SIGNED)
    assert found == pixels_of(describe_scene(str(path)), DEFAULT_OPTIONS)
    assert answers(tmp_path)["403"] > 0


def test_a_handle_kept_open_does_not_outlive_leave_without_a_word(tmp_path: Path) -> None:
    write_tiled(tmp_path / "a.tif")
    refused = replace(SIGNED, sign="tests.servers.signed_files:sign_badly")
    with signed_files(tmp_path, lasts=100) as url:
        scene = describe_scene(f"{url}/a.tif", options=SIGNED)
        work = working_grid(scene, gsd_m=None)
        (chunk,) = Grid("scene", work.width, work.height, 512, 0, 512).chunks()
        image = read_chunk(scene, work, chunk, scaling=None, options=refused)
        with pytest.raises(SceneError, match=r"HTTP response code: 403.*--sign"):
            describe_scene(f"{url}/a.tif", options=refused)
    (reason,) = image.failed.values()
    assert "403" in reason
    assert SECRET not in reason
