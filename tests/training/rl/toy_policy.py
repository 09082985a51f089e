"""A tiny language model with words for tokens, and one step of GRPO on it written out by hand."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

WORDS = (
    "<pad> <eos> <think> </think> <answer> </answer> locate : where is fuel stored kept ships moor in tanks"
    " at piers [ ] [[ ]] , 1 2 30 40 5 6 50 60"
)


def toy_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(WORDS.split())}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", padding_side="left"
    )


def toy_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        initializer_range=0.3,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        attn_implementation="eager",
    )
    return Qwen2ForCausalLM(config)


@dataclass(frozen=True)
class Sample:
    """One completion with what it is worth."""

    prompt: list[int]
    completion: list[int]
    advantage: float


@dataclass(frozen=True)
class Settings:
    """Settings of the loop by hand."""

    loss: str
    lr: float
    temperature: float
    epsilon: float
    max_completion: int
    steps: int = 1


def log_probs(model: Qwen2ForCausalLM, sample: Sample, temperature: float) -> list[torch.Tensor]:
    """Log-probability of each token of a completion, given all before it; no padding."""
    tokens = sample.prompt + sample.completion
    logits = model(input_ids=torch.tensor([tokens])).logits[0] / temperature
    found = []
    for place in range(len(sample.prompt), len(tokens)):
        before = logits[place - 1]
        top = before.max()
        found.append(before[tokens[place]] - top - (before - top).exp().sum().log())
    return found


def token_losses(
    now: list[torch.Tensor], old: list[float], advantage: float, epsilon: float
) -> tuple[list[torch.Tensor], int]:
    """The clipped objective of each token, and how many were clipped."""
    losses, clipped = [], 0
    for log_prob, log_prob_old in zip(now, old, strict=True):
        ratio = torch.exp(log_prob - log_prob_old)
        if (advantage > 0 and ratio > 1 + epsilon) or (advantage < 0 and ratio < 1 - epsilon):
            edge = 1 + epsilon if advantage > 0 else 1 - epsilon
            losses.append(torch.tensor(-edge * advantage))
            clipped += 1
        else:
            losses.append(-ratio * advantage)
    return losses, clipped


def normalised(losses: list[list[torch.Tensor]], settings: Settings) -> torch.Tensor:
    """One number from the losses of all tokens of all completions."""
    total = torch.stack([loss for each in losses for loss in each]).sum()
    if settings.loss == "dapo":
        return total / sum(len(each) for each in losses)
    if settings.loss == "dr_grpo":
        return total / (len(losses) * settings.max_completion)
    return torch.stack([torch.stack(each).sum() / len(each) for each in losses]).sum() / len(losses)


def learn_by_hand(
    model: Qwen2ForCausalLM, samples: list[Sample], settings: Settings
) -> tuple[list[float], list[int]]:
    """Change the model in place; the loss and the clipped tokens of each step on the same samples."""
    with torch.no_grad():
        old = [[one.item() for one in log_probs(model, each, settings.temperature)] for each in samples]
    history, clips = [], []
    for _ in range(settings.steps):
        judged = [
            token_losses(log_probs(model, each, settings.temperature), was, each.advantage, settings.epsilon)
            for each, was in zip(samples, old, strict=True)
        ]
        loss = normalised([losses for losses, _ in judged], settings)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.grad is not None:
                    weight -= settings.lr * weight.grad
        history.append(loss.item())
        clips.append(sum(clipped for _, clipped in judged))
    return history, clips
