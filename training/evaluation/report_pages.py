"""One page of an evaluation's pictures that needs no network: worst, median and best."""

import base64
import html
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reasoner.query import Task
from training.data import Problem
from training.evaluation.evaluate import Evaluation
from training.evaluation.metrics import boundary
from training.evaluation.predict import read_view
from training.evaluation.report_tables import figure_rows
from training.evaluation.scoring import ExampleResult, true_masks, union_of

REPORT_PICTURE_PX = 512
"""Longer side of an embedded picture, pixels; larger ones are shrunk."""
_TRUE, _FOUND = (50, 215, 75), (255, 159, 10)
_RANKED_BY = ("giou", "acc@0.5", "exact")
"""The first of these that an example has decides how good its answer was."""
_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>evaluation</title><style>
body{margin:2em;font:15px/1.4 system-ui,sans-serif;background:#16181d;color:#e6e6e6}
table{border-collapse:collapse;margin:1em 0}td{padding:2px 14px 2px 0}td:nth-child(n+3){text-align:right}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(470px,1fr));gap:1em}
article{background:#20242b;border-radius:8px;padding:1em;overflow-wrap:anywhere}article[hidden]{display:none}
.pair{display:flex;gap:8px}figure{margin:0;flex:1}svg{width:100%;display:block;background:#000}
image{image-rendering:pixelated}rect{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}
.true rect{stroke:#32d74b}.found rect{stroke:#ff9f0a}figcaption,small{color:#9aa0a8}
blockquote{margin:.5em 0;padding-left:.8em;border-left:3px solid #444;max-height:9em;overflow:auto}
h3{margin:0 0 .3em;font-size:1em}</style></head><body>"""
_SCRIPT = """<script>
const kinds=document.querySelector('select');
kinds.onchange=()=>document.querySelectorAll('article').forEach(
  card=>card.hidden=kinds.value!==''&&card.dataset.kind!==kinds.value);
</script>"""


def report_page(evaluation: Evaluation, *, limit: int = 60) -> str:
    """The page as HTML.

    Args:
        evaluation: what to show.
        limit: most pictures: a third of them the worst, a third the middle, a third the best.
    """
    chosen = choose_results(evaluation.results, limit)
    classes = sorted({_class_name(result) for part in chosen.values() for result in part})
    parts = [_HEAD, f"<h1>{len(evaluation.results):,} examples, protocol {evaluation.protocol}</h1>"]
    parts += [_table(evaluation), _filter(classes)]
    for title, results in chosen.items():
        cards = "".join(_card(result, f"{title}{number}") for number, result in enumerate(results))
        parts.append(f"<h2>{title}</h2><main>{cards}</main>")
    return "".join([*parts, _SCRIPT, "</body></html>"])


def choose_results(results: Sequence[ExampleResult], limit: int) -> dict[str, list[ExampleResult]]:
    """The worst, the median and the best answers, each example once, worst first."""
    ranked = sorted(results, key=worth)
    if len(ranked) <= limit:
        third = -(-len(ranked) // 3)
        ends = (third, len(ranked) - third)
        return {"worst": ranked[: ends[0]], "median": ranked[ends[0] : ends[1]], "best": ranked[ends[1] :]}
    third = max(limit // 3, 1)
    start = (len(ranked) - third) // 2
    return {"worst": ranked[:third], "median": ranked[start : start + third], "best": ranked[-third:]}


def worth(result: ExampleResult) -> float:
    """How good an answer was, 0 to 1."""
    for name in _RANKED_BY:
        above, below = result.record.scores.get(name, (0.0, 0.0))
        if below:
            return above / below
    return 0.0


def _table(evaluation: Evaluation) -> str:
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in figure_rows(evaluation.overall)
    )
    return f"<details><summary>figures</summary><table>{rows}</table></details>"


def _filter(classes: Sequence[str]) -> str:
    options = "".join(
        f'<option value="{html.escape(class_name)}">{html.escape(class_name)}</option>'
        for class_name in classes
    )
    return f'<label>show <select><option value="">every kind</option>{options}</select></label>'


def _class_name(result: ExampleResult) -> str:
    return result.example.class_name or str(result.example.query.task)


def _card(result: ExampleResult, name: str) -> str:
    view = read_view(result.example)
    if isinstance(view, Problem):
        return ""
    answered = html.escape(result.answer.text or "")
    wanted = html.escape(result.example.text)
    words = f"<p>said: {answered}</p>" if answered else ""
    words += f"<p>true: {wanted}</p>" if wanted else ""
    thinking = html.escape(result.answer.thinking)
    quote = f"<blockquote>{thinking}</blockquote>" if thinking else ""
    kind, question = html.escape(_class_name(result)), html.escape(result.example.query.text)
    return (
        f'<article data-kind="{kind}"><h3>{question}</h3>'
        f"{_panels(result, view.pixels, name)}{quote}{words}"
        f"<small>{html.escape(_facts(result))}</small></article>"
    )


def _facts(result: ExampleResult) -> str:
    scores = result.record.scores
    shown = [
        f"{name} {scores[name][0] / scores[name][1]:.2f}"
        for name in ("giou", "acc@0.5", "box_giou", "boundary_f@2", "exact", "token_f1")
        if name in scores and scores[name][1]
    ]
    problem = f": {result.answer.problem}" if result.answer.problem else ""
    about = [_class_name(result), f"{result.answer.parse}{problem}", *shown, result.record.key]
    return " · ".join(about)


def _panels(result: ExampleResult, pixels: NDArray[np.uint8], name: str) -> str:
    """Truth and answer side by side, over the same embedded picture; for words the picture alone."""
    height, width = pixels.shape[:2]
    frame = f'<svg viewBox="0 0 {width} {height}">'
    picture = f'<image id="{name}" width="{width}" height="{height}" href="{_png(pixels)}"/>'
    if result.example.query.task is not Task.LOCATE:
        return f'<div class="pair"><figure>{frame}{picture}</svg></figure><figure></figure></div>'
    truth = true_masks(result.example)
    found = None if result.mask is None else result.mask.mask()
    inside = None if truth is None or isinstance(truth, Problem) else union_of(truth)
    left = picture + _overlay(inside, _TRUE) + _rects(result.example.boxes)
    right = f'<use href="#{name}"/>' + _overlay(found, _FOUND) + _rects(result.answer.boxes)
    sides = (("true", left, len(result.example.boxes)), ("found", right, len(result.answer.boxes)))
    figures = [
        f'<figure class="{side}">{frame}{drawn}</svg><figcaption>{side}: {count}</figcaption></figure>'
        for side, drawn, count in sides
    ]
    return f'<div class="pair">{"".join(figures)}</div>'


def _rects(boxes: NDArray[np.float64]) -> str:
    return "".join(
        f'<rect x="{x0:.2f}" y="{y0:.2f}" width="{x1 - x0:.2f}" height="{y1 - y0:.2f}"/>'
        for x0, y0, x1, y1 in boxes
    )


def _overlay(mask: NDArray[np.bool_] | None, colour: tuple[int, int, int]) -> str:
    """A mask as a veil with a firm contour."""
    if mask is None or not mask.any():
        return ""
    height, width = mask.shape
    shown = np.asarray(_shrunk(Image.fromarray(mask))).astype(np.bool_)
    veil = np.zeros((*shown.shape, 4), dtype=np.uint8)
    veil[..., :3] = colour
    veil[..., 3] = np.where(boundary(shown), 230, np.where(shown, 80, 0))
    return f'<image width="{width}" height="{height}" href="{_png(veil)}"/>'


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = BytesIO()
    _shrunk(Image.fromarray(pixels)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _shrunk(image: Image.Image) -> Image.Image:
    way = Image.Resampling.BICUBIC if image.mode == "RGB" else Image.Resampling.NEAREST
    image.thumbnail((REPORT_PICTURE_PX, REPORT_PICTURE_PX), way)
    return image
