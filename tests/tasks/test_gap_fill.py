"""Gap filling from a job to its outputs: the promises that a user can check on the files."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
import rasterio
from core_scenes import ROOT, TRANSFORM, copy, data, fill, landscape, read, slanted_gaps, table, warnings_of, write
from rasterio.enums import ColorInterp

from dip_core.dip import presets
from dip_core.dip.cost import fit_cost
from dip_core.errors import DeviceUnavailable, GridMismatch, NothingObserved, SchedulerUnavailable
from dip_core.events import Progress
from dip_core.inpainting import plan
from dip_core.inpainting.gap_mask import Gaps, find_gaps
from dip_core.inpainting.problem import survey
from dip_core.job import Compute, GapFillJob, Outputs
from dip_core.raster.scene import Scene

GAP = slanted_gaps(90, 110)
FAST_NETWORK = {"seed": 1, "device": "cpu", "threads": 1}


@pytest.fixture
def whole():
    """The scene as it was before the gaps, with values that leave 0 free."""
    return landscape(3, 90, 110)


def gappy(path, values, gap=GAP, nodata=0, dtype="u1", **profile) -> str:
    return write(path, np.where(gap, nodata, np.rint(values) if np.dtype(dtype).kind != "f" else values).astype(dtype),
                 nodata=nodata, **profile)  # fmt: skip


@pytest.fixture
def scene(tmp_path, whole):
    return gappy(tmp_path / "in.tif", whole)


@pytest.fixture
def few_iterations(monkeypatch):
    """The networks' presets with three iterations, for what does not depend on how well they fit."""
    for methods in presets.PRESETS.values():
        for name, preset in methods.items():
            shorter = dataclasses.replace(preset.schedule, iterations=3)
            monkeypatch.setitem(methods, name, dataclasses.replace(preset, schedule=shorter))


def record_of(path) -> dict:
    """What the report says for machines."""
    with open(path, encoding="utf-8") as file:
        return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', file.read(), re.S).group(1))


# The promises


def test_observed_pixels_stay_and_gaps_are_filled(tmp_path, scene, whole):
    result, paths, told = fill(tmp_path / "r", scene)
    before, after = read(scene), read(paths["output"])
    filled, deviation = read(paths["filled"]), read(paths["uncertainty"])
    np.testing.assert_array_equal(after[:, ~GAP], before[:, ~GAP])
    np.testing.assert_array_equal(filled, np.broadcast_to(GAP, filled.shape))
    assert (deviation[:, ~GAP] == 0).all() and (deviation[:, GAP] > 0).all()
    with rasterio.open(paths["output"]) as file:
        assert (file.read_masks() > 0).all()  # no filled pixel reads as missing
        assert file.nodata == 0 and file.dtypes == ("uint8",) * 3
        assert file.transform == TRANSFORM and file.crs == rasterio.CRS.from_epsg(32633)
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["PIXELS_CHANGED"] == GAP.sum()
    assert result.outputs == {name.upper(): path for name, path in paths.items()}
    assert warnings_of(told) == []
    # The truth is known here: the fill is near it, and the hold-outs have told so beforehand.
    error = np.sqrt(np.mean((after - whole)[:, GAP] ** 2))
    assert error < 0.3 * whole.std()
    assert result.numbers["HELDOUT_RMSE"] == pytest.approx(error, rel=0.3)
    assert result.numbers["HELDOUT_RMSE"] < result.numbers["BASELINE_RMSE"]
    assert 0.9 < result.numbers["HELDOUT_R2"] < 1
    # And so is its uncertainty: one deviation covers 68 +- 10 % of 3 x 2600 pixels.
    within = np.abs(after - whole)[:, GAP] <= deviation[:, GAP]
    assert within.mean() == pytest.approx(0.683, abs=0.1)


def test_best_is_no_worse_than_its_parts(tmp_path, scene, few_iterations):
    best, paths, _ = fill(tmp_path / "best", scene, "best", **FAST_NETWORK)
    scores = record_of(paths["report"])["data"]["scores"]
    assert {"linear", "harmonic", "biharmonic", "kriging", "deep_prior"} < set(scores)
    assert best.numbers["HELDOUT_RMSE"] < best.numbers["BASELINE_RMSE"]
    experts = [scores[name] for name in ("linear", "harmonic", "biharmonic", "kriging", "deep_prior")]
    assert min(scores.values()) <= min(experts)
    with rasterio.open(paths["output"]) as file:
        made = json.loads(file.tags()["DEEP_PRIOR"])
    assert made["rule"] == min(scores, key=scores.get)


@pytest.mark.parametrize("method", ["deep_prior", "paper_composite", "paper_per_band"])
def test_networks_by_themselves(tmp_path, method, few_iterations):
    gap = slanted_gaps(50, 60)
    path = gappy(tmp_path / "in.tif", landscape(2, 50, 60), gap)
    result, paths, _ = fill(tmp_path / "r", path, method, **FAST_NETWORK)
    np.testing.assert_array_equal(read(paths["output"])[:, ~gap], read(path)[:, ~gap])
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["HELDOUT_RMSE"] > 0
    assert (read(paths["filled"]) == gap).all() and (read(paths["uncertainty"])[:, gap] > 0).all()
    with rasterio.open(paths["output"]) as file:
        made = json.loads(file.tags()["DEEP_PRIOR"])
    assert made["method"] == method and made["experts"] == [method] and made["seed"] == 1
    assert ("network_input" in made) == method.startswith("paper_")


@pytest.mark.parametrize("method", ["fast", "deep_prior"])
def test_the_same_seed_gives_the_same_files(tmp_path, scene, method, few_iterations):
    options = {"seed": 5, "device": "cpu", "threads": 1}
    first, again = (fill(tmp_path / name, scene, method, **options)[1] for name in "ab")
    for name in ("output", "uncertainty", "filled", "metrics"):
        with open(first[name], "rb") as one, open(again[name], "rb") as two:
            assert one.read() == two.read(), name
    other = fill(tmp_path / "c", scene, method, **{**options, "seed": 6})[1]
    assert (read(other["uncertainty"]) != read(first["uncertainty"])).any()


def test_what_a_scene_is_too_large_for_is_left_out_with_a_reason(tmp_path, scene, few_iterations, monkeypatch):
    """The deep prior stands for election on a small scene; where it costs too much, the report says why it does not."""
    monkeypatch.setattr(plan, "MAX_COST", dict.fromkeys(plan.MAX_COST, 1.0))
    _, paths, _ = fill(tmp_path / "dear", scene, "best", **FAST_NETWORK)
    assert "deep_prior" not in record_of(paths["report"])["data"]["scores"]
    with open(paths["report"], encoding="utf-8") as page:
        assert "Deep prior was not a candidate: " in page.read()


@pytest.mark.parametrize(
    "method, side, period, rounds",
    [
        ("fast", 60, 10, 3),
        ("fast", 200, 10, 1),
        ("best", 60, 10, 9),
        ("best", 250, 10, 5),
        ("best", 400, 10, 3),
        ("best", 1000, 10, 1),
        ("best", 1000, 125, 2),
        ("fast", 1000, 125, 1),
    ],
)
def test_scenes_are_validated_until_enough_is_hidden(tmp_path, monkeypatch, method, side, period, rounds):
    """Small ones up to nine times, ones that are validated in several windows up to twice."""
    monkeypatch.setattr(plan, "MAX_COST", {"cpu": 1.0})
    observed = np.ones((1, side, side), bool)
    observed[:, :, ::period] = False
    job = GapFillJob(
        (write(tmp_path / "s.tif", np.ones(observed.shape, np.uint8)),),
        outputs=Outputs(str(tmp_path / "o.tif")),
        method=method,
    )
    with Scene(job.inputs) as opened:
        assert plan.plan(job, survey(opened, Gaps(observed, ~observed, 1, "test", 0))).rounds == rounds


def test_the_deep_prior_stands_for_election_where_every_hold_out_can_have_it(scene, monkeypatch):
    """Scenes are not validated less often for its sake."""
    job = GapFillJob((scene,), outputs=Outputs("o.tif"), compute=Compute(device="cpu"))
    with Scene(job.inputs) as opened:
        known = survey(opened, find_gaps(opened))
        enough = fit_cost("deep_prior", 90 * 110 * (plan.plan(job, known).rounds + 1), 3)
        plans = []
        for limit in (enough, 0.99 * enough):
            monkeypatch.setattr(plan, "MAX_COST", {"cpu": limit})
            plans.append(plan.plan(job, known))
    assert ["deep_prior" in planned.names for planned in plans] == [True, False]
    assert plans[0].rounds == plans[1].rounds > 3 and plans[0].names[:-1] == plans[1].names


def test_a_scene_without_gaps_is_copied(tmp_path, whole):
    """Also one that is larger than a validation window."""
    for name, values in (("small", whole), ("large", landscape(1, 480, 500))):
        path = write(tmp_path / f"{name}.tif", values.astype("u1"), nodata=0)
        result, paths, told = fill(tmp_path / name, path)
        assert warnings_of(told) == ["The scene has no gaps: the output is a copy of the input."]
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
        assert "There was nothing to fill" in record_of(paths["report"])["summary"]


def test_the_exterior_stays_as_it_is(tmp_path, whole):
    """A scene that is turned in its raster, as Landsat's are: corners are no gaps, gaps open to them."""
    y, x = np.mgrid[:90, :110]
    outside = (x + y < 30) | (x + y > 170)
    path = gappy(tmp_path / "in.tif", whole, GAP | outside)
    result, paths, _ = fill(tmp_path / "r", path)
    after, filled, deviation = read(paths["output"]), read(paths["filled"]), read(paths["uncertainty"])
    assert (after[:, outside] == 0).all() and not filled[:, outside].any()
    assert np.isnan(deviation[:, outside]).all()
    assert result.numbers["PIXELS_LEFT"] == 0
    # Ends of gaps at the slanting edges may be taken for exterior: half a gap's height along each of 8 ends.
    assert filled[0][GAP & ~outside].mean() > 0.95
    assert np.isfinite(deviation[:, filled[0] > 0]).all()
    everything, paths, _ = fill(tmp_path / "all", path, fill_exterior=True)
    assert (read(paths["filled"]) == (GAP | outside)).all() and everything.numbers["PIXELS_LEFT"] == 0


def test_bands_with_gaps_of_their_own_help_each_other(tmp_path):
    """Where other bands see a pixel, its fill is much better than in the middle of a common gap."""
    # A texture that bands share and that no surface through the rim can guess.
    texture = 12 * np.random.default_rng(4).normal(size=(120, 130))
    values = (landscape(3, 120, 130) + texture).clip(1, 255)
    own = np.stack([slanted_gaps(120, 130, thick=8, period=30, shift=6 * band) for band in range(3)])
    path = gappy(tmp_path / "in.tif", values, own)
    result, paths, _ = fill(tmp_path / "r", path)
    after, filled = read(paths["output"]), read(paths["filled"])
    np.testing.assert_array_equal(after[~own], read(path)[~own])
    np.testing.assert_array_equal(filled, own)
    assert result.numbers["PIXELS_CHANGED"] == own.any(axis=0).sum() and result.numbers["PIXELS_LEFT"] == 0
    alone = fill(tmp_path / "alone", write(tmp_path / "one.tif", read(path)[:1], nodata=0))[1]
    error = [np.sqrt(np.mean((read(name)[0] - values[0])[own[0]] ** 2)) for name in (paths["output"], alone["output"])]
    assert error[0] < 0.8 * error[1]


def test_a_dead_band_passes_through(tmp_path, whole):
    gap = np.broadcast_to(GAP, whole.shape).copy()
    gap[1] = True
    result, paths, told = fill(tmp_path / "r", gappy(tmp_path / "in.tif", whole, gap))
    assert (read(paths["output"])[1] == 0).all() and not read(paths["filled"])[1].any()
    assert np.isnan(read(paths["uncertainty"])[1]).all()
    assert read(paths["filled"])[[0, 2]].sum() == 2 * GAP.sum() and result.numbers["PIXELS_LEFT"] == 0
    assert warnings_of(told) == ["Band 2 has no observed pixel and passes through unchanged."]
    assert [row["rmse"] == "" for row in table(paths["metrics"])] == [False, True, False]


def test_filled_pixels_of_a_transparent_scene_become_opaque_also_beside_a_dead_band(tmp_path, whole):
    """Alpha and NaN: the third band holds nothing at all, which must not keep the others' fill invisible."""
    values = whole.astype("f4")
    values[:, GAP] = np.nan
    values[2] = np.nan
    path = write(tmp_path / "in.tif", np.concatenate([values, np.where(GAP, 0, 1)[None].astype("f4")]))
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (*[ColorInterp.undefined] * 3, ColorInterp.alpha)
    _, paths, _ = fill(tmp_path / "r", path)
    assert (read(paths["output"])[3] == 1).all()


# Types


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
    gap = slanted_gaps(64, 70)
    values = landscape(1, 64, 70) * scale + offset
    path = gappy(tmp_path / "in.tif", values, gap, nodata, dtype)
    result, paths, _ = fill(tmp_path / "r", path)
    after = read(paths["output"])
    assert after.dtype == dtype
    np.testing.assert_array_equal(after[:, ~gap], read(path)[:, ~gap])
    with rasterio.open(paths["output"]) as file:
        assert (file.read_masks() > 0).all()
        assert file.nodata == nodata or np.isnan(nodata)
    # Errors do not depend on the units: some 3 of 125 in each of them.
    error = np.sqrt(np.mean(((after - values) / scale)[:, gap] ** 2))
    assert error < 8
    assert result.numbers["HELDOUT_RMSE"] / scale == pytest.approx(error, rel=0.6)


@pytest.mark.parametrize("value", [7, 0.1])
def test_a_constant_scene(tmp_path, value):
    dtype = "u1" if value == 7 else "f4"
    path = gappy(tmp_path / "in.tif", np.full((2, 64, 70), value), slanted_gaps(64, 70), 0, dtype)
    result, paths, _ = fill(tmp_path / "r", path)
    assert (read(paths["output"]) == np.array(value, dtype)).all()
    assert result.numbers["HELDOUT_RMSE"] == 0 and result.numbers["HELDOUT_R2"] is None


def test_a_constant_band_among_others(tmp_path, whole):
    whole[1] = 42
    _, paths, _ = fill(tmp_path / "r", gappy(tmp_path / "in.tif", whole))
    assert (read(paths["output"])[1] == 42).all()


@pytest.mark.parametrize("shape", [(1, 300), (300, 1), (5, 40), (24, 20)])
def test_narrow_and_tiny_rasters(tmp_path, shape):
    gap = np.zeros(shape, bool)
    flat = gap.ravel()
    for start in range(3, len(flat), 11):
        flat[start : start + 3] = True
    gap = flat.reshape(shape)
    result, paths, _ = fill(tmp_path / "r", gappy(tmp_path / "in.tif", landscape(2, *shape), gap), fill_exterior=True)
    assert (read(paths["filled"]) == gap).all() and result.numbers["PIXELS_LEFT"] == 0
    assert (read(paths["uncertainty"])[:, gap] > 0).all()


def test_one_observed_pixel(tmp_path):
    """Nothing to learn from: everything gets its value, and nobody is told that this is known."""
    pixels = np.zeros((2, 20, 30), "u1")
    pixels[:, 9, 9] = (7, 9)
    path = write(tmp_path / "in.tif", pixels, nodata=0)
    result, paths, told = fill(tmp_path / "r", path, fill_exterior=True)
    assert (read(paths["output"]) == np.array([7, 9])[:, None, None]).all()
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["HELDOUT_RMSE"] is None
    assert warnings_of(told) == ["Too few observed pixels to validate on: the fill is not validated."]


def test_many_bands(tmp_path):
    """More than eight bands are stored band by band; 60 of them here."""
    gap = slanted_gaps(40, 44, thick=3, period=12)
    path = gappy(tmp_path / "in.tif", landscape(60, 40, 44), gap, dtype="u2")
    result, paths, _ = fill(tmp_path / "r", path)
    assert (read(paths["filled"]) == gap).all() and result.numbers["PIXELS_LEFT"] == 0
    assert len(table(paths["metrics"])) == 60


# Inputs


def test_landsat_as_it_is_delivered(tmp_path, whole):
    """One file a band, a gap mask a band, in whatever order the masks come."""
    own = np.stack([slanted_gaps(90, 110, shift=3 * band) for band in range(3)])
    scenes = [gappy(tmp_path / f"LE07_X_B{band + 1}.TIF", whole[band][None], own[band]) for band in range(3)]
    masks = [
        write(tmp_path / f"LE07_X_GM_B{band + 1}.TIF", (~own[band])[None].astype("u1"), nodata=None)
        for band in (2, 0, 1)
    ]
    result, paths, _ = fill(tmp_path / "r", scenes, gap_masks=tuple(masks))
    assert (read(paths["filled"]) == own).all() and result.numbers["PIXELS_LEFT"] == 0
    with rasterio.open(paths["output"]) as file:
        assert file.count == 3 and file.descriptions == ("LE07_X_B1", "LE07_X_B2", "LE07_X_B3")
    with rasterio.open(paths["filled"]) as file:
        assert file.descriptions[1] == "LE07_X_B2, 1 = filled"
    with rasterio.open(paths["uncertainty"]) as file:
        assert file.descriptions[2] == "LE07_X_B3, one standard deviation"


def test_a_gap_mask_over_data(tmp_path, whole):
    """Pixels that a mask names are filled although something stands there; others stay, 0 or not."""
    values = np.rint(whole).astype("u1")
    values[:, 50:60, 50:60] = 0  # fill that the mask does not name
    path = write(tmp_path / "in.tif", values, nodata=0)
    mask = write(tmp_path / "m.tif", (~GAP)[None].astype("u1"))
    _, paths, _ = fill(tmp_path / "r", path, gap_masks=(mask,))
    after = read(paths["output"])
    np.testing.assert_array_equal(after[:, ~GAP], values[:, ~GAP])
    assert (read(paths["filled"]) == GAP).all()
    assert (after[:, GAP] != values[:, GAP]).any()
    missing = np.zeros(GAP.shape, bool)
    missing[50:60, 50:60] = True
    assert np.isnan(read(paths["uncertainty"])[:, missing & ~GAP]).all()


def test_metadata_survive(tmp_path, whole):
    path = gappy(tmp_path / "in.tif", whole, transform=TRANSFORM @ rasterio.Affine.rotation(11))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets, file.units = (0.01,) * 3, (-0.1,) * 3, ("1",) * 3
        file.descriptions = ("blue", "green", "red")
        file.update_tags(2, wavelength="560", wavelength_units="nm", fwhm="80")
        file.update_tags(scene_id="LE07")
    _, paths, _ = fill(tmp_path / "r", path)
    with (
        rasterio.open(path) as old,
        rasterio.open(paths["output"]) as new,
        rasterio.open(paths["uncertainty"]) as spread,
    ):
        for name in (
            "transform",
            "crs",
            "scales",
            "offsets",
            "units",
            "descriptions",
            "dtypes",
            "nodata",
            "colorinterp",
        ):
            assert getattr(new, name) == getattr(old, name), name
        assert new.tags()["scene_id"] == "LE07" and new.tags(2)["wavelength"] == "560"
        assert new.tags(2, ns="IMAGERY")["CENTRAL_WAVELENGTH_UM"] == "0.56"
        made = json.loads(new.tags()["DEEP_PRIOR"])
        assert made["task"] == "gap_fill" and made["method"] == "fast" and made["versions"]["deep_prior"]
        # A deviation is in the data's units: scaled alike, but not shifted.
        assert spread.scales == old.scales and spread.offsets == (0.0,) * 3 and spread.units == old.units
        assert np.isnan(spread.nodata) and spread.dtypes[0] == "float32"


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"gap_masks": ("small.tif",)}, GridMismatch),
        ({"device": "cuda:63"}, DeviceUnavailable),
        ({"scheduler": "nowhere"}, SchedulerUnavailable),
    ],
)
def test_failures_leave_nothing(tmp_path, scene, bad, error):
    write(tmp_path / "small.tif", np.ones((1, 10, 10), "u1"))
    masks = tuple(str(tmp_path / name) for name in bad.pop("gap_masks", ()))
    with pytest.raises(error):
        fill(tmp_path / "r", scene, gap_masks=masks, **bad)
    assert list((tmp_path / "r").iterdir()) == []


def test_a_scene_of_nodata_is_refused(tmp_path):
    with pytest.raises(NothingObserved, match="nodata"):
        fill(tmp_path / "r", write(tmp_path / "in.tif", np.zeros((1, 30, 30), "u1"), nodata=0))


# Tiles and time


def test_small_tiles_give_nearly_what_one_tile_gives(tmp_path):
    gap = slanted_gaps(200, 230)
    path = gappy(tmp_path / "in.tif", landscape(1, 200, 230), gap)
    whole, one, _ = fill(tmp_path / "one", path)
    tiled, many, _ = fill(tmp_path / "many", path, tile_size=64, overlap=20)
    difference = (read(one["output"]).astype(float) - read(many["output"]))[:, gap]
    # Experts that look at some 20 pixels around differ only near the tiles' borders, within the overlap; kriging also
    # in the covariance that each tile has.
    assert np.sqrt(np.mean(difference**2)) < 0.15 * whole.numbers["HELDOUT_RMSE"]
    assert whole.numbers["HELDOUT_RMSE"] == tiled.numbers["HELDOUT_RMSE"]  # validation does not depend on tiles


@pytest.mark.parametrize("size", [64, 90])
def test_a_gap_larger_than_a_tile(tmp_path, size):
    """Where a tile does not see the gap's far rim, it takes what the scene says at large; there is no seam."""
    gap = np.zeros((210, 220), bool)
    gap[30:180, 30:190] = True
    y, x = np.mgrid[:210, :220]
    values = (40 + 0.7 * x + 0.2 * y)[None]
    result, paths, _ = fill(tmp_path / "r", gappy(tmp_path / "in.tif", values, gap), tile_size=size)
    after = read(paths["output"])[0].astype(float)
    assert result.numbers["PIXELS_LEFT"] == 0
    # The plane goes through the gap. A tile that saw one rim only would be 40 off, the scene's mean 50.
    error = np.abs(after - values[0])[gap]
    assert error.max() < 20 and np.quantile(error, 0.99) < 8 and np.median(error) < 1
    # Rounding makes steps of 1; the linear expert has steps at corners, where the shorter way changes.
    for axis in (0, 1):
        assert np.quantile(np.abs(np.diff(after, axis=axis)), 0.999) < 10


def test_a_large_overlap_without_a_tile_size(tmp_path):
    """Tiles make room for the overlap that is asked for."""
    gap = slanted_gaps(60, 700)
    path = gappy(tmp_path / "in.tif", np.full((1, 60, 700), 90.0) + np.arange(700) / 10, gap)
    _, paths, _ = fill(tmp_path / "r", path, overlap=200)
    after = read(paths["output"]).astype(float)
    # A weight that were not 1 in sum would show at once in a plane: 1 % of 90 is 0.9.
    assert np.abs(after - (90 + np.arange(700) / 10))[:, gap].max() <= 1.0


def test_the_time_budget_ends_a_fit(tmp_path, scene):
    """Ten seconds for what would take minutes: the fill is there, and the warning too where hold-outs were cut."""
    result, paths, told = fill(tmp_path / "r", scene, "deep_prior", time_budget=3.0, **FAST_NETWORK)
    assert result.numbers["PIXELS_LEFT"] == 0
    assert [event for event in told if isinstance(event, Progress)][-1].fraction > 0.9
    assert (read(paths["filled"]) == GAP).all()


# Report and table


def test_the_table_has_a_row_a_band(tmp_path, scene):
    result, paths, _ = fill(tmp_path / "r", scene)
    rows = table(paths["metrics"])
    assert [row["band"] for row in rows] == ["1", "2", "3"]
    mean = np.sqrt(np.mean([float(row["rmse"]) ** 2 for row in rows]))
    assert mean == pytest.approx(result.numbers["HELDOUT_RMSE"], rel=0.1)
    assert result.numbers["HELDOUT_R2"] == pytest.approx(np.mean([float(row["r2"]) for row in rows]), abs=1e-6)
    for row in rows:
        assert float(row["rmse"]) < float(row["baseline_rmse"]) and abs(float(row["bias"])) < float(row["rmse"])
        assert 0.5 < float(row["within_1sd"]) < 0.85 and float(row["within_2sd"]) > 0.88


def test_the_report_says_what_was_done(tmp_path, scene):
    result, paths, _ = fill(tmp_path / "r", scene)
    with open(paths["report"], encoding="utf-8") as file:
        page = file.read()
    record = record_of(paths["report"])
    assert "GDAL" in record["summary"] and record["data"]["numbers"] == pytest.approx(result.numbers)
    for words in ("How good is the fill?", "Can the uncertainty be trusted?", "Before and after", scene):
        assert words in page
    assert page.count("data:image/png;base64,") >= 7  # bars, distance, calibration, two before and after each
    assert "http://" not in page and "https://" not in page  # it stands alone


# Real rasters


@pytest.mark.parametrize(
    "name", ["odd/odc-geo/au-gcp.tif", "odd/rasterio/RGBA.uint16.tif", "odd/rasterio/float_nan.tif", "odd/stars/lc.tif"]
)
def test_odd_rasters_go_through(tmp_path, name):
    source = data(name)
    result, paths, _ = fill(tmp_path / "r", source)
    with rasterio.open(source) as old, rasterio.open(paths["output"]) as new:
        kept = read(paths["filled"]) == 0
        count = len(kept)  # without alpha
        np.testing.assert_array_equal(new.read()[:count][kept], old.read()[:count][kept])
        assert new.gcps[0] == [] or len(new.gcps[0]) == len(old.gcps[0])
    assert result.numbers["PIXELS_LEFT"] == 0


def test_a_real_scene(tmp_path):
    """A piece of the New South Wales scene: real gaps, clouds and water that are masked too."""
    with rasterio.open(data("landsat/l7_slc_off_vpac_20100508.tif")) as file:
        window = rasterio.windows.Window(1000, 300, 300, 260)
        path = write(tmp_path / "in.tif", file.read(window=window), nodata=file.nodata)
    result, paths, _ = fill(tmp_path / "r", path)
    before, after = read(path), read(paths["output"])
    np.testing.assert_array_equal(after[before != -999], before[before != -999])
    assert result.numbers["PIXELS_LEFT"] == 0
    assert result.numbers["HELDOUT_RMSE"] < result.numbers["BASELINE_RMSE"]
    assert (after[read(paths["filled"]) > 0] != -999).all()


def test_nothing_of_this_machine_stands_in_the_file(tmp_path, scene):
    _, paths, _ = fill(tmp_path / "r", scene)
    with rasterio.open(copy(paths["output"], tmp_path / "again.tif")) as file:
        text = json.dumps(file.tags())
    assert str(tmp_path) not in text and str(ROOT) not in text
