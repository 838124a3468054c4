"""Pictures before and after show the same pixels of the scene and of the written file."""

from __future__ import annotations

import io

import numpy as np
import pytest
import rasterio
from core_scenes import write
from matplotlib.image import imread

from dip_core.raster.scene import Scene
from dip_core.reporting.before_after import View, before_after, central_window, composite_of, read_view
from dip_core.reporting.pictures import GAP_COLOUR, Stretch

STRETCH = Stretch((0.0,), (100.0,))


def pixels(figure) -> np.ndarray:
    return np.rint(255 * imread(io.BytesIO(figure.png), format="png")).astype(int)


@pytest.fixture
def values() -> np.ndarray:
    return np.arange(2 * 30 * 40, dtype=np.float32).reshape(2, 30, 40) + 1


def test_a_view_reads_every_nth_pixel_of_both(tmp_path, values):
    source = write(tmp_path / "in.tif", np.where(values == 1, 0, values), nodata=0)
    written = write(tmp_path / "out.tif", 2 * values)
    with Scene([source]) as scene:
        view = read_view(scene, written, [1, 0], step=3)
        close = read_view(scene, written, [0], rasterio.windows.Window(4, 2, 5, 6))
    np.testing.assert_array_equal(view.after, 2 * values[::-1, ::3, ::3])
    np.testing.assert_array_equal(view.before[0], values[1, ::3, ::3])
    assert view.observed[0].all() and not view.observed[1, 0, 0]
    np.testing.assert_array_equal(close.before, values[:1, 2:8, 4:9])


def test_pixels_that_no_band_observed_are_transparent():
    observed = np.ones((1, 4, 5), bool)
    observed[0, 0, 0] = False
    image = np.full((1, 4, 5), 50.0, np.float32)
    gallery = before_after(View(image, image, observed), STRETCH, "the whole scene")
    assert [figure.caption for figure in gallery.figures] == ["Before: the whole scene.", "After: the whole scene."]
    assert all(pixels(figure)[0, 0, 3] == 0 and pixels(figure)[1, 1, 3] == 255 for figure in gallery.figures)


def test_gaps_are_painted_before_and_filled_after():
    observed = np.ones((1, 4, 5), bool)
    observed[0, 0, 0] = False
    image = np.full((1, 4, 5), 50.0, np.float32)
    gallery = before_after(View(image, image, observed), STRETCH, "a close-up", np.zeros((4, 5), bool), gaps=True)
    before, after = (pixels(figure) for figure in gallery.figures)
    assert tuple(before[0, 0, :3]) == GAP_COLOUR and tuple(after[0, 0]) == tuple(after[1, 1])
    assert "magenta" in gallery.figures[0].caption


def test_the_composite_has_the_bands_closest_to_red_green_and_blue(tmp_path):
    source = write(tmp_path / "in.tif", np.ones((5, 20, 20), np.float32))
    with rasterio.open(source, "r+") as file:
        for band, nanometres in enumerate((480, 560, 660, 830, 1650), start=1):
            file.update_tags(band, wavelength=str(nanometres), wavelength_units="Nanometers")
    with Scene([source]) as scene:
        assert composite_of(scene, range(5)) == [2, 1, 0]
        assert composite_of(scene, [1, 3]) == [1]


def test_the_central_window_fits_into_small_scenes():
    assert central_window(100, 200, 50) == rasterio.windows.Window(75, 25, 50, 50)
    assert central_window(10, 200, 50) == rasterio.windows.Window(75, 0, 50, 10)
