"""The search behind `stripes.detect`, step by step: dead lines, tilted offsets, wild lines, upright offsets.

What the words mean is said in `stripes`. A band's *place* is its number among the bands that are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..arrays import Cube, Mask
from ..runtime.progress import ProgressReporter
from .band_residual import Residual, fill_unseen, filled, residual
from .dead_lines import FEWEST, WIDEST, Lines, dead_lines, runs, stuck_lines
from .lines import Direction, Profile, Slant, SlopeSearch, deviation, medians, running_median, spreads

_WINDOW = 2 * WIDEST + 3  # lines of the running median: a stripe fills less than half of it
_SCORE = 8.0  # deviations of the line medians; scenes have edges, so these are not normal deviations
_SHARE_OF_NOISE = 1.0  # a smaller offset hides in the noise of its pixels
_HALF = 1.6  # times score and share that a half line needs: objects are half as long as an image more often
_SHARE_OF_SIGNAL = 0.002  # of the band's own deviation: a smaller offset is not seen
_ALONG = 0.3  # share of a line's full length that must have been observed
_SHORTEST_HALF = 48  # pixels: half lines that are shorter are not judged on their own
_AGREEMENT = 0.4  # of the offset, which each quarter of a line must have
_WILD = 3.0  # typical spreads of the residual along a line
_BETTER = 0.6  # of a wild line's spread, which interpolation must reach
_TILT_EVIDENCE = 150.0  # squared deviations beyond 16
_NEW_TILT = 2.0  # times that for a direction that no other band has; a road can have more than 150
_TILT_GAIN = 1.5  # times the evidence of lines that are not tilted
_MOST_TILTS = 4
_MOST_ROUNDS = 4  # of looking for bands that share tilted stripes
_INFLATION = 3.0  # times the largest line median: offsets beyond are no solution


@dataclass(frozen=True)
class StripedLines:
    """The striped lines of one band in one direction, from place ``start`` to ``stop`` along them.

    ``offset``: for each line what was added to its pixels, 0 where nothing was; ``dead``: True for dead lines;
    ``score``: the largest score of an offset, in deviations of the line medians (0 where there is none).
    """

    band: int
    direction: Direction
    start: int
    stop: int
    offset: Profile
    dead: Lines
    score: float


class Search:
    """The state of one detection: bands that can be judged, their residual, and what was found so far."""

    def __init__(self, values: NDArray, observed: Mask | None, use: Sequence[bool] | None) -> None:
        count = len(values)
        seen = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)
        if observed is not None:
            seen &= observed
        varied = [bool(seen[k].any()) and bool(np.ptp(values[k][seen[k]]) > 0) for k in range(count)]
        self.keep = [k for k in range(count) if varied[k] and (use is None or use[k])]
        self.shape = values.shape
        self.seen = seen[self.keep]
        self.values = filled(values, seen, self.keep)
        self.dead = np.zeros(self.seen.shape, bool)
        self.noise = np.full(len(self.keep), np.nan)
        self.found: list[StripedLines] = []
        self.upright = [Direction(orientation, 0.0, values.shape[1:]) for orientation in ("columns", "rows")]

    def run(self, progress: ProgressReporter) -> list[StripedLines]:
        """All steps, in an order in which no defect hides another; what was found, by band."""
        if not self.keep:
            return []
        for place in range(len(self.keep)):
            for direction in self.upright:
                self._find_dead(place, direction)
            progress.update(0.3 * (place + 1) / len(self.keep))
        self._fill_dead()
        self.rest: Residual = residual(self.values, self.seen & ~self.dead)
        progress.update(0.4)
        self._measure()
        progress.update(0.55)
        if self.rest.spectral:
            self._find_tilted()
            progress.update(0.7)
            for direction in self.upright:
                self._find_wild(direction)
        progress.update(0.8)
        tilted = list(self.found)
        self._find_upright()
        progress.update(0.9)
        if self.rest.spectral and len(self.found) > len(tilted):
            # Stripes spoil the prediction that they are found by; so once more, by one learned without the worst.
            model = self._corrected(0.5)
            self.found = tilted
            self.rest = residual(self._corrected(), self.seen & ~self.dead, model=model)
            self._measure()
            self._find_upright()
        return sorted(self.found, key=lambda item: item.band)

    def noise_by_band(self) -> NDArray[np.float64]:
        """The noise of every band in the data's units, NaN for bands that were not judged."""
        noise = np.full(self.shape[0], np.nan)
        noise[self.keep] = self.noise
        return noise

    def _find_upright(self) -> None:
        """Offsets of columns and rows, whole lines first."""
        for direction in self.upright:
            for start, stop in self._parts(direction):
                self._find_offsets(direction, start, stop)

    def _find_dead(self, place: int, direction: Direction) -> None:
        """Dead lines of one band: whole ones, then halves."""
        view = direction.view(np.where(self.seen[place] & ~self.dead[place], self.values[place], np.float32(np.nan)))
        for start, stop in self._parts(direction):
            fewest = self._fewest(direction, stop - start)
            # Pixels of tilted lines have no neighbours of their own place, so copies cannot be told.
            dead = (stuck_lines if direction.tilted else dead_lines)(view[:, start:stop], fewest)
            if dead.any():
                self._add_dead(place, direction, start, stop, dead)
                view[dead, start:stop] = np.nan

    def _add_dead(self, place: int, direction: Direction, start: int, stop: int, dead: Lines) -> None:
        nothing = np.zeros(direction.count)
        self.found.append(StripedLines(self.keep[place], direction, start, stop, nothing, dead, 0.0))
        along = direction.along()
        self.dead[place] |= dead[direction.line_of()] & (along >= start) & (along < stop) & self.seen[place]

    def _fill_dead(self) -> None:
        """Dead pixels get their neighbours' values, so that they do not spoil the other bands' residuals."""
        for place in np.flatnonzero(self.dead.any(axis=(1, 2))):
            fill_unseen(self.values[place], self.seen[place] & ~self.dead[place])

    def _measure(self) -> None:
        """The noise of each band, and the usual deviation of its line medians, times the root of their length."""
        count = len(self.keep)
        self.noise, self.signal, self.usual = np.zeros(count), np.zeros(count), np.zeros(count)
        for place, rest in enumerate(self.rest.values):
            self.signal[place] = deviation(self.values[place][self.seen[place]])
            inner, across = [], []
            for direction, other in (self.upright, self.upright[::-1]):
                # Medians across stripes would be less certain than those of noise: stripes across are taken off.
                view = self._view(rest, other)
                crossing = medians(view, self._fewest(other, other.length))[0]
                inner.append(self._noise_along(view, crossing))
                view = self._view(rest - np.nan_to_num(crossing)[other.line_of()].astype(np.float32), direction)
                centre, number = medians(view, self._fewest(direction, direction.length))
                across.append(deviation((centre - running_median(centre, _WINDOW)) * np.sqrt(number)))
            self.noise[place] = min(inner)
            self.usual[place] = min(across)

    def _noise_along(self, view: NDArray, centre: Profile) -> float:
        """The noise of pixels, by the spread along the median line (of second differences in a band alone)."""
        if self.rest.spectral:
            spread = spreads(view, centre)
            return float(np.nanmedian(spread)) if np.isfinite(spread).any() else 0.0
        bend = view[:, :-2] - 2 * view[:, 1:-1] + view[:, 2:]
        return deviation(bend.ravel()) / np.sqrt(6.0)

    def _view(self, image: NDArray, direction: Direction) -> NDArray:
        """A band's residual by lines; for a band alone less the running median across lines, pixel by pixel."""
        view = direction.view(image)
        if self.rest.spectral:
            return view
        return view - np.stack([running_median(across, _WINDOW) for across in view.T], axis=1)

    @staticmethod
    def _parts(direction: Direction) -> list[tuple[int, int]]:
        """Whole lines, then their halves where these are long enough."""
        length, half = direction.length, direction.length // 2
        halves = [(0, half), (half, length)] if half >= _SHORTEST_HALF and not direction.tilted else []
        return [(0, length), *halves]

    @staticmethod
    def _fewest(direction: Direction, length: int) -> int:
        """Pixels that a line must have to be judged."""
        return max(FEWEST, int(_ALONG * length)) // direction.finer

    def _find_wild(self, direction: Direction) -> None:
        """Lines that agree with no other band: worse than interpolation even when their offset is taken off."""
        count = len(self.keep)
        spread = np.full((count, direction.count), np.nan)
        for place, rest in enumerate(self.rest.values):
            view = direction.view(rest)
            known = np.isfinite(medians(view, self._fewest(direction, direction.length))[0])
            spread[place] = np.where(known, self._inner_spreads(view), np.nan)
        if not np.isfinite(spread).any():
            return
        usual = np.array([medians(line[None], 1)[0][0] for line in spread])
        limit = _WILD * usual
        for line in np.flatnonzero((spread > limit[:, None]).any(axis=0)):
            leaked = np.zeros(count)
            for place in np.argsort(-np.nan_to_num(spread[:, line] / np.maximum(usual, 1e-30))):
                if spread[place, line] ** 2 - leaked[place] > limit[place] ** 2:
                    leaked += (self.rest.leak[:, place] * spread[place, line]) ** 2
                else:
                    spread[place, line] = np.nan
        wild = spread > limit[:, None]
        for place in np.flatnonzero(wild.any(axis=1)).tolist():
            wild[place] &= self._better_interpolated(place, direction, wild[place], spread[place])
            if wild[place].any() and wild[place].mean() <= 0.2:
                self._add_dead(place, direction, 0, direction.length, wild[place])
                before = self.values[place].copy()
                fill_unseen(self.values[place], self.seen[place] & ~self.dead[place])
                self.rest.add(place, self.values[place] - before)
                self.rest.values[place][self.dead[place]] = np.nan

    @staticmethod
    def _inner_spreads(view: NDArray) -> Profile:
        """The spread along each line about the medians of its quarters, as a stripe may end on the way."""
        view = view.copy()
        for part in np.array_split(np.arange(view.shape[1]), min(4, view.shape[1])):
            view[:, part] -= medians(view[:, part], 1)[0][:, None]
        return spreads(view, np.zeros(len(view)))

    def _better_interpolated(self, place: int, direction: Direction, wild: Lines, spread: Profile) -> Lines:
        """Which wild lines agree better with the other bands once interpolated: along an edge they would not."""
        rest, values = (direction.view(image[place]) for image in (self.rest.values, self.values))
        better = np.zeros(len(wild), bool)
        for first, last in runs(wild):
            if first == 0 or last == len(wild) or last - first > WIDEST:
                continue
            weight = (np.arange(first, last) - first + 1)[:, None] / (last - first + 1)
            guess = (1 - weight) * values[first - 1] + weight * values[last]
            change = self._inner_spreads(rest[first:last] + guess - values[first:last])
            better[first:last] = change < _BETTER * spread[first:last]
        return better

    def _find_tilted(self) -> None:
        """Offsets of tilted lines: of single bands first, then those that many bands share.

        Bands that share stripes predict them from one another. So bands with tilted stripes become suspects,
        which predict no other band; then stripes of bands that they had covered show, until no more do.
        """
        suspects: set[int] = set()
        tilts: list[tuple[Direction, list[int]]] = []
        for _ in range(_MOST_ROUNDS):
            tilts = self._tilts([direction for direction, _ in tilts])
            fresh = {place for _, bands in tilts for place in bands} - suspects
            if not fresh or len(fresh) <= 0.1 * len(suspects):
                break
            for direction, bands in tilts:
                for place in bands:
                    self._find_dead(place, direction)
            self._fill_dead()
            if not suspects:
                for direction, bands in tilts:
                    self._find_offsets(direction, 0, direction.length, bands)
            suspects |= fresh
            self.rest = residual(self._corrected(), self.seen & ~self.dead, sorted(suspects))
            self._measure()
        if suspects:
            for direction, bands in tilts:
                self._find_offsets(direction, 0, direction.length, bands)
            self.rest = residual(self._corrected(), self.seen & ~self.dead)
            self._measure()

    def _corrected(self, share: float = 0.0) -> Cube:
        """The values less the offsets found so far, those of at least ``share`` of their band's largest."""
        out = self.values.copy()
        for item in self.found:
            inside = (item.direction.along() >= item.start) & (item.direction.along() < item.stop)
            offset = np.where(np.abs(item.offset) >= share * np.abs(item.offset).max(), item.offset, 0.0)
            out[self.keep.index(item.band)] -= (offset[item.direction.line_of()] * inside).astype(np.float32)
        return out

    def _tilts(self, known: Sequence[Direction] = ()) -> list[tuple[Direction, list[int]]]:
        """Tilted directions (``known`` ones and new ones) in which bands are striped, each with these bands."""
        search = SlopeSearch(np.isfinite(self.rest.values).mean(axis=0) >= 0.5)
        candidates: list[tuple[float, int, Slant]] = []
        for place, rest in enumerate(self.rest.values):
            if not self.noise[place] > 0:
                continue
            slant = search.best(np.nan_to_num(rest), self.noise[place])
            length = self.shape[1] if slant.orientation == "columns" else self.shape[2]
            if slant.evidence > max(_TILT_EVIDENCE, _TILT_GAIN * slant.upright) and abs(slant.slope) * length >= 2:
                candidates.append((slant.evidence, place, slant))
        found: list[tuple[Direction, list[int]]] = [(direction, []) for direction in known]
        for _, place, slant in sorted(candidates, key=lambda item: -item[0]):
            for direction, bands in found:
                near = abs(direction.slope - slant.slope) * direction.length <= 3
                if direction.orientation == slant.orientation and near:
                    bands.append(place)
                    break
            else:
                if len(found) < _MOST_TILTS and slant.evidence > _NEW_TILT * _TILT_EVIDENCE:
                    slope = search.refined(np.nan_to_num(self.rest.values[place]), self.noise[place], slant)
                    found.append((Direction(slant.orientation, slope, self.shape[1:]), [place]))
        return [(direction, bands) for direction, bands in found if bands]

    def _find_offsets(self, direction: Direction, start: int, stop: int, only: Sequence[int] | None = None) -> None:
        """Offsets of lines from ``start`` to ``stop``; takes them off the residuals."""
        count, length = len(self.keep), stop - start
        views = [self._view(rest, direction)[:, start:stop] for rest in self.rest.values]
        centre = np.empty((count, direction.count))
        number = np.empty((count, direction.count))
        for place, view in enumerate(views):
            centre[place], number[place] = medians(view, self._fewest(direction, length))
        window = _WINDOW * direction.finer
        height = centre - np.stack([running_median(line, window) for line in centre])
        usual = self._usual(height * np.sqrt(number))
        strict = 1.0 if length == direction.length else _HALF
        smallest = strict * np.maximum(_SHARE_OF_NOISE * self.noise, _SHARE_OF_SIGNAL * self.signal)
        limit = np.maximum(strict * _SCORE * usual[:, None] / np.sqrt(np.maximum(number, 1)), smallest[:, None])
        offset = self._pursue(height, limit, only)
        # Once more, against the level of lines that have no offset.
        level = np.stack([running_median(line, window) for line in np.where(offset != 0, np.nan, centre)])
        height = np.where(np.isfinite(level), centre - level, height)
        offset = self._pursue(height, limit, only)
        explained = self.rest.leak @ offset - offset  # by the other bands' offsets
        for place in np.flatnonzero(offset.any(axis=1)).tolist():
            shift = explained[place] + np.nan_to_num(centre[place] - height[place])
            offset[place] *= self._agrees(views[place] - shift[:, None], offset[place])
            if direction.tilted:
                self._widen(offset[place], height[place] - explained[place])
            for first, last in runs(offset[place] != 0):
                if last - first > WIDEST * direction.finer and not self._alternates(offset[place, first:last]):
                    offset[place, first:last] = 0.0
        for place in np.flatnonzero(offset.any(axis=1)).tolist():
            best = float(np.max(np.abs(offset[place]) * np.sqrt(number[place]) / usual[place]))
            none = np.zeros(direction.count, bool)
            item = StripedLines(self.keep[place], direction, start, stop, offset[place], none, best)
            self.found.append(item)
            inside = (direction.along() >= start) & (direction.along() < stop)
            self.rest.add(place, -(offset[place][direction.line_of()] * inside).astype(np.float32))

    def _usual(self, scaled: NDArray) -> NDArray[np.float64]:
        """The deviation of line medians times the root of their length that no stripe causes.

        Not below that of independent noise; not far above that in other directions, so that a band striped all
        over is found.
        """
        own = np.array([deviation(line) for line in scaled])
        ceiling = 2.0 * self.usual if self.rest.spectral else np.inf
        return np.maximum(np.minimum(own, ceiling), np.maximum(1.2533 * self.noise, 1e-30))

    def _pursue(self, height: NDArray, limit: NDArray, only: Sequence[int] | None) -> NDArray[np.float64]:
        """Offsets ``(band, line)`` that explain the line medians by as few bands as possible."""
        offset = np.zeros(height.shape)
        allowed = np.ones(len(height), bool)
        if only is not None:
            allowed[:] = False
            allowed[list(only)] = True
        seen = np.nan_to_num(height)
        for line in np.flatnonzero((np.abs(seen) > limit)[allowed].any(axis=0)):
            left = seen[:, line]
            chosen: list[int] = []
            values = np.zeros(0)
            while len(chosen) < len(height) // 2 + 1:
                ratio = np.where(allowed, np.abs(left) / limit[:, line], 0.0)
                ratio[chosen] = 0.0
                best = int(np.argmax(ratio))
                if not ratio[best] > 1.0:
                    break
                chosen.append(best)
                solved = np.linalg.solve(self.rest.leak[np.ix_(chosen, chosen)], seen[chosen, line])
                if np.abs(solved).max() > _INFLATION * np.abs(seen[:, line]).max():
                    chosen.pop()  # bands so much alike that their offsets cannot be told apart
                    break
                values = solved
                left = seen[:, line] - self.rest.leak[:, chosen] @ values
            strong = np.abs(values) > limit[chosen, line]
            offset[np.asarray(chosen, int)[strong], line] = values[strong]
        return offset

    @staticmethod
    def _agrees(view: NDArray, offset: Profile) -> Lines:
        """Whether each quarter of a line (of those with enough pixels) has a fair part of its offset."""
        agrees = offset != 0
        for part in np.array_split(np.arange(view.shape[1]), min(4, view.shape[1])):
            centre = medians(view[:, part], min(4, len(part)))[0]
            agrees &= ~(centre * np.sign(offset) < _AGREEMENT * np.abs(offset))
        return agrees

    @staticmethod
    def _widen(offset: Profile, height: Profile) -> None:
        """Let offsets of tilted lines reach the thirds of a pixel beside them that have a fair part of them."""
        count = len(offset)
        for line in np.flatnonzero(offset).tolist():
            for near in (line - 2, line - 1, line + 1, line + 2):
                if 0 <= near < count and offset[near] == 0 and height[near] / offset[line] >= _AGREEMENT:
                    offset[near] = height[near]

    @staticmethod
    def _alternates(offset: Profile) -> bool:
        """Whether neighbouring offsets differ as much as they are high: separate lines, not one wide step."""
        return float(np.median(np.abs(np.diff(offset)))) > 0.5 * float(np.median(np.abs(offset)))
