"""Methods of scikit-image and tensorly, run as their documentation recommends, on arrays ``(band, row, column)``.

The denoisers of scikit-image get the true noise level ``sigma``; the low-rank methods use the spectral rank that the
product estimates.
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
SPATIAL_RANK_DIVISOR = 4  # of rows and columns: the quotients are the spatial ranks of the Tucker decomposition
_MAX_ITERATIONS = 20

Cube = NDArray[np.float64]


def principal_components(noisy: NDArray, sigma: float) -> Cube:
    """Projection onto the estimated signal subspace; ``sigma`` is not used."""
    subspace = _subspace(noisy)
    return subspace.reconstruct(subspace.project(noisy, np.ones(noisy.shape, bool))[0]).astype(np.float64)


def wavelet(noisy: NDArray, sigma: float) -> Cube:
    """BayesShrink, per band."""
    from skimage.restoration import denoise_wavelet

    return np.stack([denoise_wavelet(band, sigma=sigma, method="BayesShrink", rescale_sigma=True) for band in noisy])


def non_local_means(noisy: NDArray, sigma: float) -> Cube:
    """Non-local means with the h that scikit-image recommends, per band."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 7, "patch_distance": 9, "fast_mode": True}
    return np.stack([denoise_nl_means(band, h=0.8 * sigma, sigma=sigma, **options) for band in noisy])


def total_variation(noisy: NDArray, sigma: float) -> Cube:
    """Chambolle's total variation, per band; the weight is the noise level, the initial value in his paper."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(band, weight=sigma) for band in noisy])


def tucker_low_rank(noisy: NDArray, sigma: float) -> Cube:
    """Tucker decomposition with the estimated spectral rank and a quarter of the spatial ranks; ignores ``sigma``."""
    return _tucker(noisy, _subspace(noisy).rank, None)


def inpaint_biharmonic(values: NDArray, observed: Mask) -> Cube:
    """scikit-image's biharmonic inpainting, per band and per hole (one system for all holes would take hours)."""
    from skimage.restoration import inpaint_biharmonic as inpaint

    if (observed == observed[:1]).all():
        filled = inpaint(np.moveaxis(values, 0, -1), ~observed[0], split_into_regions=True, channel_axis=-1)
        return np.moveaxis(filled, -1, 0)
    return np.stack([inpaint(band, ~seen, split_into_regions=True) for band, seen in zip(values, observed)])


def inpaint_tucker(values: NDArray, observed: Mask) -> Cube:
    """Masked Tucker decomposition; observed pixels are kept, ranks are those of denoising.

    It starts from the linear fill: zeros contain no information on a column that is missing in all rows and bands.
    """
    start = GAP_EXPERTS["linear"].estimate(Observation(values.astype(np.float32), observed, ~observed))
    estimate = _tucker(start, _subspace(start).rank, observed)
    return np.where(observed, values, estimate)


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
    ranks = [rank, *(length // SPATIAL_RANK_DIVISOR for length in cube.shape[1:])]
    if observed is None:
        factors = tucker(tensor, rank=ranks, n_iter_max=_MAX_ITERATIONS)
    else:
        # One unmasked iteration as the start; tensorly's own masked start decomposes the whole cube eighteen times.
        start = tucker(tensor, rank=ranks, n_iter_max=1)
        mask = tensorly.tensor(observed.astype(np.float64))
        factors = tucker(tensor, rank=ranks, n_iter_max=_MAX_ITERATIONS, init=start, mask=mask)
    return np.asarray(tensorly.tucker_to_tensor(factors))
