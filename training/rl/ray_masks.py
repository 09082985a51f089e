"""A maker of masks in one Ray actor, which every training worker may call; masks as at inference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError, RayTaskError

from training import LaunchError
from training.launching import prepared
from training.rl.grpo import TrainerHooks
from training.rl.grpo_recipe import GrpoRecipe
from training.rl.mask_union import SegmenterMasks


def parts_on_ray(recipe: GrpoRecipe) -> TrainerHooks:
    """Start the segmenter's actor where the recipe's reward compares masks.

    Raises:
        LaunchError: the actor cannot be started.
        ModelError: there is no such segmenter.
    """
    if not recipe.weights.get("mask"):
        return TrainerHooks(prepare=prepared)
    # No core is claimed: the worker waits while the actor works.
    return TrainerHooks(masks=start_masks(MaskActorOptions(recipe.segmenter, cpus=0.0)), prepare=prepared)


if TYPE_CHECKING:
    from ray.actor import ActorHandle

RETRIES = 3
"""Further tries of a call whose actor died; it is started again each time."""


@dataclass(frozen=True, slots=True)
class MaskActorOptions:
    """The segmenter of the actor and the resources that it reserves."""

    segmenter: str
    """`nano`, a folder, a hub id or a released `.pth` file, as everywhere."""
    centre_points: bool = False
    """The segmenter is given each box's centre beside the box."""
    cpus: float = 1.0
    """Cores; may be a share of one."""
    gpus: float = 0.0
    """GPUs; may be a share of one, beside a training worker."""


class MaskActor:
    """Keeps one loaded segmenter in a worker process, and loads it again when it is restarted."""

    def __init__(self, options: MaskActorOptions) -> None:
        self._options = options
        self._maker: SegmenterMasks | None = None

    def load(self) -> SegmenterMasks:
        """Load the segmenter unless it is loaded."""
        if self._maker is None:
            from reasoner.loading import load_segmenter

            segmenter = load_segmenter(self._options.segmenter)
            self._maker = SegmenterMasks(segmenter, centre_points=self._options.centre_points)
        return self._maker

    def ready(self) -> None:
        """Return once the segmenter is loaded."""
        self.load()

    def union_masks(
        self, pixels: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.bool_]]:
        """Return the union of the masks for every image and its boxes."""
        return self.load().union_masks(pixels, boxes)


@dataclass(frozen=True, slots=True)
class RayMasks:
    """A handle on the actor; small, and sent to any number of workers. The actor ends with its starter."""

    actor: "ActorHandle[MaskActor]"
    """The running actor."""

    def union_masks(
        self, pixels: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.bool_]]:
        """Return the union of the masks for every image and its boxes, made by the actor.

        Raises:
            ValueError: there are not as many images as sets of boxes.
            LaunchError: the actor is gone and does not come back.
        """
        handle: Any = self.actor
        unions: list[NDArray[np.bool_]] = _outcome(handle.union_masks.remote(list(pixels), list(boxes)))
        return unions


def start_masks(options: MaskActorOptions) -> RayMasks:
    """Start the actor on the Ray that runs and wait until its segmenter is loaded.

    Raises:
        LaunchError: no Ray runs here, or the actor cannot be started.
        ModelError: there is no such segmenter or it cannot be loaded.
    """
    if not ray.is_initialized():
        raise LaunchError("masks cannot be served: no Ray runs here; start it, or make masks in the worker")
    kind: Any = ray.remote(max_restarts=-1, max_task_retries=RETRIES)(MaskActor)
    actor = kind.options(num_cpus=options.cpus, num_gpus=options.gpus).remote(options)
    _outcome(actor.ready.remote())
    return RayMasks(actor)


def _outcome(reference: "ray.ObjectRef[Any]") -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise error.cause from error
    except RayError as error:
        raise LaunchError(f"the mask actor failed: {str(error)[:300]}") from error
