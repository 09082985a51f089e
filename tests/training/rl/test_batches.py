"""Claim: completions share out and steps are counted as TRL's own sampler and configuration do it."""

import math
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import RecipeError
from training.rl.batches import Batches, divisors, slice_size

FITTING = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))


def test_steps_are_those_of_trls_sampler_and_the_trainers_rule():
    from torch.utils.data import DataLoader
    from trl.trainer.utils import RepeatSampler

    rng, met = random.Random(4), 0
    for _ in range(400):
        group, workers, accum = rng.randint(2, 5), rng.randint(1, 3), rng.randint(1, 4)
        slices, again = rng.randint(1, 4), rng.randint(1, 3)
        size, examples, epochs = rng.randint(1, 6), rng.randint(1, 60), rng.choice([0.5, 1, 2, 3.3])
        if size * workers * slices % group:
            continue
        batches = Batches(group, size, workers, accum, steps_per_generation=slices, iterations=again)
        whole = size * workers * slices
        sampler = RepeatSampler(range(examples), group, whole // group, again * slices)
        # The trainer's loader: an item holds what a worker samples at once; one slice of it is learned from
        loader = DataLoader(range(examples), batch_size=size * slices, sampler=sampler)
        loaded = len(loader) // workers
        if not loaded:
            continue
        updates = max(loaded // accum + int(loaded % accum > 0), 1)
        assert batches.steps(examples, epochs=epochs) == math.ceil(epochs * updates)
        met += 1
    assert met > 100


def test_what_trl_accepts_is_accepted_and_the_rest_refused(tmp_path):
    from trl import GRPOConfig

    for group, size, accum in ((4, 4, 1), (4, 1, 4), (4, 2, 1), (3, 2, 2), (6, 4, 3), (1, 4, 1), (5, 5, 2)):
        fields = {"num_generations": group, "per_device_train_batch_size": size}
        try:
            theirs = GRPOConfig(
                output_dir=str(tmp_path),
                gradient_accumulation_steps=accum,
                use_cpu=True,
                bf16=False,
                report_to=[],
                **fields,
            ).generation_batch_size
        except ValueError:
            with pytest.raises(RecipeError):
                Batches(group, size, grad_accum=accum)
        else:
            assert Batches(group, size, grad_accum=accum).generation_batch == theirs


def test_a_group_that_does_not_divide_names_those_that_would():
    with pytest.raises(RecipeError, match="use a group of 3 or 6 or a per_device_batch of 2 or 4"):
        Batches(4, 3, workers=2, grad_accum=1)
    with pytest.raises(RecipeError, match="at least 2"):
        Batches(1, 4)


@given(st.integers(2, 9), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_every_remedy_works(group: int, size: int, workers: int, accum: int):
    try:
        Batches(group, size, workers, accum)
    except RecipeError as error:
        remedy = str(error).split("use ")[1]
        groups, _, sizes = remedy.rpartition("a per_device_batch of ")
        for other in sizes.split(" or "):
            Batches(group, int(other), workers, accum)
        for other in groups.removeprefix("a group of ").removesuffix(" or ").split(" or "):
            if other:
                Batches(int(other), size, workers, accum)


@given(FITTING, st.integers(1, 400), st.integers(1, 9))
@settings(max_examples=100)
def test_more_examples_or_epochs_never_mean_fewer_steps(fit: tuple[int, ...], examples: int, epochs: int):
    group, questions, workers, accum = fit
    batches = Batches(group, group * questions, workers, accum)
    if examples < batches.questions:
        with pytest.raises(RecipeError, match=f"{examples} questions are fewer"):
            batches.steps(examples, epochs=epochs)
        return
    steps = batches.steps(examples, epochs=epochs)
    assert batches.steps(examples + 1, epochs=epochs) >= steps
    assert batches.steps(examples, epochs=epochs + 1) > steps
    assert batches.steps(examples, epochs=epochs, max_steps=2) == min(2, steps)
    assert batches.steps(examples, epochs=None, max_steps=7) == 7


def test_no_end_is_refused():
    with pytest.raises(RecipeError, match="epochs, max_steps or both"):
        Batches(4, 4).steps(9, epochs=None)


def test_slices_are_equal_or_refused_with_the_nearest_that_work():
    assert slice_size(12, 4) == 3
    with pytest.raises(RecipeError, match="use 4 or 6"):
        slice_size(12, 5)
    assert divisors(12) == (1, 2, 3, 4, 6, 12)


def test_refusals_survive_pickling():
    with pytest.raises(RecipeError) as caught:
        Batches(4, 3)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
