"""Peers: methods of scikit-image and tensorly, run as their documentation advises, on arrays ``(band, row, column)``.

Those of scikit-image are told the true noise level; the low-rank ones get the spectral rank that the product finds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dip_core.arrays import Mask
from dip_core.imaging.observation import Observation
from dip_core.imaging.subspace import Subspace, find_subspace
from dip_core.inpainting.experts.registry import GAP_EXPERTS

FILL_NODATA = "fill-nodata"
SPATIAL_RANK = 4  # rows and columns divided by this are the spatial ranks of the Tucker decomposition
_SWEEPS = 20

Cube = NDArray[np.float64]


def principal_components(noisy: NDArray, sigma: float) -> Cube:
    """Projection to the automatic spectral subspace; ``sigma`` is not needed."""
    space = _subspace(noisy)
    return space.reconstruct(space.project(noisy, np.ones(noisy.shape, bool))[0]).astype(np.float64)


def wavelet(noisy: NDArray, sigma: float) -> Cube:
    """BayesShrink, band by band."""
    from skimage.restoration import denoise_wavelet

    return np.stack([denoise_wavelet(band, sigma=sigma, method="BayesShrink", rescale_sigma=True) for band in noisy])


def non_local_means(noisy: NDArray, sigma: float) -> Cube:
    """Non-local means with scikit-image's own advice for h, band by band."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 7, "patch_distance": 9, "fast_mode": True}
    return np.stack([denoise_nl_means(band, h=0.8 * sigma, sigma=sigma, **options) for band in noisy])


def total_variation(noisy: NDArray, sigma: float) -> Cube:
    """Chambolle's total variation, band by band; the weight is the noise level, as its paper has it to start from."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(band, weight=sigma) for band in noisy])


def tucker_low_rank(noisy: NDArray, sigma: float) -> Cube:
    """Tucker decomposition: the automatic spectral rank, and a quarter of the spatial ones; needs no ``sigma``."""
    return _tucker(noisy, _subspace(noisy).rank, None)


def inpaint_biharmonic(given: NDArray, observed: Mask) -> Cube:
    """scikit-image's biharmonic inpainting, band by band, each hole by itself: all at once would take hours."""
    from skimage.restoration import inpaint_biharmonic as inpaint

    if (observed == observed[:1]).all():
        filled = inpaint(np.moveaxis(given, 0, -1), ~observed[0], split_into_regions=True, channel_axis=-1)
        return np.moveaxis(filled, -1, 0)
    return np.stack([inpaint(band, ~seen, split_into_regions=True) for band, seen in zip(given, observed)])


def inpaint_tucker(given: NDArray, observed: Mask) -> Cube:
    """Masked Tucker decomposition of the linear fill, observed pixels put back; ranks as in denoising.

    Started from zeros, it could not fill a column that is missing in all rows and bands: no value is left to tell
    that column's factor.
    """
    start = GAP_EXPERTS["linear"].estimate(Observation(given.astype(np.float32), observed, ~observed))
    estimate = _tucker(start, _subspace(start).rank, observed)
    return np.where(observed, given, estimate)


DENOISERS: dict[str, Callable[[NDArray, float], Cube]] = {
    "PCA truncation": principal_components,
    "wavelet (scikit-image)": wavelet,
    "non-local means (scikit-image)": non_local_means,
    "total variation (scikit-image)": total_variation,
    "Tucker low rank (tensorly)": tucker_low_rank,
}
INPAINTERS: dict[str, Callable[[NDArray, Mask], Cube]] = {
    "biharmonic (scikit-image)": inpaint_biharmonic,
    "Tucker low rank (tensorly)": inpaint_tucker,
}


def _subspace(cube: NDArray) -> Subspace:
    return find_subspace(cube.astype(np.float64), np.ones(cube.shape, bool))


def _tucker(cube: NDArray, rank: int, observed: Mask | None) -> Cube:
    import tensorly
    from tensorly.decomposition import tucker

    tensor = tensorly.tensor(cube.astype(np.float64))
    ranks = [rank, *(length // SPATIAL_RANK for length in cube.shape[1:])]
    if observed is None:
        found = tucker(tensor, rank=ranks, n_iter_max=_SWEEPS)
    else:
        # A start from one unmasked sweep: its own masked start decomposes the whole cube eighteen times.
        start = tucker(tensor, rank=ranks, n_iter_max=1)
        mask = tensorly.tensor(observed.astype(np.float64))
        found = tucker(tensor, rank=ranks, n_iter_max=_SWEEPS, init=start, mask=mask)
    return np.asarray(tensorly.tucker_to_tensor(found))
