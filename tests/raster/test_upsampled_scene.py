"""Upsampled scenes: repeated pixels in any window, and no metadata of the original grid."""

from __future__ import annotations

import numpy as np
import rasterio
from core_scenes import TRANSFORM, landscape, write
from rasterio.windows import Window

from dip_core.raster.scene import Scene
from dip_core.raster.upsampled_scene import UpsampledScene, upsampled_window


def test_pixels_are_repeated_in_all_windows(tmp_path):
    pixels = landscape(2, 20, 30).astype("u1")
    pixels[:, 5:8, 9] = 0
    with Scene([write(tmp_path / "s.tif", pixels, nodata=0)]) as scene:
        upsampled = UpsampledScene(scene, 3)
        expected = np.repeat(np.repeat(pixels, 3, axis=1), 3, axis=2)
        assert upsampled.shape == (2, 60, 90)
        np.testing.assert_array_equal(upsampled.read(), expected)
        np.testing.assert_array_equal(upsampled.valid(), expected != 0)
        window = Window(7, 11, 23, 17)
        np.testing.assert_array_equal(upsampled.read(window, [1]), expected[1:, 11:28, 7:30])
        assert upsampled.read_alpha(window) is None
        assert upsampled_window(Window(2, 3, 4, 5), 3) == Window(6, 9, 12, 15)
        assert upsampled.grid.transform @ (3, 3) == TRANSFORM @ (1, 1)


def test_closing_the_view_keeps_the_scene_open(tmp_path):
    pixels = landscape(1, 4, 5).astype("u1")
    with Scene([write(tmp_path / "s.tif", pixels)]) as scene:
        with UpsampledScene(scene, 2) as upsampled:
            upsampled.read()
        np.testing.assert_array_equal(scene.read(), pixels)


def test_items_that_describe_the_original_grid_are_removed(tmp_path):
    path = write(tmp_path / "s.tif", landscape(1, 4, 5).astype("u1"))
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="ENVI", lines="4", map_info="{UTM}", sensor_type="HyMap")
    with Scene([path]) as scene:
        assert scene.tags()["ENVI"]["lines"] == "4"
        assert UpsampledScene(scene, 2).tags()["ENVI"] == {"sensor_type": "HyMap"}
