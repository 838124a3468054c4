"""A super-resolution job: consistency with the input, georeference, metadata, and missing pixels."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import write
from fine_scenes import scene
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from scipy.ndimage import binary_dilation
from superresolve_jobs import run

from dip_core import errors
from dip_core.imaging.degradation import bicubic_decimation
from dip_core.imaging.psf import enlarge_bicubic
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import SuperResolveJob


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_result_is_consistent_and_better_than_bicubic(tmp_path, factor):
    fine = scene(2, 36 * factor // 2, 40 * factor // 2)
    fine = fine[:, : fine.shape[1] // factor * factor, : fine.shape[2] // factor * factor]
    coarse = bicubic_decimation(fine.shape[1:], factor).apply(fine).astype(np.float32)
    output, uncertainty, filled, numbers, messages = run(
        tmp_path, write(tmp_path / "in.tif", coarse), report=True, factor=factor
    )
    assert output.shape == fine.shape and (filled == 1).all()
    downsampled = bicubic_decimation(fine.shape[1:], factor).apply(output)
    assert np.sqrt(np.mean((downsampled - coarse) ** 2)) < 1e-3 * coarse.std()
    error = np.sqrt(np.mean((output - fine) ** 2))
    assert error < np.sqrt(np.mean((enlarge_bicubic(coarse, factor) - fine) ** 2))
    assert numbers["HELDOUT_RMSE"] < numbers["BASELINE_RMSE"] and numbers["PIXELS_LEFT"] == 0
    assert numbers["PIXELS_CHANGED"] == fine[0].size
    # Validated one scale up, where this scene of smooth waves has more detail below a pixel than here.
    assert 0.3 < np.sqrt(np.mean(uncertainty**2)) / error < 4
    assert any("Consistency: the downsampled result differs from the input by" in text for text in messages)
    with open(tmp_path / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and 0.55 < float(rows[0]["within_1sd"]) < 0.85  # calibrated where it was fitted
    assert (tmp_path / "report.html").stat().st_size > 0


def test_tiles_leave_no_seam_and_are_consistent(tmp_path):
    coarse = scene(1, 80, 110)
    source = write(tmp_path / "in.tif", coarse)
    whole = run(tmp_path, source).output
    tiled = run(tmp_path, source, tile_size=64, overlap=16).output
    assert np.abs(whole - tiled).max() < 0.01 * coarse.std()
    downsampled = bicubic_decimation(tiled.shape[1:], 2).apply(tiled)
    assert np.sqrt(np.mean((downsampled - coarse) ** 2)) < 1e-3 * coarse.std()


def test_the_data_type_is_kept_and_only_rounding_is_inconsistent(tmp_path):
    coarse = np.rint(0.6 * scene(1)).astype(np.uint8)
    output = run(tmp_path, write(tmp_path / "in.tif", coarse)).output
    assert output.dtype == np.uint8
    downsampled = bicubic_decimation(output.shape[1:], 2).apply(output)
    assert np.abs(downsampled - coarse).max() < 1.0


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_odd_sizes_and_georeference(tmp_path, factor):
    rotated = rasterio.Affine(20, 7, 4e5, 5, -21, 5e6)
    source = write(tmp_path / "in.tif", scene(2, 17, 23), transform=rotated)
    output = run(tmp_path, source, factor=factor).output
    assert output.shape == (2, 17 * factor, 23 * factor)
    with rasterio.open(tmp_path / "output.tif") as file:
        assert file.crs == "EPSG:32633"
        for column, row in ((0, 0), (23, 17), (5, 11)):
            found = rasterio.transform.xy(file.transform, row * factor, column * factor, offset="ul")
            assert found == pytest.approx(rasterio.transform.xy(rotated, row, column, offset="ul"))


def test_gcps_and_rpcs_point_to_the_same_places(tmp_path):
    source = write(tmp_path / "in.tif", scene(1, 20, 20), crs=None, transform=rasterio.Affine.identity())
    points = [GroundControlPoint(r, c, 10 + c, 50 - r, 7.0, id=f"{r}{c}") for r, c in ((0, 0), (20, 0), (3, 15))]
    terms = [1.0] * 20
    rpcs = RPC(
        height_off=0,
        height_scale=1,
        lat_off=50,
        lat_scale=1,
        long_off=10,
        long_scale=1,
        line_den_coeff=terms,
        line_num_coeff=terms,
        samp_den_coeff=terms,
        samp_num_coeff=terms,
        line_off=9.5,
        line_scale=10,
        samp_off=4.5,
        samp_scale=12,
    )
    with rasterio.open(source, "r+") as file:
        file.gcps = (points, "EPSG:4326")
        file.rpcs = rpcs
    run(tmp_path, source)
    with rasterio.open(tmp_path / "output.tif") as file:
        found, crs = file.gcps
        assert crs == "EPSG:4326"
        assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [(2 * p.row, 2 * p.col, p.x, p.y, p.z) for p in points]
        # Coarse pixel centre 9.5 is 10 pixels below the upper edge, so 20 fine ones: fine pixel centre 19.5.
        assert (file.rpcs.line_off, file.rpcs.samp_off) == (19.5, 9.5)
        assert (file.rpcs.line_scale, file.rpcs.samp_scale) == (20, 24)


def test_missing_pixels_stay_missing_and_have_a_limited_reach(tmp_path):
    coarse = scene(2)
    hole = np.zeros(coarse.shape, bool)
    hole[:, 10:14, 20:26] = True
    hole[1, 30, 5] = True
    clean = run(tmp_path, write(tmp_path / "clean.tif", coarse)).output
    source = write(tmp_path / "in.tif", np.where(hole, np.float32(-9999), coarse), nodata=-9999)
    output, uncertainty, filled, _, _ = run(tmp_path, source)
    missing = hole.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(output == -9999, missing)
    assert np.array_equal(filled == 0, missing) and np.array_equal(np.isnan(uncertainty), missing)
    assert output[~missing].min() > coarse.min() - 60
    # Away from the hole, only the statistics of fewer pixels change the result.
    far = ~binary_dilation(missing, np.ones((1, 25, 25), bool))
    assert np.sqrt(np.mean((output - clean)[far] ** 2)) < 0.05 * coarse.std()


def test_bad_bands_are_repeated_and_metadata_kept(tmp_path):
    coarse = scene(3)
    coarse[1] = 5
    source = write(tmp_path / "in.tif", coarse, nodata=-1)
    with rasterio.open(source, "r+") as file:
        file.scales, file.offsets = (0.5, 0.5, 0.5), (1, 1, 1)
        for number, wavelength in enumerate((450, 550, 650), 1):
            file.update_tags(number, wavelength=str(wavelength), wavelength_units="nm")
            file.set_band_description(number, f"b{wavelength}")
        file.update_tags(2, bbl="0")
    output, _, filled, _, _ = run(tmp_path, source)
    assert np.array_equal(output[1], coarse[1].repeat(2, axis=0).repeat(2, axis=1)) and not filled[1].any()
    with rasterio.open(tmp_path / "output.tif") as file:
        assert file.nodata == -1 and file.scales == (0.5, 0.5, 0.5) and file.offsets == (1, 1, 1)
        assert file.descriptions == ("b450", "b550", "b650")
        assert file.tags(3)["wavelength"] == "650"
        assert '"factor": 2' in file.tags()["DEEP_PRIOR"]


def test_alpha_follows_the_grid(tmp_path):
    pixels = np.concatenate([scene(3), np.full((1, 40, 48), 255)]).astype(np.uint8)
    pixels[3, :5] = 0
    source = write(tmp_path / "in.tif", pixels, photometric="RGB", alpha="yes")
    output = run(tmp_path, source).output
    assert np.array_equal(output[3], pixels[3].repeat(2, axis=0).repeat(2, axis=1))


def test_an_image_too_small_to_validate_is_enlarged_with_a_warning(tmp_path):
    output, uncertainty, _, numbers, messages = run(tmp_path, write(tmp_path / "in.tif", scene(1, 5, 6)))
    assert output.shape == (1, 10, 12) and np.isfinite(output).all() and np.isnan(uncertainty).all()
    assert numbers["HELDOUT_RMSE"] is None and any("not validated" in text for text in messages)


def test_a_wrong_point_spread_function_causes_a_warning_and_no_wild_values(tmp_path):
    coarse = scene(1)
    output, *_, messages = run(tmp_path, write(tmp_path / "in.tif", coarse), psf="gaussian", psf_sigma=4.0)
    assert any("does not fit this raster" in text for text in messages)
    assert output.min() >= coarse.min() - np.ptp(coarse) and output.max() <= coarse.max() + np.ptp(coarse)


def test_an_output_larger_than_the_disk_is_rejected(tmp_path, monkeypatch):
    source = write(tmp_path / "in.tif", scene(1))
    checked = []

    def check_disk_space(target, needed):
        checked.append(needed)
        raise errors.DiskFull(path=target, reason=f"0 MB free, about {needed / 1e6:.0f} MB needed")

    monkeypatch.setattr(atomic, "check_disk_space", check_disk_space)
    with pytest.raises(errors.DiskFull, match="MB needed"):
        run(tmp_path, source, factor=4)
    assert checked[0] == 40 * 48 * 16 * (4 + 4) // 2  # half of the raw sizes of output and uncertainty


def test_parameters_are_checked():
    for choices, words in (
        ({"factor": 5}, "FACTOR is 5"),
        ({"psf": "box"}, "PSF 'box' is unknown"),
        ({"psf_sigma": 0.0}, "PSF_SIGMA is 0.0"),
        ({"method": "wonder"}, "METHOD 'wonder' is unknown"),
    ):
        with pytest.raises(errors.InvalidJob, match=words):
            SuperResolveJob("a.tif", Outputs("b.tif"), **choices)
