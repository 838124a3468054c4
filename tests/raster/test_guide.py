"""The guide: another date or sensor, on whatever grid, helps where it is alike and does no harm where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, fill, landscape, read, slanted_gaps, warnings_of, write
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import calculate_default_transform, reproject
from rasterio.windows import Window

from dip_core.errors import GridMismatch, UnreadableRaster
from dip_core.imaging.observation import Observation
from dip_core.inpainting.experts.guided import guided
from dip_core.inpainting.experts.kriging import kriging
from dip_core.inpainting.experts.laplace import harmonic
from dip_core.inpainting.experts.similar_pixels import similar
from dip_core.raster.guide import Guide
from dip_core.raster.scene import Scene

ROWS, COLUMNS = 90, 110
GAP = slanted_gaps(ROWS, COLUMNS, thick=9, period=26)


@pytest.fixture
def texture():
    """What the ground looks like at any date, beyond what a smooth surface can guess."""
    return 18 * np.random.default_rng(2).normal(size=(ROWS, COLUMNS))


@pytest.fixture
def whole(texture):
    return (landscape(2, ROWS, COLUMNS) + texture).clip(1, 255).round()


@pytest.fixture
def scene(tmp_path, whole):
    return write(tmp_path / "in.tif", np.where(GAP, 0, whole).astype("u1"), nodata=0)


def other_date(texture, bands=3):
    """Another date: other levels and gains, the same texture, some noise of its own."""
    rng = np.random.default_rng(7)
    gains = np.array([0.5, 1.5, -1.0])[:bands, None, None]
    levels = np.array([500.0, 900.0, 1500.0])[:bands, None, None]
    return (
        levels + 8 * gains * (texture + 0.4 * landscape(1, ROWS, COLUMNS)) + rng.normal(0, 12, (bands, ROWS, COLUMNS))
    )


pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

# Reading


def test_a_guide_on_the_scenes_grid_is_read_as_it_is(tmp_path, scene, texture):
    pixels = other_date(texture)
    pixels[:, 5:10, 5:10] = -9999
    path = write(tmp_path / "g.tif", pixels.astype("f4"), nodata=-9999)
    with Scene([scene]) as opened, Guide(path, opened) as guide:
        values = guide.read()
        hole = np.zeros((ROWS, COLUMNS), bool)
        hole[5:10, 5:10] = True
        assert np.isnan(values[:, hole]).all() and np.isfinite(values[:, ~hole]).all()
        for band in range(3):
            kept = pixels[band][~hole]
            np.testing.assert_allclose(values[band][~hole], (kept - kept.mean()) / kept.std(), atol=1e-3)
        np.testing.assert_array_equal(guide.read(Window(20, 30, 40, 25)), values[:, 30:55, 20:60])
        assert guide.coverage == pytest.approx(1 - 25 / (ROWS * COLUMNS))


def on_another_grid(path, pixels, crs="EPSG:4326", nodata=None):
    """The same ground in degrees, at about the same pixel size."""
    bands = len(pixels)
    west, north = TRANSFORM.c, TRANSFORM.f
    bounds = (west, north - 30 * ROWS, west + 30 * COLUMNS, north)
    transform, width, height = calculate_default_transform("EPSG:32633", crs, COLUMNS, ROWS, *bounds)
    turned = np.zeros((bands, height, width), "f4")
    reproject(
        pixels.astype("f4"),
        turned,
        src_transform=TRANSFORM,
        src_crs="EPSG:32633",
        dst_transform=transform,
        dst_crs=crs,
        resampling=Resampling.cubic,
        dst_nodata=0,
    )
    return write(path, turned, crs=crs, transform=transform, nodata=nodata)


@pytest.mark.parametrize("nodata", [None, 0])
def test_a_guide_on_another_grid_is_warped(tmp_path, scene, texture, nodata):
    smooth = landscape(3, ROWS, COLUMNS) + 500
    path = on_another_grid(tmp_path / "g.tif", smooth, nodata=nodata)
    with Scene([scene]) as opened, Guide(path, opened) as guide:
        values = guide.read()
        assert values.shape == (3, ROWS, COLUMNS) and guide.coverage > 0.95
        shown = np.isfinite(values[0])
        shown[[0, -1]] = shown[:, [0, -1]] = False  # rims are mixed with nothing
        # It lies where it belongs: a shift by one pixel would correlate by less.
        matched, shifted = (
            np.corrcoef(values[0][shown], np.roll(smooth[0], step, axis=1)[shown])[0, 1] for step in (0, 1)
        )
        assert matched > 0.99 and matched > shifted
        np.testing.assert_array_equal(np.isnan(guide.read(Window(3, 4, 50, 60))), np.isnan(values[:, 4:64, 3:53]))


@pytest.mark.parametrize("bands", [1, 3, 6])
def test_outside_of_a_guide_there_is_nothing(tmp_path, scene, bands):
    """Its east half only; no nodata value tells the other half, and no level of 0 may come of it."""
    half = np.full((bands, ROWS, COLUMNS // 2), 100, "u1")
    east = TRANSFORM @ rasterio.Affine.translation(COLUMNS // 2 + 0.3, 0)
    with Scene([scene]) as opened, Guide(write(tmp_path / "g.tif", half, transform=east), opened) as guide:
        shown = np.isfinite(guide.read()).all(axis=0)
        assert not shown[:, : COLUMNS // 2 - 1].any() and shown[:, COLUMNS // 2 + 2 : -2].all()
        assert guide.coverage == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("shift", [0, 0.4])
def test_the_guides_alpha_counts(tmp_path, scene, bands, shift):
    pixels = np.full((bands + 1, ROWS, COLUMNS), 90, "u1")
    pixels[-1] = 255
    pixels[-1, 20:40, 30:60] = 0
    place = TRANSFORM @ rasterio.Affine.translation(shift, 0)
    path = write(tmp_path / "g.tif", pixels, transform=place)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * bands, ColorInterp.alpha)
    with Scene([scene]) as opened, Guide(path, opened) as guide:
        values = guide.read()
        assert len(values) == bands
        assert np.isnan(values[:, 22:38, 32:58]).all() and np.isfinite(values[:, 45:80, 5:100]).all()


def test_guides_that_cannot_be_used(tmp_path, scene):
    bare = tmp_path / "bare.tif"
    with rasterio.open(bare, "w", driver="GTiff", count=1, height=20, width=30, dtype="uint8") as file:
        file.write(np.ones((1, 20, 30), "u1"))
    with Scene([scene]) as opened:
        with pytest.raises(GridMismatch, match=r"bare\.tif.*no CRS"):
            Guide(str(bare), opened)
        with pytest.raises(UnreadableRaster, match="no such file"):
            Guide(str(tmp_path / "none.tif"), opened)


# The expert


def observe(values, gap, guide):
    gap = np.broadcast_to(gap, values.shape)
    return Observation(np.where(gap, 0, values).astype("f4"), ~gap, gap, guide.astype("f4"))


def rmse(estimate, truth, where):
    return float(np.sqrt(np.mean((estimate - truth)[..., where] ** 2)))


def test_a_scene_that_the_guide_explains_is_found_again(texture):
    guide = np.stack([texture / 18, landscape(1, ROWS, COLUMNS)[0] / 60 - 2])
    values = (0.7 * guide[:1] - 1.3 * guide[1:] + 0.2).astype("f4")
    observation = observe(values, GAP, guide)
    estimate = guided(observation)
    np.testing.assert_allclose(estimate[0][GAP], values[0][GAP], atol=2e-3)  # what the ridge costs
    np.testing.assert_array_equal(estimate[0][~GAP], values[0][~GAP])


def test_clouds_in_the_guide_do_not_spoil_the_regression(texture):
    """A fifth of the guide is cloud, bright and unlike the scene."""
    guide = texture[None] / 18
    values = (0.9 * guide + 0.1).astype("f4")
    cloudy = guide.copy()
    cloudy[:, 60:, 40:90] = 6 + np.random.default_rng(1).normal(size=(1, 30, 50))
    estimate = guided(observe(values, GAP, cloudy))
    clear = GAP.copy()
    clear[50:] = False
    assert rmse(estimate, values, clear) < 0.15  # the values' deviation is 0.9
    assert np.abs(estimate).max() < 8


def test_where_the_guide_shows_nothing_the_fill_is_kriged(texture):
    guide = texture[None] / 18
    values = (0.9 * guide).astype("f4")
    half = guide.copy()
    half[:, :, 60:] = np.nan
    estimate = guided(observe(values, GAP, half))
    assert np.isfinite(estimate).all()
    west, east = GAP.copy(), GAP.copy()
    west[:, 55:] = False
    east[:, :65] = False
    assert rmse(estimate, values, west) < 0.1
    assert rmse(estimate, values, east) == pytest.approx(
        rmse(kriging(observe(values, GAP, half)), values, east), rel=0.2
    )


def test_the_relation_to_the_guide_may_change_from_place_to_place(texture):
    """What differs in the guide differs more in the west than in the east."""
    guide = texture[None] / 18
    west = np.arange(COLUMNS) < COLUMNS // 2
    noise = np.random.default_rng(4).normal(0, 0.1, (1, ROWS, COLUMNS))
    values = (np.where(west, 1.2, 0.4) * guide + noise).astype("f4")
    estimate = guided(observe(values, GAP, guide))
    away = GAP & (np.abs(np.arange(COLUMNS) - COLUMNS // 2) > 10)
    # The noise is 0.1; one regression for all would miss by 0.4 on average.
    assert rmse(estimate, values, away) < 0.2


def fields(size=12, kinds=5):
    """A patchwork of fields: the kind of each pixel, ``(row, column)``."""
    tall, wide = -(-ROWS // size), -(-COLUMNS // size)
    kind = np.random.default_rng(5).integers(0, kinds, (tall, wide))
    return np.repeat(np.repeat(kind, size, axis=0), size, axis=1)[:ROWS, :COLUMNS]


def test_pixels_take_after_similar_ones():
    """Crops of five kinds change between the dates in a way that no regression on the guide's one band follows."""
    kind = fields()
    rng = np.random.default_rng(6)
    guide = (np.array([-1.4, -0.7, 0.0, 0.7, 1.4])[kind] + rng.normal(0, 0.03, kind.shape))[None]
    values = (np.array([1.0, -1.2, 0.9, -0.8, 0.2])[kind] + rng.normal(0, 0.03, kind.shape))[None].astype("f4")
    observation = observe(values, GAP, guide)
    estimate = similar(observation)
    np.testing.assert_array_equal(estimate[0][~GAP], values[0][~GAP])
    assert rmse(estimate, values, GAP) < 0.3 * rmse(guided(observation), values, GAP)
    assert np.median(np.abs(estimate - values)[0][GAP]) < 0.05


def test_similar_pixels_are_looked_for_where_the_guide_shows_any(texture):
    guide = texture[None] / 18
    values = (0.9 * guide).astype("f4")
    half = guide.copy()
    half[:, :, 60:] = np.nan
    estimate = similar(observe(values, GAP, half))
    assert np.isfinite(estimate).all()
    east = GAP.copy()
    east[:, :60] = False
    np.testing.assert_array_equal(estimate[0][east], harmonic(observe(values, GAP, half))[0][east])
    without = Observation(np.where(GAP, 0, values).astype("f4"), ~GAP[None], GAP[None])
    np.testing.assert_array_equal(similar(without), harmonic(without))


@pytest.mark.parametrize("guide", [None, np.full((2, ROWS, COLUMNS), np.nan, "f4")])
def test_without_a_guide_it_is_kriging(guide):
    values = (landscape(2, ROWS, COLUMNS) / 60 - 2).astype("f4")
    gap = np.broadcast_to(GAP, values.shape)
    observation = Observation(np.where(gap, 0, values).astype("f4"), ~gap, gap, guide)
    np.testing.assert_array_equal(guided(observation), kriging(observation))


# The whole way


def test_a_guide_that_is_alike_helps(tmp_path, scene, whole, texture):
    guide = write(tmp_path / "g.tif", other_date(texture).astype("i2"), nodata=-1)
    without, plain, _ = fill(tmp_path / "without", scene)
    result, paths, told = fill(tmp_path / "with", scene, guide=guide)
    # The texture, 18 of the fill's error of 22, is in the guide, with a noise of 12 over gains of 4 to 12.
    assert result.numbers["HELDOUT_RMSE"] < 0.75 * without.numbers["HELDOUT_RMSE"]
    errors = [np.sqrt(np.mean((read(name) - whole)[:, GAP] ** 2)) for name in (plain["output"], paths["output"])]
    assert errors[1] < 0.75 * errors[0]
    np.testing.assert_array_equal(read(paths["output"])[:, ~GAP], read(scene)[:, ~GAP])
    assert any("The guide covers 100 %" in event.text for event in told if hasattr(event, "text"))


def test_a_guide_that_is_unlike_does_no_harm(tmp_path, scene):
    noise = np.random.default_rng(3).normal(1000, 100, (2, ROWS, COLUMNS)).astype("i2")
    without, *_ = fill(tmp_path / "without", scene)
    result, *_ = fill(tmp_path / "with", scene, guide=write(tmp_path / "g.tif", noise, nodata=-1))
    assert result.numbers["HELDOUT_RMSE"] <= without.numbers["HELDOUT_RMSE"] * 1.01


def test_a_guide_with_gaps_of_its_own(tmp_path, scene, texture):
    """Two SLC-off dates: what neither sees is filled too."""
    both = np.where(slanted_gaps(ROWS, COLUMNS, thick=9, period=26, shift=13), -1, other_date(texture)).astype("i2")
    result, *_ = fill(tmp_path / "r", scene, guide=write(tmp_path / "g.tif", both, nodata=-1))
    assert result.numbers["PIXELS_LEFT"] == 0


def test_a_guide_elsewhere_is_told_and_not_used(tmp_path, scene, texture):
    away = TRANSFORM @ rasterio.Affine.translation(5000, 0)
    path = write(tmp_path / "g.tif", other_date(texture).astype("i2"), nodata=-1, transform=away)
    result, _, told = fill(tmp_path / "r", scene, guide=path)
    assert warnings_of(told) == [f"GUIDE '{path}' does not overlap the scene and is not used."]
    assert result.numbers["PIXELS_LEFT"] == 0


def test_a_network_alone_uses_no_guide(tmp_path, scene, texture):
    path = write(tmp_path / "g.tif", other_date(texture).astype("i2"), nodata=-1)
    _, _, told = fill(tmp_path / "r", scene, "deep_prior", guide=path, time_budget=1.0, device="cpu", threads=1)
    assert "METHOD deep_prior uses no guide: GUIDE has no effect." in warnings_of(told)
