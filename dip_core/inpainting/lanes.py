"""Finds holes and lanes among the missing pixels of a scene, and parts of lanes that the border cuts.

A morphological closing of growing size closes ever wider lanes. Each area that it closes is a lane if observed pixels
form most of its outline. The limits are justified in decision 037.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Mask
from .box_filters import close_with_square, erode_with_square
from .missing_areas import Areas, PixelMap, Sides

# Half the widths of lanes, in pixels. SLC-off gaps are up to 14 pixels wide, and wider in mosaics with a finer grid.
RADII = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24)
# The least share of observed pixels in the outline of a lane, and the least length of its bank in pixels, by the
# largest radius to which they apply. Narrow lanes may be short; the path between two fields or a bay is wide and short.
MIN_BANKS = {3: (0.75, 48), 5: (0.83, 32), 8: (0.86, 32), RADII[-1]: (0.9, 32)}
# Shorter pieces are gaps if the scene has lanes of the same width and direction, or if they form a row of lanes.
MIN_SHARE_OF_PIECE, MIN_BANK_OF_PIECE = 0.62, 24
MIN_PIECES = 3
MIN_SHARE_OF_ROW = 0.6  # of the banks of all pieces of one width
# The next part of a lane that widens: its share, and the width of the part before it relative to its own mouth.
MIN_SHARE_OF_NEXT, MIN_RATIO_OF_MOUTHS = 0.5, 0.5
MIN_LANES = 2  # that show the width and the direction of the scene's lanes
MIN_LENGTH = 32  # of the bank of such a lane, in pixels
MIN_ELONGATION = 5.0
MAX_ANGLE, MAX_ANGLE_OF_SHORT = 15.0, 30.0  # in degrees; the angle of a short bank is imprecise
# A gap with its mouth at the raster's border, such as a cloud, may be this wide in pixels or as a share of the raster,
# if the border is covered by the scene.
MAX_CUT_WIDTH, MAX_CUT_SHARE = 25, 0.25
MIN_COVERED_SHARE = 0.5
MIN_SLANTED_SHARE = 0.5  # of two adjacent sides that are missing beside a slanted outline
# A raster this small, whose border the scene covers, may be a crop with one lane, which the corners cut as well.
MAX_CROP = 100  # pixels of the shorter side
MAX_CUT_LANE_RADIUS = 7
MIN_ELONGATION_OF_CUT = 2.0  # of a lane that the border of a crop cuts
MIN_RADIUS_OF_SINGLE = 2  # of a single lane; a column of one pixel says nothing about other gaps
MIN_PART = 4  # pixels of height and width, of the observed parts that such a lane separates


def find_gaps(observed: Mask, open_sides: Sides) -> Mask:
    """Observed pixels and gaps ``(row, column)`` of a scene whose observed pixels reach all sides of the array.

    ``open_sides``: those beyond which the exterior continues; the others are the raster's border.
    """
    search = _Search(observed, open_sides)
    if search.fill_holes():
        return search.pixels.inside
    for radius in RADII:
        search.fill_lanes(radius)
    if search.is_crop():
        search.fill_separating_lanes()
    search.fill_pieces()
    if not search.fill_pockets():
        search.fill_cut_lanes()
    return search.pixels.inside


class _Search:
    """The gaps found so far, and the lanes among them: length of bank, closing radius, and angle."""

    def __init__(self, observed: Mask, open_sides: Sides) -> None:
        self.pixels = PixelMap(observed, open_sides)
        self.has_frame = any(open_sides)
        self.bank: list[float] = []
        self.radius: list[float] = []
        self.angle: list[float] = []

    def fill_holes(self) -> bool:
        """Fill the areas that do not reach a side; True if there are no others."""
        areas = self.pixels.areas(~self.pixels.inside)
        holes = areas.mouth + areas.border == 0
        # The width of a wedge is about twice its mean.
        radius = np.ceil(1.5 * areas.size / np.maximum(areas.bank, 1))
        self._note_lanes(areas, holes, radius)
        self.pixels.fill(areas, holes)
        return bool(holes.all())

    def fill_lanes(self, radius: int) -> None:
        """Fill the lanes that a closing with this radius closes."""
        areas = self._closed(radius)
        if areas is None:
            return
        mouth = areas.mouth + (0 if self._may_be_cut(radius) else areas.border)
        share = areas.bank / np.maximum(areas.bank + mouth, 1)
        min_share, min_bank = next(limits for max_radius, limits in MIN_BANKS.items() if radius <= max_radius)
        lanes = (mouth == 0) | ((share >= min_share) & (areas.bank >= min_bank))
        row = _common_direction(areas, (share >= MIN_SHARE_OF_PIECE) & (areas.bank >= MIN_BANK_OF_PIECE)) & ~lanes
        is_next_width = max(value for value in (0, *RADII) if value < radius) <= self._lane_radius()
        if not is_next_width and areas.bank[row].sum() < sum(self.bank):
            row[:] = False  # much wider than most lanes
        if is_next_width and self.bank:
            widens = (areas.filled > 0) & (areas.filled >= MIN_RATIO_OF_MOUTHS * mouth)
            row |= widens & (share >= MIN_SHARE_OF_NEXT) & self._has_lane_direction(areas)
        self._note_lanes(areas, lanes, radius)
        self._note(areas, row, radius)
        self.pixels.fill(areas, lanes | row)

    def is_crop(self) -> bool:
        """Whether the raster may be a small part of a scene, of which no side is exterior."""
        inside = self.pixels.inside
        return not self.has_frame and min(inside.shape) <= MAX_CROP and _covered_share(inside) >= MIN_COVERED_SHARE

    def fill_separating_lanes(self) -> None:
        """Fill narrow areas that separate observed pixels, such as lanes that a corner of the raster cuts."""
        missing = ~self.pixels.inside
        areas = self.pixels.areas(missing)
        parts, _ = ndimage.label(~missing, np.ones((3, 3)))
        beside = np.zeros(len(areas.size), np.int64)
        for part, place in enumerate(ndimage.find_objects(parts), 1):
            if min(place[0].stop - place[0].start, place[1].stop - place[1].start) >= MIN_PART:
                beside += areas.touching(ndimage.binary_dilation(parts == part))
        deep = areas.touching(ndimage.minimum_filter(missing, 2 * MAX_CUT_LANE_RADIUS + 1, mode="constant"))
        lanes = (beside >= 2) & ~deep & (areas.bank >= MIN_LENGTH)
        self._note(areas, lanes, np.ceil(1.5 * areas.size / np.maximum(areas.bank, 1)))
        self.pixels.fill(areas, lanes)

    def fill_pieces(self) -> None:
        """Fill shorter pieces of lanes, and slanted ends of lanes, which small squares do not close."""
        radius = self._lane_radius()
        if len(self.bank) >= MIN_LANES and (areas := self._closed(radius)):
            share = areas.bank / np.maximum(areas.bank + areas.mouth + areas.border, 1)
            self.pixels.fill(areas, (share >= MIN_SHARE_OF_PIECE) & self._has_lane_direction(areas))
        if self.bank and (areas := self._closed(2 * radius + 1)):
            self.pixels.fill(areas, (areas.filled > 0) & (areas.size <= (2 * radius + 1) ** 2))

    def fill_pockets(self) -> bool:
        """Fill areas that only lanes connect to a side; True if nothing is missing now."""
        areas = self.pixels.areas(~self.pixels.inside)
        pockets = areas.mouth + areas.border == 0
        self.pixels.fill(areas, pockets)
        return bool(pockets.all())

    def fill_cut_lanes(self) -> None:
        """Fill areas along a side that are no deeper than the lanes and have their direction."""
        shows_lanes = len(self.bank) >= MIN_LANES or (self.is_crop() and self._lane_radius() >= MIN_RADIUS_OF_SINGLE)
        if not shows_lanes:
            return
        missing = ~self.pixels.inside
        areas = self.pixels.areas(missing)
        deep = areas.touching(erode_with_square(missing, 2 * self._lane_radius() + 1))
        # Where adjacent sides are missing almost entirely, the outline of the scene is slanted.
        sides = [np.zeros_like(missing) for _ in range(4)]
        for side, line in zip(sides, ((0,), (-1,), (slice(None), 0), (slice(None), -1))):
            side[line] = missing[line].mean() >= MIN_SLANTED_SHARE
        is_slanted = (sides[0].any() or sides[1].any()) and (sides[2].any() or sides[3].any())
        outline = areas.touching((sides[0] | sides[1] | sides[2] | sides[3]) & missing & is_slanted)
        continues = 4 * areas.bank < areas.filled
        self.pixels.fill(areas, ~deep & ~outline & (continues | self._has_lane_direction(areas)))

    def _closed(self, radius: int) -> Areas | None:
        """The areas that a closing closes; None without any."""
        inside = self.pixels.inside
        closed = close_with_square(inside, radius) & ~inside
        return self.pixels.areas(closed) if closed.any() else None

    def _may_be_cut(self, radius: int) -> bool:
        """Whether the border may cut gaps of this size."""
        inside = self.pixels.inside
        largest = max(MAX_CUT_WIDTH, MAX_CUT_SHARE * min(inside.shape))
        return 2 * radius + 1 <= largest and _covered_share(inside) >= MIN_COVERED_SHARE

    def _note_lanes(self, areas: Areas, chosen: Mask, radius: NDArray[np.float64] | int) -> None:
        is_cut = (areas.border > 0) & self.is_crop()
        elongation = np.where(is_cut, MIN_ELONGATION_OF_CUT, MIN_ELONGATION)
        is_long = (areas.bank >= MIN_LENGTH) & (areas.elongation() >= elongation)
        self._note(areas, chosen & is_long, radius)

    def _note(self, areas: Areas, lanes: Mask, radius: NDArray[np.float64] | int) -> None:
        numbers = np.flatnonzero(lanes)
        self.bank += areas.bank[numbers].tolist()
        self.angle += areas.angle[numbers].tolist()
        self.radius += np.broadcast_to(radius, len(lanes))[numbers].tolist()

    def _lane_radius(self) -> int:
        """The closing radius of the widest lanes that have a tenth of all banks; 0 without lanes."""
        bank, radius = np.array(self.bank), np.array(self.radius)
        widest = [value for value in np.unique(radius) if bank[radius >= value].sum() >= 0.1 * bank.sum()]
        return int(min(max(widest, default=0), RADII[-1]))

    def _has_lane_direction(self, areas: Areas) -> Mask:
        limit = np.where(areas.bank < MIN_LENGTH, MAX_ANGLE_OF_SHORT, MAX_ANGLE)
        return np.abs(areas.angle - np.average(self.angle, weights=self.bank)) <= limit


def _covered_share(inside: Mask) -> float:
    """The share of the raster's border that the scene covers."""
    return float(np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean())


def _common_direction(areas: Areas, pieces: Mask) -> Mask:
    """Areas with the direction that most of the pieces have; none if no direction is common."""
    if np.count_nonzero(pieces) < MIN_PIECES:
        return np.zeros_like(pieces)
    angle, bank = areas.angle[pieces], areas.bank[pieces]
    order = np.argsort(angle)
    middle = angle[order][np.searchsorted(np.cumsum(bank[order]), bank.sum() / 2)]
    similar = np.abs(areas.angle - middle) <= MAX_ANGLE
    chosen = pieces & similar
    is_common = areas.bank[chosen].sum() >= MIN_SHARE_OF_ROW * bank.sum() and np.count_nonzero(chosen) >= MIN_PIECES
    return chosen if is_common else np.zeros_like(pieces)
