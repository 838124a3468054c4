"""Gap filling of every data type, nodata value and shape, and of constant or nearly empty scenes."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import fill, landscape, read, slanted_gaps, table, warnings_of, write
from gap_jobs import scene_with_gaps

SHAPE = (48, 56)
GAP = slanted_gaps(*SHAPE)


def run(tmp_path, path, **options):
    return fill(tmp_path / "r", path, report=False, **options)


@pytest.mark.parametrize(
    ("dtype", "nodata", "scale", "offset"),
    [
        ("int8", -128, 1, -125),
        ("uint16", 65535, 200, 0),
        ("int16", -9999, 100, -12000),
        ("uint32", 4294967295, 1e7, 0),
        ("int64", -1, 1e12, 0),
        ("float32", np.nan, 1e-3, 0),
        ("float32", -3.4028234663852886e38, 1e-3, 0),
        ("float64", -1.7976931348623157e308, 1e9, -1e12),
        ("float64", 7.5, 1, 0),
    ],
)
def test_every_type_and_nodata(tmp_path, dtype, nodata, scale, offset):
    values = landscape(1, *SHAPE) * scale + offset
    path = scene_with_gaps(tmp_path / "in.tif", values, GAP, nodata, dtype)
    result, paths, _ = run(tmp_path, path)
    after = read(paths["output"])
    assert after.dtype == dtype
    np.testing.assert_array_equal(after[:, ~GAP], read(path)[:, ~GAP])
    with rasterio.open(paths["output"]) as file:
        assert (file.read_masks() > 0).all()
        assert file.nodata == nodata or np.isnan(nodata)
    # Errors do not depend on the units: a few of 125.
    error = np.sqrt(np.mean(((after - values) / scale)[:, GAP] ** 2))
    assert error < 8
    assert result.numbers["HELDOUT_RMSE"] / scale == pytest.approx(error, rel=0.6)


@pytest.mark.parametrize("value, dtype", [(7, "u1"), (0.1, "f4")])
def test_a_constant_scene(tmp_path, value, dtype):
    path = scene_with_gaps(tmp_path / "in.tif", np.full((2, *SHAPE), value), GAP, 0, dtype)
    result, paths, _ = run(tmp_path, path)
    assert (read(paths["output"]) == np.array(value, dtype)).all()
    assert result.numbers["HELDOUT_RMSE"] == 0 and result.numbers["HELDOUT_R2"] is None


def test_a_constant_band_among_others(tmp_path):
    values = landscape(3, *SHAPE)
    values[1] = 42
    _, paths, _ = run(tmp_path, scene_with_gaps(tmp_path / "in.tif", values, GAP))
    assert (read(paths["output"])[1] == 42).all()


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (5, 40), (24, 20)])
def test_narrow_and_tiny_rasters(tmp_path, shape):
    flat = np.zeros(shape[0] * shape[1], bool)
    for start in range(3, len(flat), 11):
        flat[start : start + 3] = True
    gap = flat.reshape(shape)
    path = scene_with_gaps(tmp_path / "in.tif", landscape(2, *shape), gap)
    result, paths, _ = run(tmp_path, path, fill_exterior=True)
    assert (read(paths["filled"]) == gap).all() and result.numbers["PIXELS_LEFT"] == 0
    assert (read(paths["uncertainty"])[:, gap] > 0).all()


def test_one_observed_pixel(tmp_path):
    """Every pixel gets its value, and nothing claims that this was validated."""
    pixels = np.zeros((2, 20, 30), "u1")
    pixels[:, 9, 9] = (7, 9)
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    result, paths, events = run(tmp_path, path, fill_exterior=True)
    assert (read(paths["output"]) == np.array([7, 9])[:, None, None]).all()
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["HELDOUT_RMSE"] is None
    assert warnings_of(events) == ["Too few observed pixels to validate on: the fill is not validated."]


def test_many_bands(tmp_path):
    """Files with more than eight bands are interleaved by band."""
    gap = slanted_gaps(30, 34, thick=3, period=12)
    path = scene_with_gaps(tmp_path / "in.tif", landscape(40, 30, 34), gap, dtype="u2")
    result, paths, _ = run(tmp_path, path)
    assert (read(paths["filled"]) == gap).all() and result.numbers["PIXELS_LEFT"] == 0
    assert len(table(paths["metrics"])) == 40
