"""What a Ray worker lends a policy optimisation: masks from an actor, and a trainer fit for the cluster."""

from training.grpo import Parts
from training.grpo_recipe import GrpoRecipe
from training.launching.ray_launch import prepared
from training.launching.ray_masks import MaskActorOptions, start_masks


def parts_on_ray(recipe: GrpoRecipe) -> Parts:
    """Start the segmenter's actor where the recipe's reward looks at masks.

    Raises:
        LaunchError: the actor cannot be started.
        ModelError: there is no such segmenter.
    """
    if not recipe.weights.get("mask"):
        return Parts(prepare=prepared)
    # No core is claimed: the worker waits while the actor works.
    return Parts(masks=start_masks(MaskActorOptions(recipe.segmenter, cpus=0.0)), prepare=prepared)
