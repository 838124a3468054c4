"""Writing rasters: alpha bands, mask bands and nodata values after pixels are filled."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio
from core_scenes import copy, landscape, read, write
from raster_comparison import differences
from rasterio.enums import ColorInterp, MaskFlags

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def pixels():
    return landscape(3, 30, 40).astype(np.uint8)


def with_hole(shape=(30, 40)):
    hole = np.zeros(shape, bool)
    hole[10:14, 5:30] = True
    return hole


@pytest.mark.parametrize(("dtype", "bands"), [("uint8", 3), ("uint16", 3), ("uint8", 1), ("uint16", 4)])
def test_filled_pixels_become_opaque(tmp_path, dtype, bands):
    hole = with_hole()
    opaque = np.iinfo(dtype).max
    alpha = np.where(hole, 0, opaque)
    alpha[0, 0] = 100  # half transparent
    alpha[29, :] = 0  # outside
    path = write(tmp_path / "a.tif", np.concatenate([landscape(bands, 30, 40), alpha[None]]).astype(dtype))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * bands, ColorInterp.alpha)
    out = copy(path, tmp_path / "o.tif", changed=np.broadcast_to(hole, (bands, 30, 40)))
    result = read(out)[-1]
    assert (result[hole] == opaque).all()
    np.testing.assert_array_equal(result[~hole], alpha[~hole])  # bit for bit
    with rasterio.open(out) as file:
        assert file.colorinterp[-1] == ColorInterp.alpha and file.count == bands + 1


def test_alpha_is_scaled_to_a_wider_type(tmp_path, pixels):
    """RGBA bytes stacked with a band of 16 bits: opaque becomes 65535."""
    alpha = np.where(with_hole(), 0, 255).astype(np.uint8)
    first = write(tmp_path / "a.tif", np.concatenate([pixels, alpha[None]]), photometric="rgb", alpha="yes")
    second = write(tmp_path / "b.tif", pixels[:1].astype(np.uint16) * 100)
    out = copy([first, second], tmp_path / "o.tif")
    np.testing.assert_array_equal(read(out)[-1], np.where(with_hole(), 0, 65535))


def test_filled_pixels_become_valid_in_the_mask(tmp_path, pixels):
    hole = with_hole()
    outside = np.zeros_like(hole)
    outside[:, 35:] = True
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path / "a.tif", pixels)
        with rasterio.open(path, "r+") as file:
            file.write_mask(~(hole | outside))
    out = copy(path, tmp_path / "o.tif", changed=np.broadcast_to(hole, pixels.shape))
    with rasterio.open(out) as file:
        np.testing.assert_array_equal(file.dataset_mask() > 0, ~outside)
        assert MaskFlags.per_dataset in file.mask_flag_enums[0]
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "o.tif"]  # no .msk file


def test_nodata_values_combined_over_bands_are_kept(tmp_path, pixels):
    pixels[:, with_hole()] = 0
    path = write(tmp_path / "a.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.update_tags(NODATA_VALUES="0 0 0")
    assert differences(path, copy(path, tmp_path / "o.tif")) == []


@pytest.mark.parametrize("first", [0, None])
def test_different_nodata_values_become_one(tmp_path, pixels, first):
    """A GeoTIFF has one nodata value: missing pixels of the other bands get it and stay missing."""
    hole = with_hole()
    one, two = pixels[:1].copy(), pixels[1:2].copy()
    if first is not None:
        one[0][hole] = first
    two[0][hole] = 255
    paths = [write(tmp_path / "a.tif", one, nodata=first), write(tmp_path / "b.tif", two, nodata=255)]
    filled = np.zeros((2, 30, 40), bool)
    filled[:, 10] = True  # one row of the hole counts as filled
    out = copy(paths, tmp_path / "o.tif", changed=filled)
    with rasterio.open(out) as file:
        assert file.nodata == (255 if first is None else first)
        result = file.read()
        masks = file.read_masks() > 0
    assert (result[1][hole & ~filled[1]] == (255 if first is None else 0)).all()
    assert not masks[1][hole & ~filled[1]].any()
    np.testing.assert_array_equal(result[:, ~hole], np.concatenate([one, two])[:, ~hole])
