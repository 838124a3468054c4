"""Sizes of tiles."""

from __future__ import annotations

import pytest

from dip_core.denoising.tiles import plan_tiles
from dip_core.errors import InvalidJob
from dip_core.job_fields import Compute


@pytest.mark.parametrize(("bands", "size", "overlap"), [(100, 256, 48), (224, 128, 32)])
def test_3d_tiles_shrink_with_the_number_of_bands(bands, size, overlap):
    """All layers of a volume are kept for the backward pass: 200 x 200 pixels of 224 bands would take 5 GB."""
    assert plan_tiles("paper_3d", Compute(), bands, (200, 200)) == (size, overlap)


def test_other_methods_have_tiles_of_bounded_size():
    assert plan_tiles("fast", Compute(), 3, (9000, 9000)) == (1024, 48)
    assert plan_tiles("fast", Compute(), 400, (9000, 9000)) == (384, 48)
    assert plan_tiles("fast", Compute(tile_size=64, overlap=20), 400, (9000, 9000)) == (64, 20)


def test_an_overlap_that_makes_tiles_too_large_is_rejected():
    with pytest.raises(InvalidJob, match="OVERLAP 200 makes tiles too large for METHOD paper_3d"):
        plan_tiles("paper_3d", Compute(overlap=200), 224, (900, 900))
