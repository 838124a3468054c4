"""Band selection: bad, empty and constant bands are skipped, and large scenes are sampled."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import landscape, write
from rasterio.windows import Window

from dip_core.errors import NothingObserved, NoUsableBand
from dip_core.events import Message
from dip_core.raster.band_selection import select_bands
from dip_core.raster.open_scene import open_scene
from dip_core.runtime.context import Context


def test_unusable_bands_are_skipped_with_their_reason(tmp_path):
    pixels = landscape(6, 40, 50).astype("i2")
    pixels[1] = -1
    pixels[2] = 7
    pixels[3, :30] = -1
    pixels[4, :10] = -1
    path = write(tmp_path / "s.tif", pixels, nodata=-1)
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, bbl="0")
    events = []
    with open_scene([path]) as scene:
        selected = select_bands(scene, Context(events.append))
        assert selected.bands == (4, 5)
        assert selected.skipped == {
            0: "flagged bad",
            1: "no observed pixel",
            2: "one single value",
            3: "mostly not observed",
        }
        assert selected.low.tolist() == [pixels[4, 10:].min(), pixels[5].min()]
        assert selected.high.tolist() == [pixels[4, 10:].max(), pixels[5].max()]
        assert selected.observed_pixels == 40 * 50
        values, observed = selected.read(Window(3, 5, 20, 10))
    assert values.dtype == np.float32 and not observed[0, :5].any() and not values[0, :5].any()
    np.testing.assert_array_equal(values[:, 5:], pixels[4:, 10:15, 3:23])
    messages = [event.text for event in events if isinstance(event, Message)]
    assert "Bands copied unchanged (flagged bad): Band 1." in messages and len(messages) == 4


@pytest.mark.parametrize(("value", "nodata", "error"), [(1, None, NoUsableBand), (7, 7, NothingObserved)])
def test_a_scene_without_usable_bands_is_an_error(tmp_path, value, nodata, error):
    """Only a scene whose pixels are all missing is said to have no observed pixel."""
    path = write(tmp_path / "s.tif", np.full((2, 5, 5), value, "u1"), nodata=nodata)
    with open_scene([path]) as scene, pytest.raises(NothingObserved) as caught:
        select_bands(scene, Context())
    assert type(caught.value) is error


def test_a_small_scene_is_its_own_sample(tmp_path):
    pixels = landscape(2, 30, 40).astype("i2")
    with open_scene([write(tmp_path / "s.tif", pixels, nodata=-1)]) as scene:
        values, observed = select_bands(scene, Context()).sample()
    np.testing.assert_array_equal(values, pixels)
    assert observed.all()


def test_windows_with_most_observed_pixels_come_first_in_the_sample(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 200, (1, 700, 640)).astype("i2")
    pixels[:, :350] = -1  # only the lower half has data
    pixels[0, 0, 0] = 5
    with open_scene([write(tmp_path / "s.tif", pixels, nodata=-1)]) as scene:
        values, observed = select_bands(scene, Context()).sample()
    assert values.shape[2] == 128 and values.shape[1] % 129 == 0
    counts = observed[0].reshape(-1, 129, 128).sum(axis=(1, 2))
    assert (np.diff(counts) <= 0).all() and counts[0] == 128 * 128 and not observed[0, 128].any()
