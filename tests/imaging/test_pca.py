"""Principal components: they hold the variance of one band, of few pixels and of many bands."""

from __future__ import annotations

import numpy as np

from dip_core.imaging.pca import fit_principal_components


def test_one_band_has_one_component():
    values = np.random.default_rng(0).normal(5, 2, (1, 3, 4))
    assert fit_principal_components([(values, np.ones(values.shape, bool))]).basis.shape == (1, 1)


def test_components_reconstruct_a_cube_of_low_rank():
    rng = np.random.default_rng(0)
    spectra, maps = rng.normal(size=(40, 4)), rng.normal(size=(4, 30, 30))
    cube = 3 + np.tensordot(spectra, maps, axes=1)
    found = fit_principal_components([(cube, np.ones(cube.shape, bool))])
    assert found.basis.shape == (40, 4)
    reconstructed = found.reconstruct(found.project(cube)) + found.mean[:, None, None]
    assert np.abs(reconstructed - cube).max() < 1e-4
