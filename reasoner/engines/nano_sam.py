"""How a small Segment Anything model is described, built, saved and loaded.

The shapes are those of `segment_anything.modeling`; a folder holds config.json and model.safetensors.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors.torch import load_file, save_file
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from reasoner.errors import ModelError

KIND = "segment_anything"
"""What config.json says under `kind`."""


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The image encoder: a plain vision transformer with windowed attention."""

    patch_size: int = 4
    """Side of one token, pixels of the model's image."""
    embed_dim: int = 96
    """Width of the transformer."""
    depth: int = 4
    """Number of blocks."""
    num_heads: int = 3
    """Attention heads per block."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLPs over `embed_dim`."""
    window_size: int = 8
    """Side of an attention window in tokens; blocks in `global_attn_indexes` ignore it."""
    global_attn_indexes: tuple[int, ...] = (3,)
    """Blocks that attend over the whole image."""
    out_chans: int = 64
    """Channels of the image embedding; also the width of prompts and decoder."""
    use_rel_pos: bool = True
    """Relative positions in attention."""


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """Prompt encoder and mask decoder."""

    mask_in_chans: int = 8
    """Hidden channels of the mask prompt."""
    transformer_depth: int = 2
    """Layers of the two-way transformer."""
    transformer_mlp_dim: int = 256
    """Hidden width of its MLPs."""
    transformer_num_heads: int = 4
    """Its attention heads."""
    num_multimask_outputs: int = 3
    """Masks for ambiguous prompts, beside the single one."""
    iou_head_depth: int = 2
    """Layers of the head that predicts a mask's IoU."""
    iou_head_hidden_dim: int = 64
    """Hidden width of that head."""


@dataclass(frozen=True, slots=True)
class SamConfig:
    """A whole Segment Anything model; the defaults are the embedded nano segmenter."""

    image_size: int = 128
    """Side of the square image the model sees, pixels."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """Image encoder."""
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    """Prompt encoder and mask decoder."""
    pixel_mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    """Subtracted from red, green, blue (0 to 255)."""
    pixel_std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    """Divides red, green, blue after the mean."""

    @property
    def grid(self) -> int:
        """Side of the token grid."""
        return self.image_size // self.encoder.patch_size


_PARTS: Mapping[str, Callable[..., object]] = {"encoder": EncoderConfig, "decoder": DecoderConfig}


def build_sam(config: SamConfig) -> Sam:
    """Build a randomly initialised model on the CPU, in training mode."""
    return Sam(
        image_encoder=_image_encoder(config),
        prompt_encoder=_prompt_encoder(config),
        mask_decoder=_mask_decoder(config),
        pixel_mean=list(config.pixel_mean),
        pixel_std=list(config.pixel_std),
    )


def save_sam(sam: Sam, config: SamConfig, folder: Path | str) -> None:
    """Write config.json and model.safetensors into `folder`, made if missing; dtypes are kept."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    described = {"kind": KIND, **dataclasses.asdict(config)}
    (target / "config.json").write_text(json.dumps(described, indent=2) + "\n")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in sam.state_dict().items()}
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})


def load_sam(folder: Path | str) -> Sam:
    """Load what `save_sam` wrote: float32, on the CPU, in evaluation mode.

    Raises:
        ModelError: the folder's config or weights are missing or do not describe such a model.
    """
    sam = build_sam(read_config(folder))
    weights = Path(folder) / "model.safetensors"
    if not weights.is_file():
        raise ModelError(f"{weights} is missing: a segmenter folder holds config.json and model.safetensors")
    try:
        sam.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    except RuntimeError as error:
        raise ModelError(f"{weights} does not fit the config.json beside it: {error}") from error
    return sam.float().eval()


def read_config(folder: Path | str) -> SamConfig:
    """Read a segmenter folder's config.json.

    Raises:
        ModelError: it is missing, not JSON, of another kind, or names unknown fields.
    """
    path = Path(folder) / "config.json"
    try:
        described = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(described, dict) or described.get("kind") != KIND:
        raise ModelError(f'{path} does not say "kind": "{KIND}"')
    try:
        return _config_of(described)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path} does not describe a segmenter: {error}") from error


def _config_of(described: Mapping[str, object]) -> SamConfig:
    fields = {key: _tupled(value) for key, value in described.items() if key not in ("kind", *_PARTS)}
    for name, build in _PARTS.items():
        part = described.get(name, {})
        if not isinstance(part, dict):
            raise ValueError(f"{name} is {part!r}, not an object")
        fields[name] = build(**{key: _tupled(value) for key, value in part.items()})
    # The keys come from a file: one that SamConfig does not have is a TypeError, which the caller turns.
    return SamConfig(**fields)  # type: ignore[arg-type]


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _image_encoder(config: SamConfig) -> ImageEncoderViT:
    return ImageEncoderViT(
        img_size=config.image_size, qkv_bias=True, use_abs_pos=True, **dataclasses.asdict(config.encoder)
    )


def _prompt_encoder(config: SamConfig) -> PromptEncoder:
    return PromptEncoder(
        embed_dim=config.encoder.out_chans,
        image_embedding_size=(config.grid, config.grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=config.decoder.mask_in_chans,
    )


def _mask_decoder(config: SamConfig) -> MaskDecoder:
    decoder = config.decoder
    transformer = TwoWayTransformer(
        depth=decoder.transformer_depth,
        embedding_dim=config.encoder.out_chans,
        num_heads=decoder.transformer_num_heads,
        mlp_dim=decoder.transformer_mlp_dim,
    )
    return MaskDecoder(
        transformer_dim=config.encoder.out_chans,
        transformer=transformer,
        num_multimask_outputs=decoder.num_multimask_outputs,
        iou_head_depth=decoder.iou_head_depth,
        iou_head_hidden_dim=decoder.iou_head_hidden_dim,
    )
