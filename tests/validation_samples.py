"""Random validation samples with given errors; no tests here."""

from __future__ import annotations

import numpy as np

from dip_core.inpainting.features import DISTANCE_CLASSES
from dip_core.inpainting.samples import ValidationSamples
from dip_core.inpainting.stacking import select_model

COUNT = 12_000


def samples(errors, names=None, seed=0, **facts) -> ValidationSamples:
    """Samples of a standard normal truth with errors ``(sample, expert)``; two bands, four folds, constant features."""
    rng = np.random.default_rng([seed, 9])
    count = len(errors)
    truth = rng.normal(size=count).astype(np.float32)
    ones = np.ones(count, np.float32)
    arrays = {
        "names": tuple(names or [f"e{number}" for number in range(errors.shape[1])]),
        "estimates": (truth[:, None] + errors).astype(np.float32),
        "truth": truth,
        "baseline": truth + 1,
        "band": rng.integers(0, 2, count),
        "distance_class": rng.integers(0, DISTANCE_CLASSES, count),
        "distance": ones,
        "roughness": ones,
        "wide_roughness": ones,
        "edge_variance": ones,
        "kriging_variance": ones,
        "fold": rng.integers(0, 4, count),
    }
    return ValidationSamples(**{**arrays, **facts})


def noise(*deviations, seed=0, count=COUNT) -> np.ndarray:
    """Independent normal errors, one column per expert."""
    return np.random.default_rng(seed).normal(size=(count, len(deviations))) * deviations


def select(found, **options):
    """The selected model of samples in two bands."""
    return select_model(found, 2, np.random.default_rng(0), **options)
