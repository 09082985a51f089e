"""Finds the model of a name and loads it on the engine that runs it; torch is imported only for that."""

import os
import platform
from pathlib import Path

from reasoner.engines.null import NullReasoner, NullSegmenter
from reasoner.engines.openai_engine import OpenAIReasoner, endpoint_of
from reasoner.errors import ModelError
from reasoner.model_files import Role, check_found, find_model, read_json, weights_digest
from reasoner.model_name import ModelCard, ModelKind, ModelName
from reasoner.profiles import PROFILES, Profile, profile_for, profile_named
from reasoner.protocols import Reasoner, Segmenter


def load_reasoner(name: str, *, device: str = "auto", profile: str | None = None, seed: int = 0) -> Reasoner:
    """Load a reasoner.

    Args:
        name: `nano`, `null`, a folder, a hub id or `http://host:port/v1#model`.
        device: a torch device, or `auto` for a GPU where there is one.
        profile: name of the conventions to use instead of the checkpoint's own.
        seed: sent to served models; in-process models answer greedily and need none.

    Raises:
        ModelError: there is no such model or it cannot be loaded.
    """
    kind = ModelName.parse(name).kind
    if kind is ModelKind.NULL:
        return NullReasoner()
    if kind is ModelKind.SERVED:
        return _served(name, profile, seed=seed)
    from reasoner.engines.transformers_engine import open_transformers_reasoner

    folder = find_model(name, Role.REASONER)
    return open_transformers_reasoner(folder, profile_of(name, folder, profile), device=pick_device(device))


def load_segmenter(name: str, *, device: str = "auto") -> Segmenter:
    """Load a segmenter: `nano`, `null`, a folder, a hub id or a released `sam_vit_*.pth` file.

    Raises:
        ModelError: there is no such model or it cannot be loaded.
    """
    if ModelName.parse(name).kind is ModelKind.NULL:
        return NullSegmenter()
    source = find_model(name, Role.SEGMENTER)
    config = read_json(source / "config.json") if source.is_dir() else {}
    if source.is_file() or config.get("kind") == "segment_anything":
        from reasoner.engines.segment_anything import open_original_sam

        return open_original_sam(source, device=pick_device(device))
    from reasoner.engines.transformers_sam import open_transformers_sam

    return open_transformers_sam(source, str(config.get("model_type")), device=pick_device(device))


def check_model(name: str, *, role: Role = Role.REASONER) -> None:
    """Check cheaply that a model can be found, without loading or downloading it.

    Raises:
        ModelError: it cannot; the message says what to give instead.
    """
    kind = ModelName.parse(name).kind
    if kind is ModelKind.NULL:
        return
    if role is Role.REASONER and kind is ModelKind.SERVED:
        endpoint_of(name)
        return
    check_found(name, role)


def describe_reasoner(name: str, *, profile: str | None = None) -> ModelCard:
    """Return digest and tile size of a reasoner without loading it; a hub model is downloaded.

    Raises:
        ModelError: there is no such model.
    """
    if ModelName.parse(name).is_weightless:
        light = load_reasoner(name, profile=profile)
        return ModelCard(name, light.digest, light.tile_px)
    folder = find_model(name, Role.REASONER)
    chosen = profile_of(name, folder, profile)
    return ModelCard(name, f"{weights_digest(folder)}-{chosen.digest}", chosen.tile_px)


def describe_segmenter(name: str) -> ModelCard:
    """Return the digest of a segmenter without loading it; a hub model is downloaded.

    Raises:
        ModelError: there is no such model.
    """
    if ModelName.parse(name).kind is ModelKind.NULL:
        return ModelCard(name, NullSegmenter().digest, 0)
    return ModelCard(name, weights_digest(find_model(name, Role.SEGMENTER)), 0)


def weights_bytes(name: str, *, role: Role = Role.REASONER) -> int:
    """Bytes of a model's weights as they lie on disk; a hub model is downloaded.

    Raises:
        ModelError: there is no such model.
    """
    found = find_model(name, role)
    files = [found] if found.is_file() else found.glob("*.safetensors")
    return sum(file.stat().st_size for file in files)


def pick_device(device: str) -> str:
    """Return the torch device to use: the one given, or for `auto` a GPU where there is one."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        # Sums differ in their last bits with the number of threads: the same in every process that loads.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    return device


def device_name(device: str) -> str:
    """What a torch device is, in words: a GPU's product name, or the processor and its threads."""
    import torch

    if pick_device(device).startswith("cuda"):
        return str(torch.cuda.get_device_name(device if ":" in device else None))
    return f"{platform.machine()} CPU, threads: {torch.get_num_threads()}"


def _served(name: str, profile: str | None, *, seed: int) -> OpenAIReasoner:
    endpoint = endpoint_of(name, api_key=os.environ.get("OPENAI_API_KEY", ""), seed=seed)
    chosen = profile_named(profile) if profile else _profile_of_served(endpoint.model)
    return OpenAIReasoner(endpoint, chosen)


def _profile_of_served(model: str) -> Profile:
    plain = model.lower()
    # The most special names come first: a RemoteReasoner may also name the model it was trained from.
    found = next(
        (key for key in ("think2seg", "remotereasoner", "qwen3-vl", "qwen2.5-vl") if key in plain), None
    )
    if found is None:
        raise ModelError(
            f"the conventions of {model!r} are not known: say one of {', '.join(PROFILES)} with --profile"
        )
    return PROFILES[found]


def profile_of(name: str, folder: Path, profile: str | None) -> Profile:
    """Return the conventions of the checkpoint a name was resolved to, or those that are asked for.

    Raises:
        ModelError: the conventions are not known.
    """
    if profile:
        return profile_named(profile)
    args = folder / "args.json"
    return profile_for(
        name, read_json(folder / "config.json"), args=read_json(args) if args.is_file() else None
    )
