"""Alpha bands: validity masks and data bands that are tagged as alpha."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, copy, landscape, read, slanted_gaps, write
from rasterio.enums import ColorInterp
from scipy import ndimage

from dip_core.raster.guide import Guide
from dip_core.raster.open_scene import open_scene
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
ROWS, COLUMNS = 60, 70
GAP = slanted_gaps(ROWS, COLUMNS)


def tagged(path, pixels, alpha=-1, **profile):
    """Write a raster whose band ``alpha`` (an index, or several) is tagged as alpha."""
    write(path, pixels, **profile)
    with rasterio.open(path, "r+") as file:
        interps = [ColorInterp.undefined] * len(pixels)
        for place in np.atleast_1d(alpha):
            interps[place] = ColorInterp.alpha
        file.colorinterp = tuple(interps)
    return str(path)


def with_last(dtype, last, bands=3):
    return np.concatenate([landscape(bands, ROWS, COLUMNS), np.asarray(last, float)[None]]).astype(dtype)


def infrared(high, low=0.0):
    """A data band in ``low``..``high`` with dark water of value 0."""
    band = low + (high - low) * (landscape(1, ROWS, COLUMNS, seed=3)[0] - 20) / 210
    band[20:35, 10:40] = 0
    return band


FEATHERED = np.clip(ndimage.distance_transform_edt(~GAP) * 80, 0, 255)
MASKS = {
    "bytes": ("u1", np.where(GAP, 0, 255)),
    "words": ("u2", np.where(GAP, 0, 65535)),
    "bytes in words": ("u2", np.where(GAP, 0, 255)),
    "ones": ("u1", np.where(GAP, 0, 1)),
    "signed words": ("i2", np.where(GAP, 0, 32767)),
    "floats": ("f4", np.where(GAP, 0, 1)),
    "feathered edges": ("u1", FEATHERED),
    "half transparent": ("u1", np.where(GAP, 0, 128)),
    "steps": ("u1", np.where(GAP, 0, 255) * (np.arange(COLUMNS) // 18 + 1) // 4),
}
DATA = {
    "bytes": ("u1", infrared(250)),
    "saturated bytes": ("u1", infrared(400).clip(0, 255)),
    "words": ("u2", infrared(9000)),
    "words up to the limit": ("u2", infrared(90000).clip(0, 65535)),
    "signed words": ("i2", infrared(8000, -200)),
    "reflectance": ("f4", infrared(0.6)),
    "classes": ("u1", 1 + np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) // 700),
}


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("kind", MASKS)
def test_validity_masks(tmp_path, kind, bands):
    dtype, mask = MASKS[kind]
    context = Context()
    with open_scene([tagged(tmp_path / "a.tif", with_last(dtype, mask, bands))], context=context) as scene:
        assert scene.count == bands and scene.has_alpha() and not context.warnings
        np.testing.assert_array_equal(scene.valid(), np.broadcast_to(~GAP, scene.shape))


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("kind", DATA)
def test_data_bands_that_are_tagged_as_alpha(tmp_path, kind, bands):
    """The band stays in its place, its zeros are valid, and the user is warned once."""
    dtype, values = DATA[kind]
    pixels = with_last(dtype, values, bands)
    context = Context()
    path = tagged(tmp_path / "a.tif", pixels)
    with open_scene([path], context=context) as scene:
        assert scene.count == bands + 1 and not scene.has_alpha() and not scene.has_declared_marker()
        assert scene.valid().all()
        np.testing.assert_array_equal(scene.read(), pixels)
    (warning,) = (text for text in context.warnings if "alpha" in text)
    assert "alpha band" in warning and f"band {bands + 1}" in warning and "data band" in warning
    out = copy(path, tmp_path / "o.tif")
    np.testing.assert_array_equal(read(out), pixels)
    with rasterio.open(path) as before, rasterio.open(out) as after:
        assert after.colorinterp == before.colorinterp


@pytest.mark.parametrize("places", [1, (1, 3), (0, 1, 2, 3)])
def test_only_the_last_band_can_be_a_mask(tmp_path, places):
    pixels = with_last("u1", np.where(GAP, 0, 255))
    with Scene([tagged(tmp_path / "a.tif", pixels, places)]) as scene:
        is_mask = 3 in np.atleast_1d(places)
        assert scene.count == 4 - is_mask and scene.has_alpha() == is_mask
        np.testing.assert_array_equal(scene.read(), pixels[: scene.count])
        assert scene.valid().all() != is_mask


def test_nodata_beside_a_data_band_that_is_tagged_as_alpha(tmp_path):
    pixels = with_last("u1", infrared(250))
    pixels[:, GAP] = 255
    with Scene([tagged(tmp_path / "a.tif", pixels, nodata=255)]) as scene:
        assert scene.count == 4 and scene.has_declared_marker()
        np.testing.assert_array_equal(scene.valid(), pixels != 255)


@pytest.mark.parametrize("shift", [0, 0.4])
def test_a_guide_with_a_data_band_that_is_tagged_as_alpha(tmp_path, shift):
    pixels = with_last("u1", infrared(250))
    place = TRANSFORM @ rasterio.Affine.translation(shift, 0)
    path = tagged(tmp_path / "g.tif", pixels, transform=place)
    with Scene([write(tmp_path / "s.tif", pixels[:1])]) as scene, Guide(path, scene) as guide:
        values = guide.read()
        assert len(values) == 4 and np.isfinite(values[:, :, 1:-1]).all()
        assert any("alpha band" in note for note in guide.notes)
