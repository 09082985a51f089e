"""How much memory one GPU needs for a step of GRPO, term by term, before anything runs."""

from dataclasses import dataclass

from training.sizing.architectures import Dims, Tower

GB = 1_000_000_000
GPU_BYTES = 80 * GB
"""Memory of the GPU a recipe is held against: the 80 GB of an A100 or H100."""

_BF16, _FP32 = 2, 4
_MOMENTS = 2
_CONTEXT_BYTES = GB
_SLACK = 0.1
_LOGIT_TILE = (4096, 32_768)
_SAMPLING_COPIES = 5


@dataclass(frozen=True, slots=True)
class Load:
    """What one GPU is given."""

    parameters: int
    """Numbers in all weights."""
    trainable: int
    """Numbers that are trained; in low-rank training those of the added matrices."""
    micro_batch: int
    """Completions that go through the model at once while learning."""
    sampled: int
    """Completions sampled at once."""
    prompt_tokens: int
    """Longest prompt with its image, tokens."""
    image_tokens: int
    """Tokens of the largest image after merging; part of the prompt."""
    completion_tokens: int
    """Longest completion, tokens."""
    lora: bool = True
    """The trained numbers stand beside the model's own."""
    bf16: bool = True
    """Compute, and keep frozen weights, in bfloat16."""
    trained_size: int = 4
    """Bytes of each trained number, of its gradient and of each of its two moments."""
    checkpointing: bool = True
    """Layers are computed again in the backward pass instead of kept."""
    reference: bool = False
    """A frozen copy of the starting model is kept (beta above 0 and no LoRA)."""
    workers: int = 1
    """Processes that exchange gradients."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory of one GPU in bytes; learning and sampling take turns, the rest stays."""

    weights: int
    """The model's own weights, and the frozen reference where there is one."""
    trained: int
    """Added matrices; in full training in float32 the bfloat16 copies that autocast makes of weights."""
    gradients: int
    """Gradients, and the buckets through which workers exchange them."""
    optimizer: int
    """Both moments of AdamW."""
    context: int
    """CUDA context, kernels and their workspaces."""
    checkpoints: int
    """Learning: input of every text layer, kept for the backward pass; none without checkpointing."""
    layer: int
    """Learning: everything inside the one text layer that is computed again, and its gradients; without
    checkpointing the insides of all."""
    vision: int
    """Learning: the same two terms for the vision tower."""
    logits: int
    """Learning: a tile of logits, the float32 gradient of its input, in full training that of its weights."""
    cache: int
    """Sampling: keys and values of every layer."""
    prefill: int
    """Sampling: one layer over all prompts, and the vision tower's widest layer over all images."""
    sampling: int
    """Sampling: copies of the last token's logits."""

    @property
    def held(self) -> int:
        """What stays through the whole training."""
        return self.weights + self.trained + self.gradients + self.optimizer + self.context

    @property
    def learning(self) -> int:
        """What learning adds at its peak."""
        return self.checkpoints + self.layer + self.vision + self.logits

    @property
    def generation(self) -> int:
        """What sampling adds at its peak."""
        return self.cache + self.prefill + self.sampling

    @property
    def slack(self) -> int:
        """A tenth of the larger phase, for what the allocator cannot use."""
        return round(_SLACK * max(self.learning, self.generation))

    @property
    def total(self) -> int:
        """Peak memory."""
        return self.held + max(self.learning, self.generation) + self.slack

    def terms(self) -> dict[str, float]:
        """Every term, the phases and the total by name, GB of 10⁹ bytes."""
        names = (*self.__slots__, "held", "learning", "generation", "slack", "total")
        return {name: getattr(self, name) / GB for name in names}


def estimate_footprint(dims: Dims, load: Load) -> Footprint:
    """Estimate the peak of one GPU.

    Matrices added by peft are float32 beside a bfloat16 model; AdamW keeps two moments of the same size.

    Checkpointed learning keeps one input per layer and token and computes one layer again at a time (Chen et
    al. 2016, arXiv:1604.06174; terms of a layer after Korthikanti et al. 2022, arXiv:2205.05198, for gated
    feed-forwards and grouped heads; attention scores are never held by fused kernels). TRL 1.16 projects
    completions to words in tiles of 4096 tokens × 32768 words and keeps no full logits; a tile is bfloat16.

    The cache holds 2 × layers × kv_heads × head_dim numbers for each token of each completion (Shazeer 2019,
    arXiv:1911.02150). Images are repeated for every completion, while learning and while sampling. The vision
    tower counts although it may be frozen: where checkpointing needs gradients of inputs, it gets them too.
    """
    size = _BF16 if load.bf16 else _FP32
    tokens = load.micro_batch * (load.prompt_tokens + load.completion_tokens)
    patches = load.micro_batch * load.image_tokens * dims.merge**2
    return Footprint(
        weights=_weights(load),
        trained=_trained(load),
        gradients=load.trainable * load.trained_size * (2 if load.workers > 1 else 1),
        optimizer=load.trainable * load.trained_size * _MOMENTS,
        context=_CONTEXT_BYTES,
        checkpoints=_checkpoints(dims.text, tokens, size) * load.checkpointing,
        layer=_kept(dims.text, tokens, size, load),
        vision=_checkpoints(dims.vision, patches, size) * load.checkpointing
        + _kept(dims.vision, patches, size, load),
        logits=_logits(dims, load, size),
        cache=_cache(dims.text, load, size),
        prefill=_prefill(dims, load, size),
        sampling=load.sampled * dims.vocab * _FP32 * _SAMPLING_COPIES,
    )


def _weights(load: Load) -> int:
    frozen = _BF16 if load.bf16 else _FP32
    own = load.parameters * (frozen if load.lora else load.trained_size)
    return own + (load.parameters * frozen if load.reference else 0)


def _trained(load: Load) -> int:
    if load.lora:
        return load.trainable * load.trained_size
    return load.parameters * _BF16 if load.bf16 and load.trained_size > _BF16 else 0


def _checkpoints(tower: Tower, tokens: int, size: int) -> int:
    return tower.layers * tokens * tower.hidden * size


def _kept(tower: Tower, tokens: int, size: int, load: Load) -> int:
    """Insides kept for the backward pass, and the gradients inside the layer it has reached."""
    inside = _inside(tower, tokens, size) + load.lora * _casts(tower, tokens, size)
    return (1 if load.checkpointing else tower.layers) * inside + tokens * _outputs(tower) * size


def _inside(tower: Tower, tokens: int, size: int) -> int:
    """Everything computed inside one layer; its two norms also hold their input in float32."""
    return tokens * (_outputs(tower) * size + 2 * tower.hidden * _FP32)


def _outputs(tower: Tower) -> int:
    """Numbers a token has inside one layer: six of the stream's width, four of the inner one, and attention.

    Grouped keys and values are there twice: as projected, and repeated for every query head.
    """
    queries, keys = tower.heads * tower.head_dim, tower.kv_heads * tower.head_dim
    return 6 * tower.hidden + 4 * tower.inner + 4 * queries + 2 * keys


def _casts(tower: Tower, tokens: int, size: int) -> int:
    """Inputs of the seven linear layers, which peft casts for its matrices one by one."""
    return tokens * (5 * tower.hidden + tower.heads * tower.head_dim + tower.inner) * size


def _logits(dims: Dims, load: Load, size: int) -> int:
    completion = load.micro_batch * load.completion_tokens
    tile = min(completion, _LOGIT_TILE[0]) * min(dims.vocab, _LOGIT_TILE[1]) * size
    output_weights = 0 if load.lora else dims.vocab * dims.text.hidden * _FP32
    return tile + completion * dims.text.hidden * _FP32 + output_weights


def _cache(text: Tower, load: Load, size: int) -> int:
    tokens = load.sampled * (load.prompt_tokens + load.completion_tokens)
    return 2 * text.layers * text.kv_heads * text.head_dim * tokens * size


def _prefill(dims: Dims, load: Load, size: int) -> int:
    words = _inside(dims.text, load.sampled * load.prompt_tokens, size)
    return words + _inside(dims.vision, load.sampled * load.image_tokens * dims.merge**2, size)
