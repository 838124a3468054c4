"""Validation: samples are hidden pixels with their true values, which no expert has used."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps, warnings_of, write

from dip_core.events import Progress
from dip_core.inpainting.features import DISTANCE_CLASSES
from dip_core.inpainting.gap_rules import GapRules, find_gap_mask
from dip_core.inpainting.problem import build_problem
from dip_core.inpainting.run_experts import ExpertOptions
from dip_core.inpainting.validation import collect_samples
from dip_core.inpainting.validation_windows import sample_windows
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

EXPERTS = ("linear", "harmonic", "biharmonic")
FAST = ("linear",)  # for tests that do not depend on the experts


def write_scene(path, gap):
    """A scene with gaps ``(band, row, column)``, where it is 0."""
    return write(path, np.where(gap, 0, landscape(*gap.shape)).astype("u2"), nodata=0)


@pytest.fixture
def problem(tmp_path):
    """Two bands with gaps of their own and an exterior."""
    own = np.stack([slanted_gaps(100, 120, shift=5 * band) for band in range(2)])
    own[:, :, 100:] = True
    with Scene([write_scene(tmp_path / "a.tif", own)]) as scene:
        yield build_problem(scene, find_gap_mask(scene))


def windows_of(problem, size=384, count=4):
    return sample_windows(problem.gaps.observed_any, problem.gaps.target_any, size, count, np.random.default_rng(0))


def collect(problem, names=FAST, rounds=2, seed=1, windows=None, events=None, time_budget=None):
    context = Context(events.append if events is not None else None, time_budget)
    options = ExpertOptions(device="cpu", threads=1)
    return collect_samples(problem, names, windows or windows_of(problem), rounds, options, seed, context)


@pytest.fixture
def samples(problem):
    return collect(problem, EXPERTS)


def test_samples_are_complete(samples):
    count = len(samples)
    assert count > 700 and samples.names == EXPERTS
    assert samples.estimates.shape == (count, 3) and samples.estimates.dtype == np.float32
    arrays = ("truth", "baseline", "band", "distance", "fold")
    features = ("distance_class", "roughness", "wide_roughness", "edge_variance", "kriging_variance")
    for name in (*arrays, *features):
        values = getattr(samples, name)
        assert values.shape == (count,) and np.isfinite(values).all(), name
    assert set(samples.band) == {0, 1} and set(samples.fold) == {0, 1, 2, 3}
    assert samples.distance_class.min() >= 0 and samples.distance_class.max() < DISTANCE_CLASSES
    assert samples.distance.min() >= 1 and samples.distance.max() <= 12  # a gap of 6 rows, and where two meet


def test_the_truth_is_the_observed_value_and_is_hidden_from_the_experts(problem, samples):
    observation = problem.observe()
    for band in range(2):
        observed = observation.values[band][observation.observed[band]]
        assert np.isin(samples.truth[samples.band == band], observed).all()
    # An expert that had used the truth would return it exactly.
    errors = samples.errors()
    assert (errors != 0).mean() > 0.99
    # The baseline has not used it either; without help from other bands it is worse than the best interpolation.
    alone = samples.distance_class > 0
    rmse = np.sqrt(np.mean(errors[alone] ** 2, axis=0))
    assert np.sqrt(np.mean((samples.baseline - samples.truth)[alone] ** 2)) > rmse.min()


def test_pixels_predicted_from_other_bands_have_their_own_class(samples):
    predicted = samples.distance_class == 0
    assert 0.02 < predicted.mean() < 0.98
    # All experts keep the predicted value.
    assert np.ptp(samples.estimates[predicted], axis=1).max() == 0
    assert np.ptp(samples.estimates[~predicted], axis=1).max() > 0.01


def test_the_seed_determines_what_is_hidden(problem):
    first, again, other = (collect(problem, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.truth, again.truth)
    np.testing.assert_array_equal(first.estimates, again.estimates)
    assert len(first) != len(other) or (first.truth != other.truth).any()


def test_more_rounds_give_more_samples(problem):
    assert len(collect(problem, rounds=3)) > 2 * len(collect(problem, rounds=1))


def test_rounds_are_balanced_over_the_scene(tmp_path):
    gap = slanted_gaps(200, 200, thick=6, period=32)[None]
    with Scene([write_scene(tmp_path / "a.tif", gap)]) as scene:
        problem = build_problem(scene, find_gap_mask(scene))
        for seed in range(3):
            counts = np.bincount(collect(problem, rounds=4, seed=seed).fold, minlength=4)
            assert counts.min() > 0.8 * counts.max(), seed  # at random about 0.7


def test_folds_are_windows_if_there_are_several(problem):
    windows = windows_of(problem, 40, 3)
    assert len(windows) == 3
    assert set(collect(problem, windows=windows).fold) == {0, 1, 2}


def test_progress_ends_at_one(problem):
    events = []
    collect(problem, events=events)
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_one_hold_out_runs_even_if_the_time_budget_is_short(problem):
    events = []
    assert len(collect(problem, rounds=50, events=events, time_budget=0.01)) > 100
    assert warnings_of(events) == ["The time budget was enough for 1 of 50 validation runs."]


def test_no_samples_if_nothing_can_be_hidden(tmp_path):
    pixels = np.zeros((1, 30, 30), "u1")
    pixels[0, 10, 10] = 5
    with Scene([write(tmp_path / "a.tif", pixels, nodata=0)]) as scene:
        samples = collect(build_problem(scene, find_gap_mask(scene, GapRules(fill_exterior=True))), EXPERTS)
    assert len(samples) == 0 and samples.estimates.shape == (0, 3)


def test_samples_between_close_gaps_are_not_deeper_than_the_gaps(tmp_path):
    """Gaps of 8 rows with strips of 6 between them: a hidden piece of a strip joins two gaps."""
    gap = np.broadcast_to(slanted_gaps(140, 140, thick=8, period=14), (1, 140, 140))
    with Scene([write_scene(tmp_path / "a.tif", gap)]) as scene:
        problem = build_problem(scene, find_gap_mask(scene))
        samples = collect(problem, ("harmonic",))
        depth = problem.observe().distance()[problem.observe().target]
    assert samples.distance.mean() == pytest.approx(depth.mean(), rel=0.15)
