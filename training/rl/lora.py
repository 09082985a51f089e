"""Low-rank matrices on a model, as a recipe names them: the one place that speaks to peft."""

import re
import warnings
from typing import TYPE_CHECKING

from training import RecipeError
from training.rl.grpo_recipe import LoraRecipe

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from torch import nn
    from transformers import PreTrainedModel

LANGUAGE = "language_model"
"""Part of the dotted name of every layer of the language model."""


def targeted(model: "nn.Module", lora: LoraRecipe) -> dict[str, tuple[int, int]]:
    """Width (in, out) of every linear layer that gets matrices, by its dotted name.

    Raises:
        RecipeError: the model has no linear layer of one of the names.
    """
    from torch import nn

    linear = {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and (lora.vision or LANGUAGE in name.split("."))
    }
    found = {name: widths for name, widths in linear.items() if re.fullmatch(_pattern(lora), name)}
    missing = [each for each in lora.targets if not any(name.endswith(f".{each}") for name in found)]
    if missing:
        has = sorted({name.rpartition(".")[2] for name in linear} - {""})
        raise RecipeError(
            f"lora.targets {', '.join(missing)}: the model's linear layers are {', '.join(has)}"
        )
    return found


def lora_config(model: "nn.Module", lora: LoraRecipe, *, init: bool = True) -> "LoraConfig":
    """The recipe in peft's words, for a model that has its layers.

    Args:
        model: the model that will get the matrices.
        lora: what the recipe asks for.
        init: fill the matrices; False leaves them without contents, for a model that has none either.

    Raises:
        RecipeError: the model has no linear layer of one of the names.
    """
    from peft import LoraConfig

    targeted(model, lora)
    return LoraConfig(
        r=lora.r,
        # peft takes any number here, its annotation says int
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=_pattern(lora),
        init_lora_weights=init,
    )


def with_lora(model: "PreTrainedModel", lora: LoraRecipe, *, init: bool = True) -> "PeftModel":
    """Freeze a model and put the recipe's matrices beside its layers.

    Raises:
        RecipeError: the model has no linear layer of one of the names.
    """
    from peft import PeftModel, get_peft_model

    with warnings.catch_warnings():
        # peft asks transformers 5 for a property under its old name; nothing a user could mend
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(model, lora_config(model, lora, init=init))
    assert isinstance(wrapped, PeftModel)
    return wrapped


def _pattern(lora: LoraRecipe) -> str:
    """Expression that a whole dotted name must match."""
    within = "" if lora.vision else rf"(?:.*\.)?{LANGUAGE}\."
    return rf"{within}.*\.(?:{'|'.join(lora.targets)})"
