"""Ordinary kriging: the best linear unbiased prediction under a covariance fitted to the data.

Bands with one common mask are transformed to *factors* that are uncorrelated at lags 0 and 1; each factor is kriged
with its own covariance. With fewer than `_MIN_BANDS_MAF` bands the factors are principal components, otherwise min/max
autocorrelation factors; the part of the bands that the leading factors do not explain has one common covariance. Each
pixel is predicted from 8 observed pixels per quadrant. In stripes and dead lines, where few neighbour configurations
recur, 12 per quadrant are used and the weights are corrected (`kriging_learned_weights`).

Source: Chiles and Delfiner, Geostatistics (Wiley 1999), chapters 2.5, 3 and 5.6; Switzer and Green, Min/max
autocorrelation factors for multivariate spatial imagery (1984); the baseline of the GAP paper's Table 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from .interface import DEFAULT_CONTEXT, ExpertContext
from .kriging_learned_weights import correct_weights, has_recurring_configurations
from .kriging_neighbours import Neighbourhood
from .kriging_system import kriging_weights
from .laplace import fill_harmonic
from .variogram import fit_variogram

NEIGHBOURS_PER_QUADRANT_RECURRING = 12
_MAX_FACTORS = 32  # with a covariance of their own
_MIN_BANDS_MAF = 20  # with fewer bands, principal components give the lower error
_MIN_RELATIVE_VARIANCE = 1e-9  # of the strongest component; weaker ones are rounding errors


def kriging(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """Ordinary kriging of the target pixels; ``(band, row, column)``.

    Pixels with fewer than four observed pixels within 20 pixels get the harmonic value.
    """
    out = observation.values.astype(np.float64)
    for bands, observed, target in observation.bands_by_mask():
        if target.any() and observed.any():
            out[bands] = _krige(out[bands], observed, target)
    return observation.keep_observed(out)


def _krige(values: NDArray[np.float64], observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Fill bands ``(band, row, column)`` that share one mask."""
    neighbourhood = Neighbourhood(observed, target)
    recurring = has_recurring_configurations(neighbourhood)
    if recurring:
        neighbourhood = Neighbourhood(observed, target, NEIGHBOURS_PER_QUADRANT_RECURRING)
    to_factors, to_bands = _factor_transforms(values, observed)
    factors = np.tensordot(to_factors, values, axes=1)
    components = [*factors[:, None]]
    if len(to_factors) < len(values):
        components.append(values - np.tensordot(to_bands, factors, axes=1))
    # A subset of the bands is enough to fit the covariance of the residual.
    variograms = [fit_variogram(part[:: len(part) // _MAX_FACTORS + 1], observed) for part in components]
    weights = kriging_weights(neighbourhood.configurations, variograms)
    if recurring:
        correct_weights(neighbourhood, factors, weights[: len(to_factors)], observed)
    estimates = [neighbourhood.apply(part, part_weights) for part, part_weights in zip(components, weights)]
    filled = values.copy()
    filled[:, target] = to_bands @ np.concatenate(estimates[: len(to_factors)])
    if len(to_factors) < len(values):
        filled[:, target] += estimates[-1]
    if not neighbourhood.reached.all():
        done = target.copy()
        done[target] = neighbourhood.reached
        filled = fill_harmonic(filled, observed | done, target & ~done)
    return filled


def _factor_transforms(values: NDArray[np.float64], observed: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrices from bands to factors ``(factor, band)`` and back ``(band, factor)``."""
    spectra = values[:, observed]
    identity = np.eye(len(values))
    if len(values) == 1 or spectra.shape[1] < 2:
        return identity, identity
    variance, vectors = np.linalg.eigh(np.cov(spectra))
    kept = np.flatnonzero(variance > _MIN_RELATIVE_VARIANCE * max(variance[-1], 1e-300))[::-1][:_MAX_FACTORS]
    if not len(kept):  # constant bands
        return identity, identity
    if len(values) < _MIN_BANDS_MAF:
        return vectors[:, kept].T, vectors[:, kept]
    deviation, vectors = np.sqrt(variance[kept]), vectors[:, kept]
    whitening = (vectors / deviation).T
    images = np.tensordot(whitening, values, axes=1)
    products, pairs = np.zeros((len(kept), len(kept))), 0
    for first, second in (
        ((..., slice(None, -1), slice(None)), (..., slice(1, None), slice(None))),
        ((..., slice(None, -1)), (..., slice(1, None))),
    ):
        both = observed[first] & observed[second]
        increments = (images[first] - images[second])[:, both]
        products, pairs = products + increments @ increments.T, pairs + increments.shape[1]
    rotation = np.linalg.eigh(products / max(pairs, 1))[1]
    return rotation.T @ whitening, (vectors * deviation) @ rotation
