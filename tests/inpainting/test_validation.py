"""Validation: samples are hidden pixels with their truth, from every expert, and nothing of them leaks."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps, warnings_of, write

from dip_core.events import Progress
from dip_core.inpainting.features import CLASSES
from dip_core.inpainting.gap_mask import find_gaps
from dip_core.inpainting.problem import survey
from dip_core.inpainting.tile import Options
from dip_core.inpainting.validation import collect, like_gaps
from dip_core.inpainting.validation_windows import sample_windows
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

EXPERTS = ("linear", "harmonic", "biharmonic", "kriging")


@pytest.fixture
def known(tmp_path):
    """A surveyed scene of two bands with gaps of their own and an exterior."""
    own = np.stack([slanted_gaps(120, 140, shift=5 * band) for band in range(2)])
    own[:, :, 120:] = True
    pixels = np.where(own, 0, landscape(2, 120, 140)).astype("u2")
    with Scene([write(tmp_path / "a.tif", pixels, nodata=0)]) as scene:
        yield survey(scene, find_gaps(scene))


def samples(known, names=EXPERTS, rounds=2, seed=1, windows=None, told=None, budget=None):
    windows = windows or sample_windows(known.gaps, 384, 4, np.random.default_rng(0))
    context = Context(told.append if told is not None else None, budget)
    return collect(known, names, windows, rounds, Options(device="cpu", threads=1), seed, context)


def test_samples_are_complete(known):
    found = samples(known)
    count = len(found)
    assert count > 1000 and found.names == EXPERTS
    assert found.estimates.shape == (count, 4) and found.estimates.dtype == np.float32
    for name in ("truth", "baseline", "band", "kind", "distance", "roughness", "wide", "rim", "layout", "fold"):
        values = getattr(found, name)
        assert values.shape == (count,) and np.isfinite(values).all(), name
    assert set(found.band) == {0, 1} and set(found.fold) == {0, 1, 2, 3}
    assert found.kind.min() >= 0 and found.kind.max() < CLASSES
    assert found.distance.min() >= 1 and found.distance.max() <= 12  # a gap of 6 rows, and where two meet


def test_the_truth_is_the_observed_value_and_no_expert_has_seen_it(known):
    found = samples(known)
    observation = known.observe()
    for band in range(2):
        seen = observation.values[band][observation.observed[band]]
        assert np.isin(found.truth[found.band == band], seen).all()
    # An expert that saw the truth would return it exactly.
    errors = found.estimates - found.truth[:, None]
    assert (errors != 0).mean() > 0.99
    # Nor has the baseline; where no other band helps, it is worse than the best interpolator.
    alone = found.kind > 0
    rmse = np.sqrt(np.mean(errors[alone] ** 2, axis=0))
    assert np.sqrt(np.mean((found.baseline - found.truth)[alone] ** 2)) > rmse.min()


def test_pixels_that_another_band_sees_are_a_class_of_their_own(known):
    found = samples(known)
    lent = found.kind == 0
    assert 0.02 < lent.mean() < 0.98
    # All experts take the borrowed value, so they agree on it.
    assert np.ptp(found.estimates[lent], axis=1).max() == 0
    assert np.ptp(found.estimates[~lent], axis=1).max() > 0.01


def test_the_seed_decides_what_is_hidden(known):
    first, again, other = (samples(known, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.truth, again.truth)
    np.testing.assert_array_equal(first.estimates, again.estimates)
    assert len(first) != len(other) or (first.truth != other.truth).any()


def test_more_rounds_more_samples(known):
    assert len(samples(known, rounds=3)) > 2 * len(samples(known, rounds=1))


def test_rounds_take_turns_over_the_scene(tmp_path):
    """Chance may leave a whole quarter out, of which the mixture and its uncertainty then know nothing."""
    gap = slanted_gaps(256, 256, thick=6, period=32)[None]
    pixels = np.where(gap, 0, landscape(1, 256, 256)).astype("u2")
    with Scene([write(tmp_path / "a.tif", pixels, nodata=0)]) as scene:
        whole = survey(scene, find_gaps(scene))
        for seed in range(4):
            counts = np.bincount(samples(whole, ("linear",), rounds=4, seed=seed).fold, minlength=4)
            assert counts.min() > 0.85 * counts.max(), seed  # by chance, about 0.7


def test_folds_are_windows_where_there_are_several(known):
    windows = sample_windows(known.gaps, 40, 3, np.random.default_rng(0))
    assert len(windows) == 3
    found = samples(known, windows=windows)
    assert set(found.fold) == {0, 1, 2}


def test_progress_ends_at_one(known):
    told = []
    samples(known, told=told)
    fractions = [event.fraction for event in told if isinstance(event, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


def test_a_short_budget_still_gives_one_hold_out(known):
    told = []
    found = samples(known, rounds=50, told=told, budget=0.01)
    assert len(found) > 100
    assert warnings_of(told) == ["The time budget allowed 1 of 50 hold-out runs."]


def test_where_nothing_can_be_hidden_there_are_no_samples(tmp_path):
    pixels = np.zeros((1, 30, 30), "u1")
    pixels[0, 10, 10] = 5
    with Scene([write(tmp_path / "a.tif", pixels, nodata=0)]) as scene:
        known = survey(scene, find_gaps(scene, fill_exterior=True))
        found = samples(known)
    assert len(found) == 0 and found.estimates.shape == (0, 4)


def test_samples_lie_as_deep_as_the_gaps():
    """Hold-outs half of which are deep, for gaps a tenth of which are: the deep ones are thinned to a tenth."""
    rng = np.random.default_rng(0)
    distance = np.where(rng.random(40_000) < 0.5, 1.0, 6.0)
    wanted = np.zeros(10, np.int64)
    wanted[0], wanted[4] = 9000, 1000
    kept = distance[like_gaps(distance, wanted, rng)]
    assert np.mean(kept == 6.0) == pytest.approx(0.1, abs=0.01)
    assert np.count_nonzero(kept == 1.0) == np.count_nonzero(distance == 1.0)  # no more than needed is lost
    wanted[:] = 0
    wanted[9] = 5  # deeper than any hold-out
    assert len(like_gaps(distance, wanted, rng)) == len(distance)
    wanted[0] = 1_000_000
    distance[:] = 6.0
    distance[:1000] = 1.0
    assert len(like_gaps(distance, wanted, rng)) >= 0.2 * len(distance)


def test_hold_outs_in_narrow_strips_are_no_deeper_than_the_gaps(tmp_path):
    """Gaps of 8 rows with strips of 6 between them: hiding a strip's part joins two gaps."""
    own = np.broadcast_to(slanted_gaps(140, 140, thick=8, period=14), (1, 140, 140))
    pixels = np.where(own, 0, landscape(1, 140, 140)).astype("u2")
    with Scene([write(tmp_path / "a.tif", pixels, nodata=0)]) as scene:
        known = survey(scene, find_gaps(scene))
        found = samples(known, names=("harmonic",))
        depth = known.observe().distance()[known.observe().target]
    assert found.distance.mean() == pytest.approx(depth.mean(), rel=0.15)
