"""Fills one tile: a pure function of arrays, which runs the same on this machine and on a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Cube, Mask
from ..imaging.observation import Observation
from ..runtime.progress import SILENT, ProgressReporter
from .cross_band import predict_from_other_bands
from .feature_extraction import compute_features
from .features import GapFeatures
from .run_experts import ExpertOptions, run_gap_experts
from .stacking import StackedModel


@dataclass(frozen=True)
class FillRecipe:
    """What all tiles share: the selected model, and how its experts run."""

    model: StackedModel
    options: ExpertOptions


@dataclass(frozen=True)
class FillTile:
    """One tile and its seed; the other fields are those of `Observation`."""

    values: Cube
    observed: Mask
    target: Mask
    seed: int
    guide: Cube | None = None
    assumed: Mask | None = None

    @classmethod
    def from_observation(cls, observation: Observation, seed: int) -> FillTile:
        """The tile with the arrays of an observation."""
        return cls(
            observation.values, observation.observed, observation.target, seed, observation.guide, observation.assumed
        )


def fill_tile(recipe: FillRecipe, tile: FillTile, progress: ProgressReporter = SILENT) -> tuple[Cube, Cube]:
    """Estimate and one standard deviation, both ``(band, row, column)`` and standardised."""
    observation = Observation(tile.values, tile.observed, tile.target, tile.guide, tile.assumed)
    if not tile.target.any():
        return observation.keep_observed(tile.values), np.zeros(tile.values.shape, np.float32)
    filled, predicted = predict_from_other_bands(observation)
    pixels = observation.target & ~observation.measured  # including the predicted ones
    features: list[GapFeatures] = []

    def compute() -> None:
        features.append(compute_features(filled, predicted, pixels))

    estimates = run_gap_experts(recipe.model.used_names, filled, recipe.options, tile.seed, progress, beside=[compute])
    return recipe.model.combine(estimates, filled, pixels, features[0])
