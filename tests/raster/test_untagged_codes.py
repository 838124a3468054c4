"""Missing codes that the metadata do not declare: what is one, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import landscape, slanted_gaps, write
from rasterio.windows import Window

from dip_core.raster import scene as scene_module
from dip_core.raster.open_scene import open_scene
from dip_core.runtime.context import Context

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
ROWS, COLUMNS = 80, 90
Y, X = np.mgrid[:ROWS, :COLUMNS]
OUTSIDE = np.abs(X - 45 - 0.3 * (Y - 40)) > 28  # beside a flight line
CLOUD = np.hypot(Y - 30, X - 50) < 9
FLOAT_MAX = float(np.finfo(np.float32).max)


def values_in(low, high, dtype, bands=3, seed=0):
    """A textured scene in ``low``..``high``."""
    scaled = low + (high - low) * (landscape(bands, ROWS, COLUMNS, seed) - 20) / 210
    return scaled.astype(dtype) if np.dtype(dtype).kind == "f" else np.rint(scaled).astype(dtype)


def opened(tmp_path, pixels, nodata=(), keep_damage=False, **profile):
    """The valid pixels and the warnings; valid pixels of windows agree with those of the whole."""
    context = Context()
    path = write(tmp_path / "a.tif", pixels, photometric="minisblack", **profile)  # no band is alpha
    with open_scene([path], nodata, context, keep_damage=keep_damage) as scene:
        valid = scene.valid()
        for window in (Window(5, 7, 40, 30), Window(0, 0, COLUMNS, 1), Window(60, 50, 30, 30)):
            if max(pixels.shape[1:]) == COLUMNS:
                np.testing.assert_array_equal(scene.valid(window, [0]), valid[(slice(0, 1), *window.toslices())])
    return valid, context.warnings


CODES = {
    "flight line": ("f4", (0, 0.6), {-9999: OUTSIDE}),
    "scaled reflectance": ("i2", (0, 6000), {-9999: OUTSIDE}),
    "negative reflectance": ("i2", (-800, 15000), {-9999: CLOUD}),
    "elevation": ("i2", (-60, 2500), {-32768: CLOUD}),
    "lowest float": ("f4", (200, 320), {-FLOAT_MAX: OUTSIDE}),
    "1e20": ("f4", (0, 40), {1e20: OUTSIDE}),
    "1e300": ("f8", (-3, 5), {1e300: OUTSIDE}),
    "netCDF": ("f4", (270, 300), {9.969209968386869e36: CLOUD}),
    "small temperatures": ("f4", (-20, 45), {-999: CLOUD}),
    "-99.9": ("f4", (0, 30), {-99.9: CLOUD}),
    "two codes": ("i2", (100, 3000), {-9999: OUTSIDE, 32767: CLOUD & ~OUTSIDE}),
    "two on one side": ("f4", (0, 100), {-9999: OUTSIDE, -999: CLOUD & ~OUTSIDE}),
    "surface reflectance of MODIS": ("i2", (-100, 9000), {-28672: OUTSIDE}),
    "counts of MODIS": ("u2", (300, 9000), {65535: OUTSIDE, 65533: CLOUD & ~OUTSIDE, 65531: (Y > 70) & ~OUTSIDE}),
    "leaf area of MODIS": ("u1", (0, 90), {255: OUTSIDE, 254: CLOUD & ~OUTSIDE, 250: (Y > 70) & ~OUTSIDE}),
    "vegetation index of MODIS": ("i2", (-1500, 9500), {-3000: OUTSIDE}),
    "percent": ("u1", (0, 100), {255: CLOUD}),
    "bytes in floats": ("f4", (0, 100), {255: CLOUD}),
    "an unusual value": ("f4", (0, 1), {-7: OUTSIDE}),
    "an unusual integer": ("i4", (0, 1000), {123456: CLOUD}),
    "a few pixels": ("f4", (0, 0.6), {-9999: (Y == 20) & (np.isin(X, [3, 40, 77]))}),
    "isis": ("f4", (0, 0.4), {-3.4028226550889045e38: OUTSIDE, -3.4028228579130005e38: CLOUD & ~OUTSIDE}),
}


@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("kind", CODES)
def test_codes_are_missing_and_reported(tmp_path, kind, bands):
    dtype, limits, codes = CODES[kind]
    pixels = values_in(*limits, dtype, bands)
    missing = np.zeros((ROWS, COLUMNS), bool)
    for value, where in codes.items():
        pixels[:, where] = value
        missing |= where
    valid, warnings = opened(tmp_path, pixels)
    np.testing.assert_array_equal(valid, np.broadcast_to(~missing, valid.shape))
    (warning,) = warnings
    for value, where in codes.items():
        assert f"{np.dtype(dtype).type(value).item():.10g} ({100 * where.mean():.3g} %)" in warning
    assert "NODATA" in warning


@pytest.mark.parametrize("kind", ["flight line", "elevation", "two codes", "percent"])
def test_codes_of_one_band(tmp_path, kind):
    dtype, limits, codes = CODES[kind]
    pixels = values_in(*limits, dtype, 5)
    expected = np.ones(pixels.shape, bool)
    for value, where in codes.items():
        pixels[2, where] = value
        expected[2, where] = False
    valid, warnings = opened(tmp_path, pixels)
    np.testing.assert_array_equal(valid, expected)
    assert len(warnings) == 1


def test_a_band_that_is_all_code_is_missing(tmp_path):
    pixels = values_in(0, 0.6, "f4", 5)
    pixels[:, OUTSIDE] = -9999
    pixels[3] = -9999
    valid, _ = opened(tmp_path, pixels)
    assert not valid[3].any()
    np.testing.assert_array_equal(valid[0], ~OUTSIDE)


@pytest.mark.parametrize("nodata", [0, -1])
def test_a_second_code_beside_the_declared_one(tmp_path, nodata):
    pixels = values_in(100, 3000, "i2")
    pixels[:, OUTSIDE] = nodata
    pixels[:, CLOUD] = 32767
    context = Context()
    with open_scene([write(tmp_path / "a.tif", pixels, nodata=nodata)], context=context) as scene:
        valid, warnings = scene.valid(), context.warnings
    np.testing.assert_array_equal(valid, np.broadcast_to(~OUTSIDE & ~CLOUD, valid.shape))
    assert len(warnings) == 1 and "32767" in warnings[0]


def test_blocks_do_not_matter(tmp_path, monkeypatch):
    pixels = values_in(0, 6000, "i2", 4)
    pixels[:, OUTSIDE] = -9999
    pixels[1, CLOUD] = 32767
    whole, first = opened(tmp_path, pixels)
    blocks = scene_module.Scene.blocks
    monkeypatch.setattr(scene_module.Scene, "blocks", lambda self, rows=7: blocks(self, 7))
    parts, second = opened(tmp_path, pixels)
    np.testing.assert_array_equal(parts, whole)
    assert first == second


def coast():
    return np.maximum(values_in(-150, 600, "i2", 1), 0)


def with_values(pixels, where, value, band=slice(None)):
    pixels[band, where] = value
    return pixels


RNG = np.random.default_rng(5)
DATA = {
    "heights below zero": values_in(-430, 2500, "i2", 1),
    "a coast": coast(),
    "black shadows": np.clip(values_in(-20, 250, "i2"), 0, 255).astype("u1"),
    "depths": values_in(-10900, -10, "i2", 1),
    "saturated clouds": np.clip(values_in(-60, 330, "i2"), 1, 255).astype("u1"),
    "saturated words": np.clip(values_in(2000, 80000, "i4"), 0, 65535).astype("u2"),
    "clipped reflectance": np.clip(values_in(-0.1, 1.3, "f4"), 0, 1) + np.float32(0),
    "negative reflectance": values_in(-0.05, 0.7, "f4"),
    "kelvins": values_in(271, 318, "f4"),
    "counts": RNG.poisson(4, (3, ROWS, COLUMNS)).astype("u2"),
    "vegetation index": values_in(-1999, 9800, "i2"),
    "percent": values_in(0, 100, "u1", 1),
    "outliers": with_values(
        values_in(0, 1, "f4"), (Y == X) & (Y % 7 == 0), np.float32(25) + RNG.random(12).astype("f4")
    ),
    "constant": np.full((3, ROWS, COLUMNS), 7, "i2"),
    "a constant band": np.concatenate([values_in(1, 200, "u1", 2), np.full((1, ROWS, COLUMNS), 255, "u1")]),
    "a mask": np.where(CLOUD, 255, 1)[None].astype("u1"),
    "signs": np.where(CLOUD, -1, 1)[None].astype("i2"),
    "classes": ((X // 20 + Y // 30) * 10 + 10)[None].astype("u1"),
    "a constant lake": with_values(values_in(0, 300, "f4", 1), CLOUD, 120),
    "a bright object": with_values(values_in(10, 900, "u2"), CLOUD, 1500),
    "impulses": with_values(values_in(300, 9000, "u2"), RNG.random((ROWS, COLUMNS)) < 0.02, 65535, 1),
    "a saturated column": with_values(values_in(300, 9000, "u2"), X == 40, 65535, 1),
    "dead columns": with_values(values_in(300, 900, "u2"), (X > 30) & (X < 34), 0, 2),
    "tiny": np.array([[[0.1, 0.2], [0.3, 80.0]]], "f4"),
    "tiny values": values_in(1e-5, 9e-5, "f4"),
    "large values": values_in(1e16, 6e16, "f4"),
    "all of the type": np.arange(ROWS * COLUMNS).reshape(1, ROWS, COLUMNS).astype("u1") | np.uint8(1),
}


@pytest.mark.parametrize("kind", DATA)
def test_data_are_data(tmp_path, kind):
    valid, warnings = opened(tmp_path, DATA[kind])
    assert valid.all()
    assert not [text for text in warnings if "taken as missing" in text]


@pytest.mark.parametrize(("kind", "value"), [("saturated clouds", 255), ("saturated words", 65535)])
def test_doubtful_values_are_reported(tmp_path, kind, value):
    _, warnings = opened(tmp_path, DATA[kind])
    (warning,) = warnings
    assert "taken as data" in warning and f"{value} (" in warning and "NODATA" in warning


def test_damage_is_kept_for_tasks_that_repair_it(tmp_path):
    """Lines and impulses of -9999 are data there; areas are missing."""
    pixels = values_in(0, 6000, "i2", 4)
    pixels[:, OUTSIDE] = -9999
    pixels[2, :, 44] = -32768
    pixels[3, RNG.random((ROWS, COLUMNS)) < 0.01] = 32767
    pixels[:, OUTSIDE] = -9999
    valid, _ = opened(tmp_path, pixels, keep_damage=True)
    np.testing.assert_array_equal(valid, np.broadcast_to(~OUTSIDE, valid.shape))
    valid, _ = opened(tmp_path, pixels)
    assert not valid[2, :, 44].any() and valid[3, ~OUTSIDE].all()


# The user's values


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "f4", "f8"])
def test_nodata_values_of_the_user(tmp_path, dtype):
    pixels = values_in(20, 120, dtype)
    pixels[:, CLOUD] = 77
    pixels[1, OUTSIDE] = 101
    valid, warnings = opened(tmp_path, pixels, (77.0, 101.0, -9999.0, 0.5, float("nan")))
    np.testing.assert_array_equal(valid, (pixels != 77) & (pixels != 101))
    assert warnings == []


def test_nodata_values_of_floats_match_their_texts(tmp_path):
    pixels = values_in(0, 1, "f4")
    pixels[0, CLOUD] = np.float32(0.1234567)
    pixels[1, CLOUD] = -FLOAT_MAX
    valid, _ = opened(tmp_path, pixels, (0.1234567, -3.4e38))
    assert not valid[0, CLOUD].any() and not valid[1, CLOUD].any() and valid[2].all()


def test_nodata_of_the_user_ends_the_guess(tmp_path):
    pixels = values_in(0, 6000, "i2")
    pixels[:, OUTSIDE] = -9999
    pixels[:, CLOUD] = 0
    assert opened(tmp_path, pixels, (float("nan"),))[0].all()
    valid, _ = opened(tmp_path, pixels, (0,))
    np.testing.assert_array_equal(valid, pixels != 0)


def test_large_integers(tmp_path):
    pixels = (values_in(0, 1000, "i4").astype("i8") + 2**53).astype("i8")
    pixels[:, CLOUD] = 2**53 + 3
    valid, _ = opened(tmp_path, pixels, (2**53 + 3,))
    np.testing.assert_array_equal(valid, pixels != 2**53 + 3)


# The fill value 0


def test_zeros_of_single_bands_count_where_they_touch_zeros_of_all(tmp_path):
    own = np.stack([slanted_gaps(ROWS, COLUMNS, shift=band) for band in range(3)])
    pixels = np.where(own, 0, values_in(20, 200, "u1"))
    dark = (slice(1, 2), slice(60, 62), slice(50, 52))
    before = pixels[dark] == 0
    pixels[dark] = 0
    expected = ~own
    valid, warnings = opened(tmp_path, pixels.astype("u1"))
    if not before.any():
        np.testing.assert_array_equal(valid, expected)
    assert len(warnings) == 1 and "0 in all bands" in warnings[0] and "NODATA" in warnings[0]


def test_fill_is_connected_across_blocks(tmp_path, monkeypatch):
    """A band of zeros that winds up and down through several blocks of rows."""
    pixels = values_in(20, 200, "u1", 2)
    snake = np.zeros((ROWS, COLUMNS), bool)
    for number, column in enumerate(range(4, 80, 8)):
        snake[3:75, column] = True
        snake[74 if number % 2 == 0 else 3, column : column + 9] = True
    pixels[0, snake] = 0
    pixels[1, 3, 4] = 0
    blocks = scene_module.Scene.blocks
    monkeypatch.setattr(scene_module.Scene, "blocks", lambda self, rows=7: blocks(self, 9))
    valid, _ = opened(tmp_path, pixels)
    np.testing.assert_array_equal(valid[0], ~snake)
    assert np.count_nonzero(~valid[1]) == 1


def test_zeros_are_data_where_a_code_marks_what_is_missing(tmp_path):
    heights = coast()
    heights[:, OUTSIDE] = -32768
    valid, _ = opened(tmp_path, heights)
    np.testing.assert_array_equal(valid[0], ~OUTSIDE)


@pytest.mark.parametrize(("dtype", "other"), [("u1", 1), ("u1", 255), ("f4", 1), ("i2", 4)])
def test_zeros_of_a_mask_are_data(tmp_path, dtype, other):
    """Without them a single value would be left, so a fill would make the mask constant."""
    valid, warnings = opened(tmp_path, np.where(CLOUD, other, 0)[None].astype(dtype))
    assert valid.all() and not any("0 in all bands" in text for text in warnings)


def test_a_scene_without_codes_keeps_its_file(tmp_path):
    path = write(tmp_path / "a.tif", values_in(20, 200, "u1"))
    with open_scene([path]) as scene, rasterio.open(path) as file:
        assert scene.nodata is None and file.nodata is None and scene.missing_values == ()


# A frame of another value


@pytest.mark.parametrize(
    ("dtype", "limits", "value"),
    [("u1", (3, 290), 255), ("u2", (90, 75000), 65535), ("i2", (0, 4000), -1), ("f4", (-0.5, 1), -0.75)],
)
def test_a_frame_around_the_scene(tmp_path, dtype, limits, value):
    """Where the data reach the value, it is data inside."""
    pixels = values_in(*limits, "f4").clip(None, value - 1 if value > 0 else None)
    pixels = (pixels if dtype == "f4" else np.rint(pixels)).astype(dtype)
    pixels[:, CLOUD | OUTSIDE] = value
    valid, warnings = opened(tmp_path, pixels)
    missing = OUTSIDE if value > 0 else OUTSIDE | CLOUD
    np.testing.assert_array_equal(valid, np.broadcast_to(~missing, valid.shape))
    assert any(f"value {value} in all bands" in text for text in warnings)


def test_saturated_clouds_at_the_border_are_data(tmp_path):
    pixels = np.clip(values_in(-60, 330, "i2"), 1, 255)
    pixels += np.rint(900 * np.exp(-np.hypot(Y, X - 20) / 12)).astype("i2")  # a cloud with a soft edge
    valid, warnings = opened(tmp_path, np.clip(pixels, 1, 255).astype("u1"))
    assert valid.all() and not [text for text in warnings if "taken as missing" in text]


def test_a_grey_picture_in_three_bands_is_data(tmp_path):
    grey = np.repeat(values_in(3, 255, "u1", 1), 3, axis=0)
    grey[:, OUTSIDE] = 255
    assert opened(tmp_path, grey)[0].all()
