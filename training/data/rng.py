"""Random numbers of one sample of one training step, the same whoever takes it."""

import numpy as np


def sample_rng(seed: int, step: int, sample: int) -> np.random.Generator:
    """Randomness of one sample of one step, the same whoever takes it and however often it is resumed."""
    return np.random.default_rng(np.random.SeedSequence([seed, step, sample]))
