"""Plug and play: texture of the scene continues into gaps, noise levels follow the data, and it can be stopped."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps
from gap_cases import observe

from dip_core.inpainting.experts import plug_and_play as module
from dip_core.inpainting.experts.interface import ExpertContext
from dip_core.inpainting.experts.kriging import kriging
from dip_core.inpainting.experts.plug_and_play import COARSE_SHARE, PASSES, State, plug_and_play, plug_and_play_fine
from dip_core.runtime.progress import ProgressReporter


def striped_materials(bands=3, size=96):
    """Wavy strips of two materials ``(band, row, column)``, with mean 0 and standard deviation 1; their edges recur."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    strips = ((x + y + 6 * np.sin(y / 9)) // 16).astype(int) % 2
    values = rng.normal(size=(bands, 2))[:, strips] + 0.05 * rng.normal(size=(bands, size, size))
    return ((values - values.mean(axis=(1, 2), keepdims=True)) / values.std(axis=(1, 2), keepdims=True)).astype("f4")


def error(estimate, values, gap):
    return float(np.sqrt(np.mean(np.square(estimate - values)[:, gap])))


@pytest.fixture(scope="module")
def scene():
    """Values, gap, observation, and the kriged fill."""
    values, gap = striped_materials(), slanted_gaps(96, 96, thick=6, period=30)
    observation = observe(values, gap)
    return values, gap, observation, kriging(observation)


@pytest.fixture
def small():
    """Values and gap of a small scene with two bands."""
    return striped_materials(2, 64), slanted_gaps(64, 64, thick=6, period=30)


def test_recurring_edges_continue_into_gaps(scene):
    values, gap, observation, kriged = scene
    assert error(plug_and_play(observation), values, gap) < 0.85 * error(kriged, values, gap)


def test_the_start_is_the_kriged_fill(scene):
    _, _, observation, kriged = scene
    np.testing.assert_array_equal(plug_and_play(observation, ExpertContext(start=kriged)), plug_and_play(observation))


def test_small_patches_give_another_estimate(scene):
    """Better than kriging where edges recur, and with other errors than large patches."""
    values, gap, observation, kriged = scene
    fine, large = (expert(observation, ExpertContext(start=kriged)) for expert in (plug_and_play_fine, plug_and_play))
    assert error(fine, values, gap) < 0.95 * error(kriged, values, gap)
    assert error(fine, large, gap) > 0.02


@pytest.mark.parametrize("scale", [1e-3, 30.0])
def test_units_do_not_matter(small, scale):
    values, gap = small
    filled = plug_and_play(observe(values, gap))
    scaled = plug_and_play(observe(values * np.float32(scale), gap))
    np.testing.assert_allclose(scaled / scale, filled, atol=2e-2)


def test_repeated_bands_change_nothing(small):
    """They have the same components, and the noise levels are proportional."""
    values, gap = small
    once = plug_and_play(observe(values, gap))
    twice = plug_and_play(observe(np.concatenate([values, values]), gap))
    np.testing.assert_allclose(twice, np.concatenate([once, once]), atol=2e-2)


def test_pixels_outside_the_scene_in_one_band_do_not_count_as_zeros():
    """Smooth bands of mean 2. Rows 26 to 35, beside the gap, are outside the scene in the second band."""
    y, x = np.mgrid[:48, :48]
    values = np.stack([2 + np.sin(x / 9) / 4, 2 + np.cos(y / 11) / 4]).astype(np.float32)
    gap = np.broadcast_to((y >= 20) & (y < 26), values.shape)
    outside = np.zeros(values.shape, bool)
    outside[1, 26:36] = True
    filled = plug_and_play(observe(values, gap, outside))
    assert error(filled[:1], values[:1], gap[0]) < 0.02 and error(filled[1:], values[1:], gap[0]) < 0.06
    assert (filled[outside] == 0).all()


def test_bands_with_different_gaps(small):
    values = striped_materials(3)
    gap = np.stack([slanted_gaps(96, 96, thick=6, period=30, shift=band) for band in range(3)])
    observation = observe(values, gap)
    kriged = kriging(observation)
    filled = plug_and_play(observation, ExpertContext(start=kriged))
    np.testing.assert_array_equal(filled[~gap], values[~gap])
    assert np.square(filled - values)[gap].mean() < 0.75 * np.square(kriged - values)[gap].mean()


# Half the resolution


def test_wide_gaps_are_better_if_they_start_at_half_the_resolution(monkeypatch):
    """Patches of 15 pixels reach little beyond a gap of 10."""
    values, gap = striped_materials(), slanted_gaps(96, 96, thick=10, period=32)
    observation = observe(values, gap)
    context = ExpertContext(start=kriging(observation))
    with_coarse_start = error(plug_and_play(observation, context), values, gap)
    monkeypatch.setattr(module, "MIN_COARSE_SIDE", 1000)
    assert with_coarse_start < 0.96 * error(plug_and_play(observation, context), values, gap)


def test_halving_an_odd_scene_with_an_exterior():
    """Means of the pixels inside; observed if half of them are; an odd last row or column counts alone."""
    values = np.arange(21, dtype=np.float32).reshape(1, 3, 7)
    inside = np.ones((3, 7), bool)
    inside[0, 0] = inside[:, 5:] = False
    observed = np.ones((1, 3, 7), bool)
    observed[0, 0, 2:4] = observed[0, 2, 2] = observed[0, 1, 2] = False
    values[:, ~inside] = 99
    half = State(values, observed, inside, inside & ~observed[0]).halved()
    means = [[(1 + 7 + 8) / 3, (2 + 3 + 9 + 10) / 4, (4 + 11) / 2, 0], [14.5, 16.5, 18, 0]]
    np.testing.assert_allclose(half.values[0], means)
    assert half.observed.tolist() == [[[True, False, True, False], [True, True, True, False]]]
    assert half.missing.tolist() == [[False, True, False, False], [False] * 4]
    assert half.inside.tolist() == [[True, True, True, False]] * 2


def test_the_exterior_does_not_leak_into_gaps_at_half_the_resolution():
    """Two almost flat halves stay flat beside the exterior; the work is stopped after the coarse passes."""
    rng = np.random.default_rng(0)
    values = np.where(np.arange(96) < 48, -1.0, 1.0) + 0.01 * rng.normal(size=(2, 96, 96))
    gap = slanted_gaps(96, 96, thick=8, period=24)
    outside = np.zeros((96, 96), bool)
    outside[:, :20] = outside[:, -20:] = True
    progress = ProgressReporter(lambda fraction: fraction < 0.9 * COARSE_SHARE)
    filled = plug_and_play(observe(values, gap & ~outside, outside), ExpertContext(progress=progress))
    edge = gap & ~outside
    edge[:, 24:-24] = False
    assert error(filled, values, edge) < 0.05


def test_structure_that_is_too_fine_for_half_the_resolution():
    """The means of 2 x 2 pixels of a checkerboard are all equal, so only the full resolution is used."""
    y, x = np.mgrid[:64, :64]
    values = np.where((x + y) % 2, 1.0, -1.0).astype(np.float32)[None]
    gap = slanted_gaps(64, 64, thick=6, period=30)
    assert error(plug_and_play(observe(values, gap), ExpertContext(start=values)), values, gap) < 0.5


def test_a_constant_scene_keeps_its_constant():
    values, gap = np.full((2, 40, 40), 3.0, np.float32), slanted_gaps(40, 40, thick=6, period=20)
    np.testing.assert_allclose(plug_and_play(observe(values, gap))[:, gap], 3.0, atol=1e-3)


def test_progress_and_stopping():
    values, gap = striped_materials(1, 48), slanted_gaps(48, 48, thick=6, period=30)
    observation = observe(values, gap)
    fractions: list[float] = []
    plug_and_play(observation, ExpertContext(progress=ProgressReporter(fractions.append)))
    assert fractions[-1] == pytest.approx(1.0) and (np.diff(fractions) > 0).all() and len(fractions) > PASSES
    fractions.clear()

    def stop(fraction):
        fractions.append(fraction)
        return False

    stopped = plug_and_play(observation, ExpertContext(progress=ProgressReporter(stop)))
    assert len(fractions) == 1 and np.isfinite(stopped).all()
    np.testing.assert_array_equal(stopped[~observation.target], values[~observation.target])
