"""Harmonic and biharmonic interpolation: the smoothest surfaces through the observed pixels around a gap.

Harmonic: ``min sum |grad u|^2``, the discrete Laplace equation (a membrane). Biharmonic: ``min sum (Laplacian u)^2``
(a thin plate), which also continues slopes. Observed pixels are boundary values; at the border of the observed and
target pixels the boundary condition is Neumann's. Both are sparse linear systems, solved directly.

Source: Chan and Shen, Image Processing and Analysis (SIAM 2005), chapter 6; Damelin and Hoang, On surface
completion and image inpainting by biharmonic functions (2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import SuperLU, splu

from ...arrays import Cube, Mask
from ...imaging.observation import Observation
from ...imaging.resampling import block_sums, enlarge_blocks
from .interface import DEFAULT_CONTEXT, ExpertContext

# In pixels. Deeper inside a gap the surface is so smooth that a quarter of the resolution is enough.
_MAX_FINE_DEPTH = 24
_COARSE_FACTOR = 4
# Added to the diagonal. Without it the system is singular where a part of the gap touches no observed pixel.
_DIAGONAL_LOADING = 1e-6
_NEIGHBOUR_STEPS = ((0, 1), (1, 0))


def harmonic(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """Harmonic surface through the observed pixels; ``(band, row, column)``."""
    out = observation.values.copy()
    for bands, observed, target in observation.bands_by_mask():
        out[bands] = fill_harmonic(observation.values[bands], observed, target)
    return observation.keep_observed(out)


def biharmonic(observation: Observation, context: ExpertContext = DEFAULT_CONTEXT) -> Cube:
    """Biharmonic surface through the observed pixels, clipped to their range; ``(band, row, column)``."""
    out = observation.values.copy()
    for bands, observed, target in observation.bands_by_mask():
        out[bands] = fill_biharmonic(observation.values[bands], observed, target)
    return observation.keep_observed(out)


def fill_harmonic(values: NDArray, observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Harmonic values at the target pixels of bands that share one mask; other values are returned unchanged.

    ``values``: ``(band, row, column)``; masks: ``(row, column)``.
    """
    filled = values.astype(np.float64)
    if not target.any() or not observed.any():
        return filled
    boundary, unknown = observed, target
    deep = _deep_pixels(observed, target)
    if deep is not None:
        filled[:, deep] = _coarse_harmonic(values, observed, target)[:, deep]
        boundary, unknown = observed | deep, target & ~deep
    if unknown.any():
        laplacian, number = _graph_laplacian(unknown, boundary | unknown)
        filled[:, unknown] = _solve_harmonic(laplacian, number, filled, unknown)
    return filled


def fill_biharmonic(values: NDArray, observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Biharmonic values at the target pixels of bands that share one mask; arguments as in `fill_harmonic`.

    Deep inside large gaps, where a thin plate would overshoot, the values are harmonic.
    """
    filled = values.astype(np.float64)
    if not target.any() or not observed.any():
        return filled
    boundary, unknown = observed, target
    deep = _deep_pixels(observed, target)
    if deep is not None:
        filled[:, deep] = fill_harmonic(values, observed, target)[:, deep]
        boundary, unknown = observed | deep, target & ~deep
    domain = boundary | unknown
    equations = ndimage.binary_dilation(unknown) & domain
    if unknown.any():
        laplacian, number = _graph_laplacian(equations, domain)
        normal_matrix = (laplacian.T @ laplacian).tocsr()
        filled[:, unknown] = _solve_biharmonic(normal_matrix, number[unknown], filled, domain)
    low, high = values[:, observed].min(axis=1), values[:, observed].max(axis=1)
    return np.where(target, np.clip(filled, low[:, None, None], high[:, None, None]), filled)


def _deep_pixels(observed: Mask, target: Mask) -> Mask | None:
    depth = ndimage.distance_transform_edt(~observed)
    deep = target & (depth > _MAX_FINE_DEPTH)
    return deep if deep.any() else None


def _coarse_harmonic(values: NDArray, observed: Mask, target: Mask) -> NDArray[np.float64]:
    """The harmonic surface computed at a quarter of the resolution, interpolated to all pixels."""
    counts = block_sums(observed[None], _COARSE_FACTOR)[0]
    coarse_observed = counts > 0
    coarse_target = (block_sums(target[None], _COARSE_FACTOR)[0] > 0) & ~coarse_observed
    sums = block_sums(np.where(observed, values, 0.0), _COARSE_FACTOR)
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=coarse_observed)
    surface = fill_harmonic(means, coarse_observed, coarse_target)
    return enlarge_blocks(surface, coarse_observed | coarse_target, _COARSE_FACTOR, observed.shape)


def _graph_laplacian(equations: Mask, domain: Mask) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Graph Laplacian with a row for each pixel of ``equations`` and a column for each pixel of ``domain``.

    Returns the matrix and the column number of each pixel ``(row, column)``, -1 outside the domain. Only the four
    neighbours inside the domain are linked, which is Neumann's condition at its border.
    """
    column_number = np.full(domain.shape, -1, np.int64)
    column_number[domain] = np.arange(np.count_nonzero(domain))
    row_number = np.full(domain.shape, -1, np.int64)
    row_number[equations] = np.arange(np.count_nonzero(equations))
    rows, columns = [], []
    for down, right in _NEIGHBOUR_STEPS:
        first = (slice(0, domain.shape[0] - down), slice(0, domain.shape[1] - right))
        second = (slice(down, None), slice(right, None))
        linked = domain[first] & domain[second]
        for pixel, neighbour in ((first, second), (second, first)):
            used = linked & equations[pixel]
            rows.append(row_number[pixel][used])
            columns.append(column_number[neighbour][used])
    row = np.concatenate(rows)
    column = np.concatenate(columns)
    count = int(np.count_nonzero(equations))
    degree = np.bincount(row, minlength=count).astype(np.float64)
    row = np.concatenate([row, np.arange(count)])
    column = np.concatenate([column, column_number[equations]])
    data = np.concatenate([np.full(len(row) - count, -1.0), degree])
    return sparse.csr_matrix((data, (row, column)), shape=(count, int(np.count_nonzero(domain)))), column_number


def _solve_harmonic(
    laplacian: sparse.csr_matrix, number: NDArray[np.int64], values: NDArray[np.float64], unknown: Mask
) -> NDArray[np.float64]:
    boundary = (number >= 0) & ~unknown
    right_side = -(laplacian[:, number[boundary]] @ values[:, boundary].T)
    matrix = laplacian[:, number[unknown]] + _DIAGONAL_LOADING * sparse.identity(laplacian.shape[0])
    return _factorize(matrix).solve(right_side).T


def _solve_biharmonic(
    normal_matrix: sparse.csr_matrix, unknown_numbers: NDArray[np.int64], values: NDArray[np.float64], domain: Mask
) -> NDArray[np.float64]:
    rows = normal_matrix[unknown_numbers]
    boundary_numbers = np.unique(rows.indices)
    boundary_numbers = boundary_numbers[~np.isin(boundary_numbers, unknown_numbers)]
    flat = values[:, domain]  # in the order of the column numbers
    right_side = -(rows[:, boundary_numbers] @ flat[:, boundary_numbers].T)
    matrix = rows[:, unknown_numbers] + _DIAGONAL_LOADING * sparse.identity(len(unknown_numbers))
    return _factorize(matrix).solve(right_side).T


def _factorize(matrix: sparse.spmatrix) -> SuperLU:
    options = {"SymmetricMode": True}
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
