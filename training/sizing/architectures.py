"""Models as shapes without weights: the known bases, or any checkpoint's config.json, on the meta device.

Built on the meta device: no weights, network or GPU are needed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import try_to_load_from_cache

from reasoner.errors import ModelError
from reasoner.model_files import Role, find_model, read_json
from training import RecipeError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

_SHIPPED = Path(__file__).parents[1] / "recipes" / "architectures"


@dataclass(frozen=True, slots=True)
class Tower:
    """A stack of equal transformer layers."""

    layers: int
    """How many."""
    hidden: int
    """Width of the residual stream."""
    inner: int
    """Width inside the feed-forward part."""
    heads: int
    """Query heads."""
    kv_heads: int
    """Key and value heads."""
    head_dim: int
    """Width of a head."""


@dataclass(frozen=True, slots=True)
class Dims:
    """The sizes of a model of images and words that memory depends on."""

    text: Tower
    """The language model."""
    vision: Tower
    """The vision tower."""
    vocab: int
    """Words in the vocabulary."""
    patch_px: int
    """Side of a patch, pixels."""
    merge: int
    """Patches along each side of an image token."""

    @property
    def token_px(self) -> int:
        """Side of an image token, pixels."""
        return self.patch_px * self.merge


def shipped_architectures() -> tuple[str, ...]:
    """Names of the architectures that come with the package."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.json")))


def config_file(source: str) -> Path:
    """The config.json behind a name, nothing downloaded.

    Args:
        source: a shipped architecture, `nano`, a folder with config.json, or a hub id whose config is cached.

    Raises:
        RecipeError: there is none.
    """
    if source in shipped_architectures():
        return _SHIPPED / f"{source}.json"
    folder = find_model(source, Role.REASONER) if source == "nano" else Path(source).expanduser()
    if (folder / "config.json").is_file():
        return folder / "config.json"
    cached = _cached(source)
    if cached is None:
        known = ", ".join(shipped_architectures())
        raise RecipeError(
            f"no architecture {source!r}: it is neither a folder with config.json nor in the hub's cache; "
            f"name one of {known} as architecture"
        )
    return cached


def build_on_meta(source: str) -> "PreTrainedModel":
    """Build a model of images and words whose tensors have shapes and no contents.

    Args:
        source: as `config_file` takes it.

    Raises:
        RecipeError: there is no such architecture, or it is not one of images and words.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    path = config_file(source)
    fields = dict(_object(path))
    try:
        config = AutoConfig.for_model(str(fields.pop("model_type", None)), **fields)
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error).splitlines()[0][:200]
        raise RecipeError(
            f"{path} is not an architecture of images and words known here: {reason}"
        ) from error
    return model


def count_parameters(model: "nn.Module", *, trainable: bool = False) -> int:
    """Numbers in all weights, or in those that are trained; shared weights count once."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad or not trainable)


def dims_of(config: "PreTrainedConfig") -> Dims:
    """The sizes a config states.

    Raises:
        RecipeError: it has no vision tower.
    """
    vision = getattr(config, "vision_config", None)
    if vision is None:
        raise RecipeError(f"a {config.model_type!r} has no vision tower: it cannot look at images")
    words = config.get_text_config()
    width = getattr(words, "head_dim", None) or words.hidden_size // words.num_attention_heads
    text = Tower(
        layers=words.num_hidden_layers,
        hidden=words.hidden_size,
        inner=words.intermediate_size,
        heads=words.num_attention_heads,
        kv_heads=words.num_key_value_heads,
        head_dim=width,
    )
    return Dims(text, _vision(vision), words.vocab_size, vision.patch_size, vision.spatial_merge_size)


def _vision(vision: "PreTrainedConfig") -> Tower:
    return Tower(
        layers=vision.depth,
        hidden=vision.hidden_size,
        inner=vision.intermediate_size,
        heads=vision.num_heads,
        kv_heads=vision.num_heads,
        head_dim=vision.hidden_size // vision.num_heads,
    )


def _object(path: Path) -> dict[str, object]:
    try:
        return dict(read_json(path))
    except ModelError as error:
        raise RecipeError(str(error)) from error


def _cached(source: str) -> Path | None:
    try:
        found = try_to_load_from_cache(source, "config.json")
    except ValueError:
        return None
    return Path(found) if isinstance(found, str) else None
