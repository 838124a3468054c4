"""Filling one tile: the stacked estimate of the experts with its uncertainty."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps
from gap_cases import observe, standard_scene

from dip_core.inpainting.features import DISTANCE_CLASSES, UNCERTAINTY_TERMS
from dip_core.inpainting.run_experts import ExpertOptions, run_gap_experts
from dip_core.inpainting.samples import ValidationSamples
from dip_core.inpainting.stacking import StackedModel
from dip_core.inpainting.tile import FillRecipe, FillTile, fill_tile
from dip_core.inpainting.uncertainty import UncertaintyModel
from dip_core.inpainting.weight_rules import WeightRule
from dip_core.runtime.progress import ProgressReporter

NAMES = ("linear", "harmonic", "kriging")


@pytest.fixture
def recipe():
    """The mean of harmonic interpolation and kriging; its variance is the disagreement of the two."""
    none = np.zeros(0)
    rule = WeightRule("one weight", np.tile((0.0, 0.5, 0.5), (1, DISTANCE_CLASSES, 1)), none)
    uncertainty = UncertaintyModel(np.zeros(DISTANCE_CLASSES), np.eye(UNCERTAINTY_TERMS)[1], np.ones(2))
    model = StackedModel(NAMES, rule, uncertainty, {}, none, none, ValidationSamples.empty(NAMES))
    return FillRecipe(model, ExpertOptions())


def test_a_tile_is_the_weighted_mean_of_its_experts(recipe):
    observation = observe(standard_scene(2), slanted_gaps(48, 60))
    estimate, deviation = fill_tile(recipe, FillTile.from_observation(observation, 3))
    harmonic, kriging = run_gap_experts(("harmonic", "kriging"), observation, ExpertOptions(), 3)
    np.testing.assert_allclose(estimate, (harmonic + kriging) / 2, atol=1e-6)
    # 0.01 squared is added to the disagreement.
    expected = np.sqrt(np.square((harmonic - kriging) / 2) + 1e-4)
    np.testing.assert_allclose(deviation[observation.target], expected[observation.target], rtol=1e-3)
    assert (deviation[observation.observed] == 0).all()


def test_no_expert_runs_on_a_tile_without_gaps(recipe):
    values = standard_scene(2)
    tile = FillTile.from_observation(observe(values, np.False_), 3)
    estimate, deviation = fill_tile(recipe, tile, ProgressReporter(lambda fraction: pytest.fail("an expert ran")))
    np.testing.assert_array_equal(estimate, values)
    assert (deviation == 0).all()
