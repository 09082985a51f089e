"""Turns tiles into token sequences: several questions of one image in one sequence, blind to one another.

Letters: B images, S tokens, Q questions, N tokens of the vocabulary's numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from training.data import CATALOGUE, PRACTICE_CLASSES, UNIONS, ObjectClass, TrainingTile
from training.sft.nano import BOS, EOS, IMAGE, VISION_END, VISION_START, NanoShape, token_id


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer in words."""

    prompt: str
    """The user's words after the image."""
    answer: str
    """What the model should write."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one training step needs."""

    input_ids: torch.Tensor
    """(B, S) int64."""
    labels: torch.Tensor
    """(B, S) int64, the token to be written after each place; -100 where none is asked."""
    attention: torch.Tensor
    """(B, 1, S, S) bool, True where a token may attend."""
    positions: torch.Tensor
    """(3, B, S) int64, time, row and column of the rotary embedding."""
    pixels: torch.Tensor
    """(B · patches, channels · 2 · patch²) float32, the processor's layout."""
    grids: torch.Tensor
    """(B, 3) int64, the processor's image_grid_thw."""


def locate_turn(object_class: ObjectClass, boxes: Sequence[Sequence[int]], question: str) -> Turn:
    """Question and answer of the locate task, in the reference dialect."""
    listed = (
        "[[" + "],[".join(",".join(str(int(v)) for v in box) for box in boxes) + "]]" if len(boxes) else "[]"
    )
    return Turn(f"locate : {question}", f"<think> {object_class.reason} </think> <answer> {listed} </answer>")


def caption_turn(tile: TrainingTile) -> Turn:
    """Caption of a tile: how many of what."""
    counts = np.bincount(tile.classes, minlength=len(CATALOGUE))
    parts = [f"{n} {CATALOGUE[k].noun_plural}" for k, n in enumerate(counts) if n]
    text = " and ".join(parts) if parts else "open ground"
    return Turn("caption :", f"<think> look for things </think> <answer> {text} </answer>")


def count_turn(tile: TrainingTile, class_number: int) -> Turn:
    """Question of how many there are of one class."""
    object_class = CATALOGUE[class_number]
    n = int((tile.classes == class_number).sum())
    answer = f"<think> {object_class.reason} </think> <answer> {n} </answer>"
    return Turn(f"answer : how many {object_class.noun_plural} are there?", answer)


def all_texts() -> list[str]:
    """Every text the closed vocabulary must hold."""
    texts = ["locate : caption : answer : how many are there? look for things open ground and"]
    for object_class in CATALOGUE:
        texts += [
            object_class.reason,
            object_class.noun_plural,
            object_class.name.replace("_", " "),
            *object_class.wordings,
            *object_class.held_out,
            *object_class.reward_only,
        ]
    for union in UNIONS:
        texts += [*union.reward_only, *union.held_out]
    return texts


def turns_of(tile: TrainingTile, rng: np.random.Generator, *, most: int = 6) -> list[Turn]:
    """Questions on what is there and what is not, in balance, now and then a caption or a count."""
    present = rng.permutation(np.intersect1d(tile.classes, tile.known))[: most - 1]
    absent = rng.permutation(np.setdiff1d(tile.known, tile.classes))
    n_absent = max(1, min(most - len(present), round(len(present) * 0.8) or 2))
    turns = [_locate(tile, int(k), rng) for k in [*present, *absent[:n_absent]]]
    if rng.random() < 0.15 and len(tile.known) >= len(PRACTICE_CLASSES):
        turns.append(caption_turn(tile))
    if rng.random() < 0.15 and tile.known:
        turns.append(count_turn(tile, int(rng.choice(tile.known))))
    return turns


def _locate(tile: TrainingTile, number: int, rng: np.random.Generator) -> Turn:
    object_class = CATALOGUE[number]
    question = object_class.wordings[rng.integers(len(object_class.wordings))]
    return locate_turn(object_class, tile.boxes[tile.classes == number].tolist(), question)


class Packer:
    """Packs tiles and turns into batches for one tokenizer and shape."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, shape: NanoShape) -> None:
        self._tokenizer = tokenizer
        self._shape = shape
        self._eos = token_id(tokenizer, EOS)
        image = [token_id(tokenizer, IMAGE)] * shape.image_tokens
        start, end = token_id(tokenizer, VISION_START), token_id(tokenizer, VISION_END)
        self._prefix = [token_id(tokenizer, BOS), start, *image, end]
        self._prefix_positions = _prefix_positions(shape)
        self._cache: dict[str, list[int]] = {}

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, remembered."""
        if text not in self._cache:
            self._cache[text] = self._answer_ids(text)
        return self._cache[text]

    def pack(self, tiles: Sequence[TrainingTile], turns: Sequence[Sequence[Turn]]) -> Batch:
        """One sequence per tile: its image once, then its turns, each seeing only the image and itself."""
        rows = [self._row(row) for row in turns]
        length = max(len(row[0]) for row in rows)
        batch = len(rows)
        input_ids = torch.zeros(batch, length, dtype=torch.long)
        labels = torch.full((batch, length), -100)
        positions = torch.zeros(3, batch, length, dtype=torch.long)
        segment = torch.full((batch, length), -1)
        for i, (ids, wanted, where, part) in enumerate(rows):
            n = len(ids)
            input_ids[i, :n] = torch.tensor(ids)
            labels[i, :n] = torch.tensor(wanted)
            positions[:, i, :n] = torch.from_numpy(where)
            segment[i, :n] = torch.tensor(part)
        pixels, grids = patches([tile.pixels for tile in tiles], self._shape)
        return Batch(input_ids, labels, isolation(segment), positions, pixels, grids)

    def _row(self, turns: Sequence[Turn]) -> tuple[list[int], list[int], NDArray[np.int64], list[int]]:
        ids, wanted = list(self._prefix), [-100] * len(self._prefix)
        where, part = [self._prefix_positions], [0] * len(self._prefix)
        start = int(self._prefix_positions.max()) + 1
        for number, turn in enumerate(turns, start=1):
            prompt, answer = self.ids(turn.prompt), [*self._answer_ids(turn.answer), self._eos]
            ids += prompt + answer[:-1]
            wanted += [-100] * (len(prompt) - 1) + answer
            n = len(prompt) + len(answer) - 1
            where.append(np.tile(np.arange(start, start + n), (3, 1)))
            part += [number] * n
        return ids, wanted, np.concatenate(where, axis=1), part

    def _answer_ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def isolation(segment: torch.Tensor) -> torch.Tensor:
    """(B, 1, S, S) bool: causal, each turn sees the prefix (segment 0) and itself; padding sees itself."""
    length = segment.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    same = segment[:, :, None] == segment[:, None, :]
    prefix = (segment == 0)[:, None, :] & (segment >= 0)[:, :, None]
    return ((same | prefix) & causal)[:, None]


def patches(images: Sequence[NDArray[np.uint8]], shape: NanoShape) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut images (tile, tile, 3) into the processor's patch layout; bit for bit what it would give."""
    side, grid = shape.patch_px, shape.tile_px // shape.patch_px
    x_bchw = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    batch = x_bchw.shape[0]
    x = x_bchw[:, None].expand(batch, 2, 3, shape.tile_px, shape.tile_px)
    x = x.reshape(batch, 1, 2, 3, grid // 2, 2, side, grid // 2, 2, side)
    x = x.permute(0, 1, 4, 7, 5, 8, 3, 2, 6, 9).reshape(batch * grid * grid, 3 * 2 * side * side)
    return x, torch.tensor([[1, grid, grid]] * batch)


def _prefix_positions(shape: NanoShape) -> NDArray[np.int64]:
    side = shape.tile_px // shape.patch_px // 2
    rows, columns = np.divmod(np.arange(side * side), side)
    image = np.stack([np.zeros_like(rows), rows, columns]) + 2
    ends = np.array([[0, 1], [0, 1], [0, 1]])
    return np.concatenate([ends, image, np.full((3, 1), side + 2)], axis=1)
