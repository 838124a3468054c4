"""Hold-out pixels: only observed pixels are hidden, within the limit, in the shape of the scene's own gaps."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from core_scenes import slanted_gaps
from scipy import ndimage

from dip_core.inpainting.holdout import MAX_SHARE, draw_hidden_pixels, max_hidden_pixels


def masks(bands=1, rows=200, columns=240, **shape):
    """Observed pixels and gaps, ``(band, row, column)``."""
    gap = np.stack([slanted_gaps(rows, columns, shift=band, **shape) for band in range(bands)])
    return ~gap, gap


def rng(seed=0):
    return np.random.default_rng(seed)


def run_lengths(mask):
    """Lengths of all vertical runs of True in a mask ``(row, column)``."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    return np.nonzero(edges.T == -1)[1] - np.nonzero(edges.T == 1)[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.02, MAX_SHARE, 0.3])
def test_only_observed_pixels_within_the_limit(seed, share):
    observed, gap = masks(bands=3)
    hidden = draw_hidden_pixels(observed, gap, rng(seed), share)
    assert hidden.any()
    assert not (hidden & ~observed).any()
    assert hidden.sum() <= share * observed.sum()


def test_the_number_of_hidden_pixels_is_estimated():
    """It is limited by the share if there are many gaps, and by the gaps if there are few."""
    many = np.broadcast_to(np.arange(200) % 20 < 5, (2, 200, 200))
    few = np.zeros((2, 200, 200), bool)
    few[:, 50:53, 80:83] = True
    for gaps in (many, few):
        limit = max_hidden_pixels(~gaps, gaps)
        hidden = draw_hidden_pixels(~gaps, gaps, rng()).any(axis=0).sum()
        assert 0.5 * limit <= hidden <= limit
    assert max_hidden_pixels(~few, few) == 36


def test_hidden_pixels_have_the_shape_of_the_gaps():
    """Stripes of 6 rows stay 6 rows high, except at a block's border or a real gap."""
    observed, gap = masks(thick=6, period=40)
    hidden = draw_hidden_pixels(observed, gap, rng())[0]
    assert (run_lengths(gap[0]) == 6).mean() > 0.9
    lengths = run_lengths(hidden)
    assert lengths.max() <= 12  # two shifted patterns may touch
    assert (lengths == 6).mean() > 0.6
    # The share of edge pixels, which are easy to fill, is that of the gaps.
    edge = [np.mean(ndimage.distance_transform_edt(mask)[mask] < 1.5) for mask in (gap[0], hidden)]
    assert edge[1] == pytest.approx(edge[0], abs=0.1)


def test_bands_keep_their_offsets():
    """Band 1's gaps lie one row above band 0's; so do the hidden pixels, away from real gaps and block borders."""
    observed, gap = masks(bands=2, thick=4, period=50)
    hidden = draw_hidden_pixels(observed, gap, rng())
    shifted = np.zeros_like(hidden[0])
    shifted[:-1] = hidden[0][1:]
    assert (hidden[0] != hidden[1]).any()
    assert np.mean(hidden[1][shifted]) > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_hidden_pixels_between_close_gaps_are_not_deeper_than_the_gaps(seed):
    """Gaps of 18 rows, 14 rows apart: a large piece of the pattern between them would make a gap of 50 rows."""
    observed, gap = masks(thick=18, period=32)
    max_depth = 1.2 * np.percentile(ndimage.distance_transform_edt(gap[0])[gap[0]], 95)
    unlimited = draw_hidden_pixels(observed, gap, rng(seed))
    limited = draw_hidden_pixels(observed, gap, rng(seed), max_depth=max_depth)
    assert limited.any() and limited.sum() <= MAX_SHARE * observed.sum()
    depth = [ndimage.distance_transform_edt(~(observed & ~each)[0])[each[0]] for each in (unlimited, limited)]
    # Later blocks may deepen the first ones, so the limit holds for most of the pixels.
    assert np.mean(depth[1] <= max_depth) > 0.85
    assert np.percentile(depth[0], 90) > 1.3 * max_depth


def test_a_depth_that_no_piece_keeps_to_is_ignored():
    observed, gap = masks(thick=18, period=32)
    assert draw_hidden_pixels(observed, gap, rng(), max_depth=0.5).any()


def test_pixels_outside_the_scene_are_never_hidden():
    observed, gap = masks()
    observed[:, :, 100:] = False  # the exterior: neither observed nor target
    gap[:, :, 100:] = False
    hidden = draw_hidden_pixels(observed, gap, rng())
    assert hidden[:, :, :100].any() and not hidden[:, :, 100:].any()


@pytest.mark.parametrize(("rows", "columns"), [(24, 20), (12, 40), (40, 50), (1, 200), (200, 1)])
def test_small_windows_use_smaller_blocks(rows, columns):
    """A block of 64 pixels would be the whole pattern, which is more than the limit."""
    gap = slanted_gaps(rows, columns, thick=3, period=10)[None]
    if rows == 1:
        gap = slanted_gaps(1, columns, thick=1, period=5)[None]
    hidden = draw_hidden_pixels(~gap, gap, rng())
    assert 0 < hidden.sum() <= MAX_SHARE * (~gap).sum()


@pytest.mark.parametrize("times_hidden", [None, np.zeros((40, 40), int)])
def test_without_gaps_or_observed_pixels_nothing_is_hidden(times_hidden):
    observed, gap = masks(rows=40, columns=40)
    assert not draw_hidden_pixels(observed, np.zeros_like(gap), rng(), times_hidden=times_hidden).any()
    assert not draw_hidden_pixels(np.zeros_like(observed), gap, rng(), times_hidden=times_hidden).any()


def test_the_same_seed_hides_the_same_pixels():
    observed, gap = masks()
    first, again, other = (draw_hidden_pixels(observed, gap, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


# Balanced draws


def unevenness(observed, gap, seed, balanced):
    """Standard deviation divided by mean of the hidden shares of the parts of a window, over six draws."""
    generator, times_hidden = rng(seed), np.zeros(observed.shape[1:], int)
    for _ in range(6):
        known = times_hidden if balanced else None
        times_hidden += draw_hidden_pixels(observed, gap, generator, times_hidden=known).any(axis=0)
    side = 40
    parts = times_hidden[: times_hidden.shape[0] // side * side, : times_hidden.shape[1] // side * side]
    parts = parts.reshape(parts.shape[0] // side, side, -1, side).mean(axis=(1, 3))
    return parts.std() / parts.mean()


def test_draws_that_know_of_earlier_ones_are_balanced():
    observed, gap = masks(bands=2, rows=320, columns=360, thick=6, period=32)
    balanced, random = (np.mean([unevenness(observed, gap, seed, each) for seed in range(3)]) for each in (True, False))
    assert balanced < 0.6 * random


def test_balancing_many_blocks_needs_little_memory():
    """Small blocks in a large window: sums over all pairs of blocks would take gigabytes."""
    observed, gap = masks(rows=700, columns=700, thick=17, period=31)
    tracemalloc.start()
    hidden = draw_hidden_pixels(observed, gap, rng(), max_depth=4.0, times_hidden=np.zeros(observed.shape[1:], int))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert hidden.any() and peak < 100e6


def test_areas_that_were_hidden_before_come_last():
    observed, gap = masks(rows=256, columns=512, thick=6, period=32)
    times_hidden = np.zeros(observed.shape[1:], int)
    times_hidden[:, :256] = 3 * np.roll(gap[0], 16, axis=0)[:, :256]
    hidden = draw_hidden_pixels(observed, gap, rng(), max_share=0.06, times_hidden=times_hidden)[0]
    assert hidden[:, 256:].sum() > 20 * hidden[:, :256].sum()
