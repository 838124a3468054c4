"""Block matching."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from dip_core.denoising.patch_groups import GroupSizes, find_groups


def test_groups_matched_in_every_second_pixel_are_as_similar():
    """In a smooth image; without thinning the members are the nearest by definition."""
    image = torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(1, 64, 64)), (0, 2, 2)))
    image, mask = (image / image.std()).float(), torch.ones((64, 64), dtype=torch.bool)
    inside = (torch.arange(15)[:, None] * 64 + torch.arange(15)).reshape(-1)

    def difference(thinning):
        groups = find_groups(image, mask, GroupSizes(15, 20, 20, 12, 12, thinning), 20)
        patches = image.reshape(-1)[groups[:, :, None] + inside]
        return float((patches - patches[:, :1]).square().mean())

    assert difference(1) <= difference(2) < 1.02 * difference(1) < 1.0


def test_the_reference_patch_comes_first_and_unobserved_pixels_last():
    image = torch.randn((1, 24, 24), generator=torch.Generator().manual_seed(0))
    mask = torch.ones((24, 24), dtype=torch.bool)
    mask[10, 10] = False
    groups = find_groups(image, mask, GroupSizes(5, 6, 6, 8, 5), 6)
    top, left = groups // 24, groups % 24
    assert (top[:, 1:] * 24 + left[:, 1:] != groups[:, :1]).all()
    reference = {(int(row), int(column)) for row, column in zip(top[:, 0], left[:, 0])}
    assert {(0, 0), (5, 5), (19, 19)} <= reference
    holds_gap = (top > 5) & (top <= 10) & (left > 5) & (left <= 10)
    assert not holds_gap[:, 1:].any()
