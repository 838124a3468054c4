"""Rare signal: what the model of a scene removes although it is no noise, such as small targets and thin plumes.

The subspace and the non-local ridge describe what many pixels share. `residual_scan` finds pixels and groups of pixels
whose residual is improbable under the noise. The mean residual spectrum of a group, shrunk to its significant part, is
a direction; the group's pixels get their residual along it back. What is suspicious, but not significant, is added to
the uncertainty.

A sample that stands alone, among the bands and among the pixels, is an impulse; a line of one band is a stripe. Neither
is signal.

Source: Mallat and Zhang, Matching pursuits (1993), for the order of the work: the most significant group first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from ..arrays import Cube, Mask
from ..imaging.subspace import Subspace
from .residual_noise import clipping_level, correlation_root, local_deviation, remove_impulses, subtract_stripes
from .residual_scan import SIDES, Limits, band_windows, calibrate, find_candidates, statistics
from .spectral_shrinkage import shrink_spectrum

_SIGNIFICANT = 5.4  # deviations of the statistic
_SUSPICIOUS = 4.2
_MIN_REST = 3.0  # deviations of the statistic without its strongest band
_MAX_GROUPS = 4000  # in a tile
_REACH = 6  # pixels around a window in which its group grows
_MEMBER_PIXEL, _MEMBER_MEAN = 3.0, 3.5  # noise deviations of a member's amplitude, and of its mean over 3 x 3 pixels
_MIN_EXTENT = 3  # rows and columns of a group that shows in a single band
_MAX_SPECTRA = 20  # that are looked for in all pixels
_MIN_MATCHES = 3
_MIN_REST_SHARE = 0.2  # of the energy of a spectrum of scattered pixels, without its strongest band
_FALSE_SHARE = 1e-3  # expected, of the pixels that match a spectrum
_MAX_STRIP_VALUES = 1 << 22
_ANY_DIRECTION = np.ones((3, 3), bool)

Place = tuple[int, int]
Spectrum = NDArray[np.float64]


def keep_rare_signal(
    subspace: Subspace,
    values: NDArray,
    observed: Mask,
    estimate: Cube,
    deviation: Cube,
    outliers: Mask | None = None,
) -> Mask:
    """Give rare signal back to ``estimate``, and add what may be lost to ``deviation``; changes both.

    All arrays are ``(band, row, column)``, in the data's units. ``outliers``: observed samples that were not used.
    Returns the pixels that got something back, ``(row, column)``.
    """
    residual = np.zeros(values.shape, np.float32)
    for own, *band, level, seen in zip(residual, values, estimate, subspace.sigma, observed):
        own[seen] = (band[0][seen] - band[1][seen]) / level
    subtract_stripes(residual, observed)
    impulses = remove_impulses(residual, outliers)
    scale = local_deviation(residual, estimate, subspace.sigma, observed)
    residual /= scale
    any_observed = np.asarray(observed.any(axis=0))
    root = correlation_root(residual, any_observed)
    if root is not None:
        flat = residual.reshape(len(residual), -1)
        flat[:] = np.linalg.inv(root).astype(np.float32) @ flat
    search = _Search(residual, calibrate(residual, any_observed, clipping_level(len(values), impulses)))
    search.run()
    for (row, column), (spectrum, variance) in search.changes.items():
        if root is not None:
            spectrum, variance = root @ spectrum, np.square(root) @ variance
        unit = subspace.sigma * scale[row, column]
        estimate[:, row, column] += unit * spectrum
        deviation[:, row, column] = np.sqrt(np.square(deviation[:, row, column]) + np.square(unit) * variance)
    return search.kept


class _Search:
    """Takes groups out of a residual.

    ``changes``: by row and column, the spectrum to give back and the error variance to add, ``(band,)`` each, in noise
    deviations and variances. ``kept`` ``(row, column)``: pixels that get something back.
    """

    def __init__(self, residual: Cube, limits: Limits) -> None:
        self.residual = residual
        self.limits = limits
        self.windows = band_windows(len(residual))
        self.significant, self.suspicious = limits.at(_SIGNIFICANT), limits.at(_SUSPICIOUS)
        self.rest = limits.at(_MIN_REST)
        single, square = limits.centre[SIDES.index(1), -1], limits.centre[SIDES.index(3), -1]
        self.correlation = max(1.0, float(square / single) ** 1.5)
        self.kept = np.zeros(residual.shape[1:], bool)
        self.changes: dict[Place, tuple[Spectrum, Spectrum]] = {}

    def run(self) -> None:
        """Find all groups and scattered pixels; then add to the error variance what remains suspicious."""
        candidates = find_candidates(self.residual, self.limits, _SUSPICIOUS)
        places = [(int(row), int(column)) for row, column in zip(candidates.row, candidates.column)]
        groups = 0
        for place, which in zip(places, candidates.side):
            groups += self._take_group(place, int(which))
            if groups == _MAX_GROUPS:
                break
        self._match_spectra([place for place, which in zip(places, candidates.side) if which == 0])
        for place, which in zip(places, candidates.side):
            self._suspect(place, int(which))

    def _window(self, place: Place, which: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The spectrum of a window with noise of variance 1, and the statistics of its clipped values."""
        side = SIDES[which]
        part = self.residual[:, place[0] : place[0] + side, place[1] : place[1] + side]
        total = self.limits.clipped(part).sum(axis=(1, 2)) / np.float32(side)
        return part.sum(axis=(1, 2)) / np.float32(side), statistics(total)

    def _give_back(self, place: Place, spectrum: Spectrum, error: Spectrum) -> None:
        """Move a spectrum from the residual of a pixel to its changes."""
        self.residual[:, place[0], place[1]] -= spectrum.astype(np.float32)
        self.kept[place] = True
        known = self.changes.get(place)
        self.changes[place] = (spectrum, error) if known is None else (known[0] + spectrum, known[1] + error)

    def _take_group(self, place: Place, which: int) -> bool:
        """Take the group of a window out of the residual, if it is still significant."""
        spectrum, statistic = self._window(place, which)
        significant = np.flatnonzero(statistic > self.significant[which])
        if not len(significant):
            return False
        shrunk = shrink_spectrum(spectrum)
        length = float(np.linalg.norm(shrunk))
        if not length:
            return False
        direction = shrunk / length
        factor = length / float(direction @ spectrum)  # below 1, because the direction contains the pixels' own noise
        (row, column), side = place, SIDES[which]
        top, left = max(0, row - _REACH), max(0, column - _REACH)
        part = self.residual[:, top : row + side + _REACH, left : column + side + _REACH]
        amplitude = np.tensordot(direction.astype(np.float32), part, 1)
        seed = np.zeros(amplitude.shape, bool)
        seed[row - top : row - top + side, column - left : column - left + side] = True
        members = _members(amplitude, seed, self.correlation)
        if not members.any() or not self._is_signal(spectrum, which, significant, members):
            return False
        error = np.square(direction) + (direction != 0) / side**2
        for down, right in np.argwhere(members):
            own = factor * float(amplitude[down, right]) * direction
            self._give_back((top + int(down), left + int(right)), own, error)
        return True

    def _is_signal(
        self, spectrum: NDArray[np.float32], which: int, significant: NDArray[np.int64], members: Mask
    ) -> bool:
        """Whether a group shows in several bands, or covers an area and no line."""
        square = np.square(spectrum)
        for window in significant:
            part = square[self.windows.start[window] : self.windows.stop[window]]
            if part.sum() - part.max() > self.rest[which, window]:
                return True
        extent = min(int(np.count_nonzero(members.any(axis=axis))) for axis in (0, 1))
        return extent >= _MIN_EXTENT

    def _match_spectra(self, places: list[Place]) -> None:
        """Look for the spectra of the most significant pixels ``places`` in all pixels, and give back what matches.

        Pixels that share a spectrum support each other, so each needs less evidence.
        """
        tried, matched = 0, np.zeros_like(self.kept)
        for place in places:
            if tried == _MAX_SPECTRA:
                break
            if matched[place]:
                continue
            tried += 1
            given = self.changes[place][0] if place in self.changes else 0.0
            direction = _unit(shrink_spectrum(self.residual[:, place[0], place[1]] + given))
            found = self._find(direction)
            found[place] = False
            if np.count_nonzero(found) < _MIN_MATCHES:
                continue
            direction = _unit(shrink_spectrum(_scaled_mean(self.residual[:, found])))
            found = self._find(direction)
            if np.count_nonzero(found) < _MIN_MATCHES or 1.0 - np.square(direction).max() < _MIN_REST_SHARE:
                continue
            matched |= found
            matched[place] = True
            error = np.square(direction) + (direction != 0) / np.count_nonzero(found)
            for row, column in np.argwhere(found):
                own = float(direction @ self.residual[:, row, column]) * direction
                self._give_back((int(row), int(column)), own, error)

    def _find(self, direction: Spectrum) -> Mask:
        """Pixels with an amplitude along ``direction`` that noise does not explain.

        The false discovery rate is limited (Benjamini and Hochberg 1995).
        """
        bands, rows, columns = self.residual.shape
        strip = max(1, _MAX_STRIP_VALUES // (bands * columns))
        parts = (self.limits.clipped(self.residual[:, top : top + strip]) for top in range(0, rows, strip))
        amplitude = np.concatenate([np.tensordot(direction.astype(np.float32), part, 1) for part in parts])
        amplitude /= max(1.0, 1.4826 * float(np.median(np.abs(amplitude))))
        highest = np.sort(amplitude, axis=None)[::-1].astype(np.float64)
        expected = ndtr(-highest) * amplitude.size
        accepted = np.flatnonzero(expected < _FALSE_SHARE * np.arange(1, len(highest) + 1))
        return np.asarray(amplitude >= (highest[accepted[-1]] if len(accepted) else np.inf))

    def _suspect(self, place: Place, which: int) -> None:
        """Add the excess of a window that is suspicious to the error variance of its pixels."""
        _, statistic = self._window(place, which)
        side = SIDES[which]
        for window in np.flatnonzero(statistic > self.suspicious[which]):
            bands = slice(self.windows.start[window], self.windows.stop[window])
            excess = float(statistic[window] / (bands.stop - bands.start) - 1.0) / side**2
            for row in range(place[0], place[0] + side):
                for column in range(place[1], place[1] + side):
                    none = np.zeros(len(self.residual))
                    spectrum, variance = self.changes.get((row, column), (none, none))
                    variance = variance.copy()
                    variance[bands] = np.maximum(variance[bands], excess)
                    self.changes[row, column] = spectrum, variance


def _members(amplitude: NDArray[np.float32], seed: Mask, correlation: float) -> Mask:
    """The pixels of a group: those of the window and connected ones with a significant amplitude.

    ``correlation``: by how much the deviation of a mean exceeds that of the mean of independent pixels.
    """
    mean = 3.0 / correlation * ndimage.uniform_filter(amplitude, 3, mode="constant")
    high = (amplitude > _MEMBER_PIXEL) | ((mean > _MEMBER_MEAN) & (amplitude > 0))
    return np.asarray(ndimage.binary_propagation(high & seed, _ANY_DIRECTION, high))


def _scaled_mean(spectra: NDArray[np.float32]) -> Spectrum:
    """The mean of spectra ``(band, pixel)``, with noise of variance 1."""
    return spectra.mean(axis=1).astype(np.float64) * np.sqrt(spectra.shape[1])


def _unit(spectrum: Spectrum) -> Spectrum:
    """The spectrum with length 1, or 0."""
    length = float(np.linalg.norm(spectrum))
    return spectrum / length if length else spectrum
