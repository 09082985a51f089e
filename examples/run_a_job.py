"""A job from Python, from practice scenes to a saved map: `python examples/run_a_job.py OUT`."""

import sys
from pathlib import Path

import remotereasoner as rr

folder = Path(sys.argv[1])

# Scenes whose truth is known. With your own imagery, leave this out and name its files or s3:// addresses.
rr.write_practice(str(folder / "practice"), scenes=1, size_px=640, seed=5)
scenes = folder / "practice" / "scenes" / "*.tif"
questions = ["what carries travellers above the clouds?", "which white drums store liquid?"]

# What it would do, before it does anything.
print(rr.plan(scenes, ask=questions))

# Stopped or killed? The same call goes on from there; where all is done it does nothing.
# A small job is quicker in a plain loop than on Ray, which is the default.
result = rr.run(scenes, ask=questions, out=folder / "answers", engine="loop")
print(result)

# One row an object: outline, box and contour are geometries.
objects = result.objects()
largest = objects.sort_values("area_m2", ascending=False).head(3)
print(largest[["query", "score", "area_m2", "thinking"]].to_string(index=False))

# Anything else in SQL; its views are objects, answers, texts and changes.
print(
    result.query("SELECT status, count(*) AS answers FROM answers GROUP BY 1 ORDER BY 1").to_string(
        index=False
    )
)

# Every planned tile has its row, and every file can be read.
report = result.check()
print(f"complete: {report.complete}, valid: {report.valid}")

print(result.map().save(folder / "map.html"))
print(result.export(folder / "objects.gpkg"))
