"""Held-out data: which samples are hidden, and from whom."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import add_noise, material_cube
from noisy_spectra import everywhere

from dip_core.denoising.held_out import hold_out, most_observed_crop
from dip_core.imaging.subspace import find_subspace


def test_the_denoiser_does_not_get_hidden_samples():
    values = add_noise(material_cube(), 0.1)
    subspace = find_subspace(values, everywhere(values))
    held_out = hold_out(values, everywhere(values), subspace, np.random.default_rng(0))
    assert not (held_out.mask & held_out.observed).any()
    assert held_out.mask.mean() == pytest.approx(0.1, abs=0.01)
    assert (held_out.values[held_out.mask] == 0).all()


def test_noise_is_split_where_bands_are_too_few_to_predict_each_other():
    clean = material_cube(2)
    values = add_noise(clean, 0.1)
    subspace = find_subspace(values, everywhere(values), np.full(2, 0.1))
    held_out = hold_out(values, everywhere(values), subspace, np.random.default_rng(0))
    assert held_out.mask.all() and held_out.observed.all()
    one, other = held_out.values - clean, held_out.samples - clean
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05
    np.testing.assert_allclose(np.square(other).mean(axis=(1, 2)), held_out.noise, rtol=0.05)


def test_too_few_samples_are_not_held_out():
    values = add_noise(material_cube(30, 2, 3), 0.1)
    subspace = find_subspace(values, everywhere(values))
    assert hold_out(values, everywhere(values), subspace, np.random.default_rng(0)) is None


def test_the_crop_is_central_and_holds_observed_pixels():
    observed = np.ones((2, 200, 100), bool)
    assert most_observed_crop(observed, 50)[1:] == (slice(75, 125), slice(25, 75))
    observed[:, :150] = False
    window = most_observed_crop(observed, 50)
    assert observed[window].all()
