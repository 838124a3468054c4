"""Hold-outs: only observed pixels are hidden, not too many, and in the shape of the scene's own gaps."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from core_scenes import slanted_gaps
from scipy import ndimage

from dip_core.inpainting import holdout


def masks(bands=1, rows=200, columns=240, **shape):
    gap = np.stack([slanted_gaps(rows, columns, shift=band, **shape) for band in range(bands)])
    return ~gap, gap


def rng(seed=0):
    return np.random.default_rng(seed)


def heights(mask):
    """Lengths of all vertical runs of True in a mask ``(row, column)``."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((1, 1), (0, 0))), axis=0)
    return np.nonzero(edges.T == -1)[1] - np.nonzero(edges.T == 1)[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.02, holdout.SHARE, 0.3])
def test_only_observed_pixels_and_no_more_than_the_share(seed, share):
    observed, gap = masks(bands=3)
    hidden = holdout.draw(observed, gap, rng(seed), share)
    assert hidden.any()
    assert not (hidden & ~observed).any()
    assert hidden.sum() <= share * observed.sum()


def test_how_much_a_draw_hides_is_known_beforehand():
    """Bounded by the share where there are many gaps, and by the gaps where these are few."""
    many = np.broadcast_to(np.arange(200) % 20 < 5, (2, 200, 200))
    few = np.zeros((2, 200, 200), bool)
    few[:, 50:53, 80:83] = True
    for gaps in (many, few):
        most = holdout.expected(~gaps, gaps)
        hidden = holdout.draw(~gaps, gaps, np.random.default_rng(0)).any(axis=0).sum()
        assert 0.5 * most <= hidden <= most
    assert holdout.expected(~few, few) == 36


def test_hidden_pixels_have_the_shape_of_the_gaps():
    """Stripes of 6 rows stay 6 rows high: cut only where they meet a block's border or a real gap."""
    observed, gap = masks(thick=6, period=40)
    hidden = holdout.draw(observed, gap, rng())[0]
    assert (heights(gap[0]) == 6).mean() > 0.9
    found = heights(hidden)
    assert found.max() <= 12  # two shifted patterns may touch
    assert (found == 6).mean() > 0.6
    # The share of rim pixels, which makes a fill easy or hard, is that of the gaps.
    rim = [np.mean(ndimage.distance_transform_edt(mask)[mask] < 1.5) for mask in (gap[0], hidden)]
    assert rim[1] == pytest.approx(rim[0], abs=0.1)


def test_bands_keep_their_offsets():
    """Band 1's gaps lie a row above band 0's; so do the hidden pixels, away from real gaps and block borders."""
    observed, gap = masks(bands=2, thick=4, period=50)
    hidden = holdout.draw(observed, gap, rng())
    shifted = np.zeros_like(hidden[0])
    shifted[:-1] = hidden[0][1:]
    assert (hidden[0] != hidden[1]).any()
    assert np.mean(hidden[1][shifted]) > 0.8


@pytest.mark.parametrize("seed", range(4))
def test_where_gaps_lie_close_hidden_pixels_are_no_deeper_than_they(seed):
    """Gaps of 18 rows, 14 rows apart: a whole piece of the pattern between them would make one of 50 rows."""
    observed, gap = masks(thick=18, period=32)
    deepest = 1.2 * np.percentile(ndimage.distance_transform_edt(gap[0])[gap[0]], 95)
    free = holdout.draw(observed, gap, rng(seed))
    hidden = holdout.draw(observed, gap, rng(seed), deepest=deepest)
    assert hidden.any() and hidden.sum() <= holdout.SHARE * observed.sum()
    depth = [ndimage.distance_transform_edt(~(observed & ~each)[0])[each[0]] for each in (free, hidden)]
    # The first blocks may be deepened by later neighbours, so the limit holds for most of the pixels.
    assert np.mean(depth[1] <= deepest) > 0.85
    assert np.percentile(depth[0], 90) > 1.3 * deepest


def test_a_limit_that_nothing_meets_is_none():
    observed, gap = masks(thick=18, period=32)
    assert holdout.draw(observed, gap, rng(), deepest=0.5).any()


def test_pixels_outside_the_scene_are_never_hidden():
    observed, gap = masks()
    observed[:, :, 100:] = False  # the exterior: neither observed nor target
    gap[:, :, 100:] = False
    hidden = holdout.draw(observed, gap, rng())
    assert hidden[:, :, :100].any() and not hidden[:, :, 100:].any()


@pytest.mark.parametrize(("rows", "columns"), [(24, 20), (12, 40), (40, 50), (1, 200), (200, 1)])
def test_small_windows_are_validated_too(rows, columns):
    """Blocks of 64 pixels would hold the whole pattern, more than may be hidden: smaller ones are taken."""
    gap = slanted_gaps(rows, columns, thick=3, period=10)[None]
    if rows == 1:
        gap = slanted_gaps(1, columns, thick=1, period=5)[None]
    hidden = holdout.draw(~gap, gap, rng())
    assert 0 < hidden.sum() <= holdout.SHARE * (~gap).sum()


def test_no_gap_or_no_observed_pixel_hides_nothing():
    observed, gap = masks(rows=40, columns=40)
    for often in (None, np.zeros((40, 40), int)):
        assert not holdout.draw(observed, np.zeros_like(gap), rng(), often=often).any()
        assert not holdout.draw(np.zeros_like(observed), gap, rng(), often=often).any()


def test_same_generator_same_pixels():
    observed, gap = masks()
    first, again, other = (holdout.draw(observed, gap, rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def unevenness(observed, gap, seed, knowing):
    """How far the shares of the parts of a window, hidden in six draws, are apart (standard deviation by mean)."""
    generator, often = rng(seed), np.zeros(observed.shape[1:], int)
    for _ in range(6):
        often += holdout.draw(observed, gap, generator, often=often if knowing else None).any(axis=0)
    side = 40
    parts = often[: often.shape[0] // side * side, : often.shape[1] // side * side]
    parts = parts.reshape(parts.shape[0] // side, side, -1, side).mean(axis=(1, 3))
    return parts.std() / parts.mean()


def test_draws_that_know_of_each_other_take_turns():
    """Over six draws every part of the window has its share, where chance leaves some out and takes others thrice."""
    observed, gap = masks(bands=2, rows=320, columns=360, thick=6, period=32)
    known, chance = (np.mean([unevenness(observed, gap, seed, each) for seed in range(5)]) for each in (True, False))
    assert known < 0.6 * chance


def test_turns_among_many_blocks_cost_little():
    """Small blocks in a large window: sums over all pairs of them would take gigabytes."""
    observed, gap = masks(rows=1000, columns=1000, thick=17, period=31)
    start = time.process_time()
    tracemalloc.start()
    hidden = holdout.draw(observed, gap, rng(), deepest=4.0, often=np.zeros(observed.shape[1:], int))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert hidden.any() and peak < 200e6 and time.process_time() - start < 10


def test_what_was_hidden_before_comes_last():
    observed, gap = masks(rows=256, columns=512, thick=6, period=32)
    often = np.zeros(observed.shape[1:], int)
    often[:, :256] = 3 * np.roll(gap[0], 16, axis=0)[:, :256]  # wherever the pattern now lies
    hidden = holdout.draw(observed, gap, rng(), share=0.06, often=often)[0]
    assert hidden[:, 256:].sum() > 20 * hidden[:, :256].sum()
