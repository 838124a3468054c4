"""The *harmonic* and *biharmonic* fills: the smoothest surfaces through the gap's rim.

Harmonic: ``min sum |grad u|^2``, the discrete Laplace equation with the observed pixels as boundary (a
membrane). Biharmonic: ``min sum (Laplacian u)^2`` (a thin plate), which also continues slopes. Both are
sparse linear systems, solved directly. Outside observed and target pixels the surface is free (Neumann).

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

# Deeper in a gap than this the surface is so smooth that a grid of a quarter of the resolution holds it.
_FINE_DEPTH = 24
_COARSE_FACTOR = 4
# A rim that a part of the gap never touches leaves its level free: this pulls it to the mean, 0.
_ANCHOR = 1e-6
_STEPS = ((0, 1), (1, 0))


def harmonic(observation: Observation) -> Cube:
    """Membrane through the observed pixels; ``(band, row, column)``."""
    out = observation.values.copy()
    for numbers, observed, target in observation.bands_by_mask():
        out[numbers] = fill_harmonic(observation.values[numbers], observed, target)
    return observation.keep_observed(out)


def biharmonic(observation: Observation) -> Cube:
    """Thin plate through the observed pixels, within the range of their values; ``(band, row, column)``."""
    out = observation.values.copy()
    for numbers, observed, target in observation.bands_by_mask():
        out[numbers] = fill_biharmonic(observation.values[numbers], observed, target)
    return observation.keep_observed(out)


def fill_harmonic(values: NDArray, observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Harmonic values at target pixels of bands with one common mask.

    ``values``: ``(band, row, column)``; masks: ``(row, column)``. Elsewhere the values are returned.
    """
    filled = values.astype(np.float64)
    if not target.any() or not observed.any():
        return filled
    known, wanted = observed, target
    deep = _deep(observed, target)
    if deep is not None:
        filled[:, deep] = _coarse_harmonic(values, observed, target)[:, deep]
        known, wanted = observed | deep, target & ~deep
    if wanted.any():
        laplacian, place = _laplacian(wanted, known | wanted)
        filled[:, wanted] = _solve(laplacian, place, filled, wanted)
    return filled


def fill_biharmonic(values: NDArray, observed: Mask, target: Mask) -> NDArray[np.float64]:
    """Biharmonic values at target pixels of bands with one common mask; arguments as `fill_harmonic`.

    Deep inside large gaps, where a thin plate would overshoot, the harmonic surface is taken.
    """
    filled = values.astype(np.float64)
    if not target.any() or not observed.any():
        return filled
    known, wanted = observed, target
    deep = _deep(observed, target)
    if deep is not None:
        filled[:, deep] = fill_harmonic(values, observed, target)[:, deep]
        known, wanted = observed | deep, target & ~deep
    rim = ndimage.binary_dilation(wanted) & (known | wanted)
    if wanted.any():
        laplacian, place = _laplacian(rim, known | wanted)
        plate = (laplacian.T @ laplacian).tocsr()
        inside = place[wanted]
        filled[:, wanted] = _solve_normal(plate, place, inside, filled, known | wanted)
    low, high = values[:, observed].min(axis=1), values[:, observed].max(axis=1)
    return np.where(target, np.clip(filled, low[:, None, None], high[:, None, None]), filled)


def _deep(observed: Mask, target: Mask) -> Mask | None:
    depth = ndimage.distance_transform_edt(~observed)
    deep = target & (depth > _FINE_DEPTH)
    return deep if deep.any() else None


def _coarse_harmonic(values: NDArray, observed: Mask, target: Mask) -> NDArray[np.float64]:
    """The harmonic surface on a grid of a quarter of the resolution, enlarged again."""
    counts = block_sums(observed[None], _COARSE_FACTOR)[0]
    coarse_observed = counts > 0
    coarse_target = (block_sums(target[None], _COARSE_FACTOR)[0] > 0) & ~coarse_observed
    sums = block_sums(np.where(observed, values, 0.0), _COARSE_FACTOR)
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=coarse_observed)
    surface = fill_harmonic(means, coarse_observed, coarse_target)
    return enlarge_blocks(surface, coarse_observed | coarse_target, _COARSE_FACTOR, observed.shape)


def _laplacian(rows_at: Mask, domain: Mask) -> tuple[sparse.csr_matrix, NDArray[np.int64]]:
    """Graph Laplacian: a row for each pixel of ``rows_at``, a column for each pixel of ``domain``.

    Returns the matrix and the column number of every pixel (-1 outside the domain). Links lead to the
    four neighbours inside the domain only, which makes its border free.
    """
    place = np.full(domain.shape, -1, np.int64)
    place[domain] = np.arange(np.count_nonzero(domain))
    row_of = np.full(domain.shape, -1, np.int64)
    row_of[rows_at] = np.arange(np.count_nonzero(rows_at))
    heads, tails = [], []
    for down, right in _STEPS:
        here = (slice(0, domain.shape[0] - down), slice(0, domain.shape[1] - right))
        there = (slice(down, None), slice(right, None))
        linked = domain[here] & domain[there]
        for one, other in ((here, there), (there, here)):
            used = linked & rows_at[one]
            heads.append(row_of[one][used])
            tails.append(place[other][used])
    row = np.concatenate(heads)
    column = np.concatenate(tails)
    count = int(np.count_nonzero(rows_at))
    degree = np.bincount(row, minlength=count).astype(np.float64)
    row = np.concatenate([row, np.arange(count)])
    column = np.concatenate([column, place[rows_at]])
    data = np.concatenate([np.full(len(row) - count, -1.0), degree])
    return sparse.csr_matrix((data, (row, column)), shape=(count, int(np.count_nonzero(domain)))), place


def _solve(
    laplacian: sparse.csr_matrix, place: NDArray[np.int64], filled: NDArray[np.float64], wanted: Mask
) -> NDArray[np.float64]:
    known = (place >= 0) & ~wanted
    right = -(laplacian[:, place[known]] @ filled[:, known].T)
    matrix = laplacian[:, place[wanted]] + _ANCHOR * sparse.identity(laplacian.shape[0])
    return _factor(matrix).solve(right).T


def _solve_normal(
    plate: sparse.csr_matrix,
    place: NDArray[np.int64],
    inside: NDArray[np.int64],
    filled: NDArray[np.float64],
    domain: Mask,
) -> NDArray[np.float64]:
    rows = plate[inside]
    used = np.unique(rows.indices)
    used = used[~np.isin(used, inside)]
    flat = filled[:, domain]  # columns are numbered in this order
    right = -(rows[:, used] @ flat[:, used].T)
    matrix = rows[:, inside] + _ANCHOR * sparse.identity(len(inside))
    return _factor(matrix).solve(right).T


def _factor(matrix: sparse.spmatrix) -> SuperLU:
    options = {"SymmetricMode": True}
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
