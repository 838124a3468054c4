"""Gap filling from a job to its outputs: the promises that a user can check on the files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from core_scenes import ROOT, TRANSFORM, copy, data, fill, landscape, read, slanted_gaps, table, warnings_of, write
from gap_jobs import GAP, SHAPE, provenance_of, report_record, scene_with_gaps
from rasterio.enums import ColorInterp

from dip_core.errors import DeviceUnavailable, GridMismatch, NothingObserved, SchedulerUnavailable


@pytest.fixture
def complete():
    """The scene before gaps were cut into it, with values that leave 0 free."""
    return landscape(3, *SHAPE)


@pytest.fixture
def scene(tmp_path, complete):
    return scene_with_gaps(tmp_path / "in.tif", complete)


def run(tmp_path, inputs, **options):
    """A job without a report, in a folder of its own."""
    return fill(tmp_path / "r", inputs, report=False, **options)


def test_observed_pixels_stay_and_gaps_are_filled(tmp_path, scene, complete):
    result, paths, events = run(tmp_path, scene)
    before, after = read(scene), read(paths["output"])
    filled, deviation = read(paths["filled"]), read(paths["uncertainty"])
    np.testing.assert_array_equal(after[:, ~GAP], before[:, ~GAP])
    np.testing.assert_array_equal(filled, np.broadcast_to(GAP, filled.shape))
    assert (deviation[:, ~GAP] == 0).all() and (deviation[:, GAP] > 0).all()
    with rasterio.open(paths["output"]) as file:
        assert (file.read_masks() > 0).all()  # no filled pixel is nodata
        assert file.nodata == 0 and file.dtypes == ("uint8",) * 3
        assert file.transform == TRANSFORM and file.crs == rasterio.CRS.from_epsg(32633)
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["PIXELS_CHANGED"] == GAP.sum()
    assert result.outputs == {name.upper(): path for name, path in paths.items()}
    assert warnings_of(events) == []
    # The validation predicted the real error.
    error = np.sqrt(np.mean((after - complete)[:, GAP] ** 2))
    assert error < 0.3 * complete.std()
    assert result.numbers["HELDOUT_RMSE"] == pytest.approx(error, rel=0.3)
    assert result.numbers["HELDOUT_RMSE"] < result.numbers["BASELINE_RMSE"]
    assert 0.9 < result.numbers["HELDOUT_R2"] < 1
    # One standard deviation covers 68 +- 10 % of 3 x 2600 pixels.
    within = np.abs(after - complete)[:, GAP] <= deviation[:, GAP]
    assert within.mean() == pytest.approx(0.683, abs=0.1)


def test_a_scene_without_gaps_is_copied(tmp_path, complete):
    path = write(tmp_path / "a.tif", complete.astype("u1"), nodata=0)
    result, paths, events = fill(tmp_path / "r", path)
    assert warnings_of(events) == ["The scene has no gaps: the output is a copy of the input."]
    np.testing.assert_array_equal(read(paths["output"]), read(path))
    assert (read(paths["filled"]) == 0).all() and (read(paths["uncertainty"]) == 0).all()
    assert result.numbers == {
        "HELDOUT_RMSE": None,
        "HELDOUT_R2": None,
        "BASELINE_RMSE": None,
        "PIXELS_CHANGED": 0,
        "PIXELS_LEFT": 0,
    }
    assert table(paths["metrics"])[0]["rmse"] == ""
    assert "nothing to fill" in report_record(paths["report"])["summary"]


def test_a_large_scene_without_gaps_is_copied(tmp_path):
    """Larger than a validation window."""
    path = write(tmp_path / "a.tif", landscape(1, 480, 500).astype("u1"), nodata=0)
    _, paths, _ = run(tmp_path, path)
    np.testing.assert_array_equal(read(paths["output"]), read(path))


def test_the_exterior_stays_as_it_is(tmp_path):
    """A scene that is rotated in its raster, as Landsat's are: its corners are exterior, gaps open to it."""
    y, x = np.mgrid[:90, :110]
    outside = (x + y < 30) | (x + y > 170)
    path = scene_with_gaps(tmp_path / "in.tif", landscape(1, *SHAPE), GAP | outside)
    result, paths, _ = run(tmp_path, path)
    after, filled, deviation = read(paths["output"]), read(paths["filled"]), read(paths["uncertainty"])
    assert (after[:, outside] == 0).all() and not filled[:, outside].any()
    assert np.isnan(deviation[:, outside]).all()
    assert result.numbers["PIXELS_LEFT"] == 0
    # Ends of gaps at the slanting edges may count as exterior: half a gap's height along each edge.
    assert filled[0][GAP & ~outside].mean() > 0.95
    assert np.isfinite(deviation[:, filled[0] > 0]).all()
    everything, paths, _ = fill(tmp_path / "all", path, report=False, fill_exterior=True)
    assert (read(paths["filled"]) == (GAP | outside)).all() and everything.numbers["PIXELS_LEFT"] == 0


def test_bands_with_their_own_gaps_help_each_other(tmp_path):
    """Pixels that other bands observe are filled much better than in a common gap.

    The texture is common to all bands, and no interpolation can guess it.
    """
    shape = (70, 80)
    texture = 12 * np.random.default_rng(4).normal(size=shape)
    values = (landscape(3, *shape) + texture).clip(1, 255)
    own = np.stack([slanted_gaps(*shape, thick=8, period=30, shift=6 * band) for band in range(3)])
    path = scene_with_gaps(tmp_path / "in.tif", values, own)
    result, together, _ = run(tmp_path, path)
    after = read(together["output"])
    np.testing.assert_array_equal(after[~own], read(path)[~own])
    np.testing.assert_array_equal(read(together["filled"]), own)
    assert result.numbers["PIXELS_CHANGED"] == own.any(axis=0).sum() and result.numbers["PIXELS_LEFT"] == 0
    alone = fill(tmp_path / "alone", write(tmp_path / "one.tif", read(path)[:1], nodata=0), report=False)[1]
    error = [np.sqrt(np.mean((read(paths["output"])[0] - values[0])[own[0]] ** 2)) for paths in (together, alone)]
    assert error[0] < 0.8 * error[1]


def test_an_empty_band_is_copied(tmp_path, complete):
    gap = np.broadcast_to(GAP, complete.shape).copy()
    gap[1] = True
    result, paths, events = run(tmp_path, scene_with_gaps(tmp_path / "in.tif", complete, gap))
    assert (read(paths["output"])[1] == 0).all() and not read(paths["filled"])[1].any()
    assert np.isnan(read(paths["uncertainty"])[1]).all()
    assert read(paths["filled"])[[0, 2]].sum() == 2 * GAP.sum() and result.numbers["PIXELS_LEFT"] == 0
    assert warnings_of(events) == ["Band 2 has no observed pixel and is copied unchanged."]
    assert [row["rmse"] == "" for row in table(paths["metrics"])] == [False, True, False]


def test_filled_pixels_become_opaque_even_beside_an_empty_band(tmp_path, complete):
    """Alpha and NaN; the third band is empty, which must not keep the fill of the others transparent."""
    values = complete.astype("f4")
    values[:, GAP] = np.nan
    values[2] = np.nan
    path = write(tmp_path / "in.tif", np.concatenate([values, np.where(GAP, 0, 1)[None].astype("f4")]))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * 3, ColorInterp.alpha)
    _, paths, _ = run(tmp_path, path)
    assert (read(paths["output"])[3] == 1).all()


# Inputs


def test_landsat_as_it_is_delivered(tmp_path):
    """One file per band and one gap mask per band, with the masks in another order."""
    shape = (60, 70)
    own = np.stack([slanted_gaps(*shape, shift=3 * band) for band in range(3)])
    values = landscape(3, *shape)
    scenes = [scene_with_gaps(tmp_path / f"LE07_X_B{band + 1}.TIF", values[band][None], own[band]) for band in range(3)]
    masks = [
        write(tmp_path / f"LE07_X_GM_B{band + 1}.TIF", (~own[band])[None].astype("u1"), nodata=None)
        for band in (2, 0, 1)
    ]
    result, paths, _ = run(tmp_path, scenes, gap_masks=tuple(masks))
    assert (read(paths["filled"]) == own).all() and result.numbers["PIXELS_LEFT"] == 0
    descriptions = {}
    for name in ("output", "filled", "uncertainty"):
        with rasterio.open(paths[name]) as file:
            descriptions[name] = file.descriptions
    assert descriptions["output"] == ("LE07_X_B1", "LE07_X_B2", "LE07_X_B3")
    assert descriptions["filled"][1] == "LE07_X_B2, 1 = filled"
    assert descriptions["uncertainty"][2] == "LE07_X_B3, one standard deviation"


def test_a_gap_mask_over_data(tmp_path, complete):
    """Pixels marked by a mask are filled although they hold data; others stay, 0 or not."""
    values = np.rint(complete).astype("u1")
    values[:, 50:60, 50:60] = 0  # nodata that the mask does not mark
    path = write(tmp_path / "in.tif", values, nodata=0)
    mask = write(tmp_path / "m.tif", (~GAP)[None].astype("u1"))
    _, paths, _ = run(tmp_path, path, gap_masks=(mask,))
    after = read(paths["output"])
    np.testing.assert_array_equal(after[:, ~GAP], values[:, ~GAP])
    assert (read(paths["filled"]) == GAP).all()
    assert (after[:, GAP] != values[:, GAP]).any()
    missing = np.zeros(GAP.shape, bool)
    missing[50:60, 50:60] = True
    assert np.isnan(read(paths["uncertainty"])[:, missing & ~GAP]).all()


METADATA = ("transform", "crs", "scales", "offsets", "units", "descriptions", "dtypes", "nodata", "colorinterp")


def test_metadata_survive(tmp_path, complete):
    path = scene_with_gaps(tmp_path / "in.tif", complete, transform=TRANSFORM @ rasterio.Affine.rotation(11))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets, file.units = (0.01,) * 3, (-0.1,) * 3, ("1",) * 3
        file.descriptions = ("blue", "green", "red")
        file.update_tags(2, wavelength="560", wavelength_units="nm", fwhm="80")
        file.update_tags(scene_id="LE07")
    _, paths, _ = run(tmp_path, path)
    with (
        rasterio.open(path) as old,
        rasterio.open(paths["output"]) as new,
        rasterio.open(paths["uncertainty"]) as deviation,
    ):
        for name in METADATA:
            assert getattr(new, name) == getattr(old, name), name
        assert new.tags()["scene_id"] == "LE07" and new.tags(2)["wavelength"] == "560"
        assert new.tags(2, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] == "0.56"
        # A standard deviation has the scale of the data, but no offset.
        assert deviation.scales == old.scales and deviation.offsets == (0.0,) * 3 and deviation.units == old.units
        assert np.isnan(deviation.nodata) and deviation.dtypes[0] == "float32"
    made = provenance_of(paths["output"])
    assert made["task"] == "gap_fill" and made["method"] == "fast" and made["versions"]["deep_prior"]


def test_the_file_holds_no_paths_of_this_machine(tmp_path, scene):
    _, paths, _ = run(tmp_path, scene)
    with rasterio.open(copy(paths["output"], tmp_path / "again.tif")) as file:
        text = json.dumps(file.tags())
    assert str(tmp_path) not in text and str(ROOT) not in text


# Errors


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"gap_masks": ("small.tif",)}, GridMismatch),
        ({"device": "cuda:63"}, DeviceUnavailable),
        ({"scheduler": "nowhere"}, SchedulerUnavailable),
    ],
)
def test_errors_leave_no_files(tmp_path, scene, options, error):
    write(tmp_path / "small.tif", np.ones((1, 10, 10), "u1"))
    masks = tuple(str(tmp_path / name) for name in options.pop("gap_masks", ()))
    with pytest.raises(error):
        run(tmp_path, scene, gap_masks=masks, **options)
    assert list((tmp_path / "r").iterdir()) == []


def test_a_scene_without_observed_pixels_is_an_error(tmp_path):
    with pytest.raises(NothingObserved, match="nodata"):
        run(tmp_path, write(tmp_path / "in.tif", np.zeros((1, 30, 30), "u1"), nodata=0))


# Real rasters


@pytest.mark.parametrize(
    "name", ["odd/odc-geo/au-gcp.tif", "odd/rasterio/RGBA.uint16.tif", "odd/rasterio/float_nan.tif", "odd/stars/lc.tif"]
)
def test_unusual_rasters(tmp_path, name):
    source = data(name)
    result, paths, _ = run(tmp_path, source)
    with rasterio.open(source) as old, rasterio.open(paths["output"]) as new:
        kept = read(paths["filled"]) == 0
        count = len(kept)  # without alpha
        np.testing.assert_array_equal(new.read()[:count][kept], old.read()[:count][kept])
        assert new.gcps[0] == [] or len(new.gcps[0]) == len(old.gcps[0])
    assert result.numbers["PIXELS_LEFT"] == 0


def test_a_real_scene(tmp_path):
    """A piece of the New South Wales scene, with real gaps and with masked clouds and water."""
    with rasterio.open(data("landsat/l7_slc_off_vpac_20100508.tif")) as file:
        window = rasterio.windows.Window(1000, 300, 200, 180)
        path = write(tmp_path / "in.tif", file.read(window=window), nodata=file.nodata)
    result, paths, _ = run(tmp_path, path)
    before, after = read(path), read(paths["output"])
    np.testing.assert_array_equal(after[before != -999], before[before != -999])
    assert result.numbers["PIXELS_LEFT"] == 0
    assert result.numbers["HELDOUT_RMSE"] < result.numbers["BASELINE_RMSE"]
    assert (after[read(paths["filled"]) > 0] != -999).all()
