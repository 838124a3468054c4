"""Plug and play: texture of the scene continues into gaps, noise levels follow the data, and it can be stopped."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps

from dip_core.imaging.observation import Observation
from dip_core.inpainting.experts import plug_and_play as module
from dip_core.inpainting.experts.kriging import kriging
from dip_core.inpainting.experts.plug_and_play import PASSES, PATCHES, plug_and_play
from dip_core.inpainting.experts.registry import PLUG_AND_PLAY, expert
from dip_core.runtime.progress import ProgressReporter


def fields(bands=3, size=96, seed=0):
    """Wavy strips of two materials, whose edges recur, as ``(band, row, column)`` of mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    strips = ((x + y + 6 * np.sin(y / 9)) // 16).astype(int) % 2
    values = rng.normal(size=(bands, 2))[:, strips] + 0.05 * rng.normal(size=(bands, size, size))
    return ((values - values.mean(axis=(1, 2), keepdims=True)) / values.std(axis=(1, 2), keepdims=True)).astype("f4")


def observe(values, gap, guide=None):
    gap = np.broadcast_to(gap, values.shape)
    return Observation(np.where(gap, np.float32(0), values), ~gap, gap, guide)


def error(estimate, values, gap):
    return float(np.sqrt(np.mean(np.square(estimate - values)[:, gap])))


def test_recurring_edges_are_carried_into_gaps():
    values, gap = fields(), slanted_gaps(96, 96, thick=6, period=30)
    observation = observe(values, gap)
    assert error(plug_and_play(observation), values, gap) < 0.85 * error(kriging(observation), values, gap)


def test_the_kriged_start_is_what_it_takes_itself():
    values, gap = fields(1), slanted_gaps(96, 96, thick=6, period=30)
    observation = observe(values, gap)
    given = expert("plug_and_play", kriged=kriging(observation))(observation)
    np.testing.assert_array_equal(given, plug_and_play(observation))


def test_small_patches_are_an_expert_of_their_own():
    """Unlike the large ones' fill, and better than kriging where edges recur."""
    values, gap = fields(), slanted_gaps(96, 96, thick=6, period=30)
    observation = observe(values, gap)
    fine, coarse = expert("plug_and_play_fine")(observation), expert("plug_and_play")(observation)
    assert error(fine, values, gap) < 0.95 * error(kriging(observation), values, gap)
    assert error(fine, coarse, gap) > 0.02


@pytest.mark.parametrize("scale", [1e-3, 30.0])
def test_units_do_not_matter(scale):
    """Noise levels are in proportion to the data: a scaled scene is filled with the scaled fill."""
    values, gap = fields(2, 64), slanted_gaps(64, 64, thick=6, period=30)
    fill = plug_and_play(observe(values, gap))
    scaled = plug_and_play(observe(values * np.float32(scale), gap))
    np.testing.assert_allclose(scaled / scale, fill, atol=2e-2)


def test_repeated_bands_change_nothing():
    """Twice the same bands have the same components, and levels in proportion: the same fill."""
    values, gap = fields(2, 64), slanted_gaps(64, 64, thick=6, period=30)
    once = plug_and_play(observe(values, gap))
    twice = plug_and_play(observe(np.concatenate([values, values]), gap))
    np.testing.assert_allclose(twice, np.concatenate([once, once]), atol=2e-2)


def test_pixels_that_one_band_has_outside_the_scene_are_not_taken_for_zeros():
    """Smooth bands of mean 2: what the second band does not have, rows 26 to 35, lies beside the gap."""
    y, x = np.mgrid[:48, :48]
    values = np.stack([2 + np.sin(x / 9) / 4, 2 + np.cos(y / 11) / 4]).astype(np.float32)
    gap = np.broadcast_to((y >= 20) & (y < 26), values.shape)
    outside = np.zeros(values.shape, bool)
    outside[1, 26:36] = True
    observed = ~gap & ~outside
    fill = plug_and_play(Observation(np.where(observed, values, np.float32(0)), observed, gap))
    assert error(fill[:1], values[:1], gap[0]) < 0.02 and error(fill[1:], values[1:], gap[0]) < 0.06
    assert (fill[outside] == 0).all()


def test_bands_whose_gaps_differ_are_filled_too():
    values = fields(3)
    gap = np.stack([slanted_gaps(96, 96, thick=6, period=30, shift=band) for band in range(3)])
    observation = Observation(np.where(gap, np.float32(0), values), ~gap, gap)
    found, kriged = plug_and_play(observation), kriging(observation)
    np.testing.assert_array_equal(found[~gap], values[~gap])
    assert np.square(found - values)[gap].mean() < 0.75 * np.square(kriged - values)[gap].mean()


def test_wide_gaps_are_begun_at_half_the_resolution(monkeypatch):
    """Patches of 15 pixels see little beyond a gap of 10."""
    values, gap = fields(), slanted_gaps(96, 96, thick=10, period=32)
    observation = observe(values, gap)
    begun_coarse = error(plug_and_play(observation), values, gap)
    monkeypatch.setattr(module, "_COARSEST", 1000)
    assert begun_coarse < 0.96 * error(plug_and_play(observation), values, gap)


def test_half_the_resolution_of_an_odd_scene_with_an_exterior():
    """A mean is one of what lies inside; half of that seen is enough; an odd last row or column counts alone."""
    values = np.arange(21, dtype=np.float32).reshape(1, 3, 7)
    inside = np.ones((3, 7), bool)
    inside[0, 0] = inside[:, 5:] = False
    seen = np.ones((1, 3, 7), bool)
    seen[0, 0, 2:4] = seen[0, 2, 2] = seen[0, 1, 2] = False
    values[:, ~inside] = 99
    half = module._State(values, seen, inside, inside & ~seen[0]).halved()
    means = [[(1 + 7 + 8) / 3, (2 + 3 + 9 + 10) / 4, (4 + 11) / 2, 0], [14.5, 16.5, 18, 0]]
    np.testing.assert_allclose(half.values[0], means)
    assert half.seen.tolist() == [[[True, False, True, False], [True, True, True, False]]]
    assert half.missing.tolist() == [[False, True, False, False], [False] * 4]
    assert half.inside.tolist() == [[True, True, True, False]] * 2


def test_values_of_the_exterior_stay_out_of_gaps_that_run_into_it(monkeypatch):
    """Two almost flat halves: what is begun at half the resolution is as flat beside the exterior as elsewhere."""
    rng = np.random.default_rng(0)
    values = np.where(np.arange(96) < 48, -1.0, 1.0) + 0.01 * rng.normal(size=(2, 96, 96))
    gap = slanted_gaps(96, 96, thick=8, period=24)
    inside = np.ones((96, 96), bool)
    inside[:, :20] = inside[:, -20:] = False
    seen = np.broadcast_to(inside & ~gap, values.shape)
    observation = Observation(
        np.where(seen, values, 0).astype(np.float32), seen, np.broadcast_to(inside & gap, seen.shape)
    )
    begun = plug_and_play(
        observation, progress=ProgressReporter(lambda fraction: fraction < 0.9 * module._COARSE_SHARE)
    )
    rim = inside & gap
    rim[:, 24:-24] = False
    assert error(begun, values, rim) < 0.05


def test_what_is_too_fine_for_half_the_resolution_is_filled_at_the_whole():
    """The means of 2 x 2 pixels of a chessboard are all the same."""
    y, x = np.mgrid[:64, :64]
    values = np.where((x + y) % 2, 1.0, -1.0).astype(np.float32)[None]
    gap = slanted_gaps(64, 64, thick=6, period=30)
    fill = plug_and_play(observe(values, gap), start=values)
    assert error(fill, values, gap) < 0.5


def test_a_constant_scene_keeps_its_constant():
    values, gap = np.full((2, 40, 40), 3.0, np.float32), slanted_gaps(40, 40, thick=6, period=20)
    np.testing.assert_allclose(plug_and_play(observe(values, gap))[:, gap], 3.0, atol=1e-3)


def test_it_tells_its_progress_and_can_be_stopped():
    values, gap = fields(1, 48), slanted_gaps(48, 48, thick=6, period=30)
    observation = observe(values, gap)
    told: list[float] = []

    def all_along(fraction):
        told.append(fraction)
        return True

    plug_and_play(observation, progress=ProgressReporter(all_along))
    assert told[-1] == pytest.approx(1.0) and (np.diff(told) > 0).all() and len(told) > PASSES
    told.clear()

    def one_pass(fraction):
        told.append(fraction)
        return False

    stopped = plug_and_play(observation, progress=ProgressReporter(one_pass))
    assert len(told) == 1 and np.isfinite(stopped).all()
    np.testing.assert_array_equal(stopped[~observation.target], values[~observation.target])


def test_each_expert_has_its_sizes():
    assert tuple(PATCHES) == PLUG_AND_PLAY
