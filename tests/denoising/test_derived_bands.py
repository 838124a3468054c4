"""Bands that others determine: copies and linear combinations are found, similar bands are not."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import everywhere, rmse

from dip_core.denoising.derived_bands import add_derived, find_derived, sources
from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions

CLEAN = material_cube(30) * 4000 + 500
NOISE = 60.0


def noisy(clean=CLEAN, seed: int = 1) -> np.ndarray:
    return add_noise(clean, NOISE, seed)


def test_copies_with_scale_and_offset_are_found():
    values = noisy()
    values[7], values[11], values[20] = values[3], 1.7 * values[3] - 200, -0.5 * values[15] + 4000
    derived = find_derived(np.rint(values).astype(np.float32), everywhere(values))
    assert {band: tuple(own.weights) for band, own in derived.items()} == {7: (3,), 11: (3,), 20: (15,)}
    assert derived[11].weights[3] == pytest.approx(1.7, abs=0.01) and derived[20].offset == pytest.approx(
        4000, rel=0.01
    )


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_combinations_are_found(dtype):
    values = noisy()
    values[12] = (values[11] + values[13]) / 2
    values[29] = values[:29].mean(axis=0)
    values = (np.rint(values) if dtype == "int16" else values).astype(dtype).astype(np.float32)
    derived = find_derived(values, everywhere(values))
    assert len(derived) == 2 and 29 in derived
    kept = sources(30, derived)
    again = add_derived(values[kept], 30, derived)
    np.testing.assert_allclose(again, values, atol=3.0)


def test_derived_bands_are_denoised_like_the_others():
    clean, values = CLEAN.copy(), noisy()
    for where in (clean, values):
        where[14], where[15] = where[13], 2 * where[13] + 100
        where[29] = where[:29].mean(axis=0)
    values = np.rint(values).astype(np.float32)
    derived = find_derived(values, everywhere(values))
    kept = sources(30, derived)
    estimate, deviation, model = denoise(values[kept], everywhere(values[kept]), DenoiseOptions("fast"))
    np.testing.assert_allclose(model.subspace.sigma, NOISE, rtol=0.2)
    estimate = add_derived(estimate, 30, derived)
    deviation = add_derived(deviation, 30, derived, is_deviation=True)
    errors = np.array([rmse(own, truth) for own, truth in zip(estimate, clean)])
    usual = np.median(errors)
    assert errors[13] == pytest.approx(errors[14]) and errors[15] == pytest.approx(2 * errors[13], rel=0.01)
    assert errors[[13, 14]].max() < 1.6 * usual and errors[29] < usual < 0.5 * NOISE
    np.testing.assert_allclose(deviation[15], 2 * deviation[13], rtol=1e-4)


@pytest.mark.parametrize("kind", ["noise-free", "rounded", "bytes", "separate noise", "very low noise", "few bands"])
def test_bands_of_their_own_are_kept(kind):
    values = {
        "noise-free": lambda: CLEAN,
        "rounded": lambda: np.rint(CLEAN),
        "bytes": lambda: np.rint(CLEAN / 20),
        "separate noise": lambda: noisy(np.repeat(CLEAN[:15], 2, axis=0)),
        "very low noise": lambda: add_noise(CLEAN, 1.0),
        "few bands": lambda: noisy()[:4],
    }[kind]()
    assert find_derived(values.astype(np.float32), everywhere(values)) == {}


def test_copies_among_few_bands_and_with_missing_pixels():
    values = np.rint(noisy()[:3])
    values[2] = values[0]
    observed = everywhere(values)
    observed[2, :20, :20] = False
    observed[1, 40:, 50:] = False
    assert list(find_derived(np.where(observed, values, 0).astype(np.float32), observed)) == [2]
    observed[:, 5:] = False
    assert find_derived(values, observed) == {} or list(find_derived(values, observed)) == [2]
