"""Super-resolution keeps its promises: accord with what was observed, the same place on Earth, nothing spread."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import TRANSFORM, landscape, write
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.warp import calculate_default_transform, reproject

from dip_core import errors
from dip_core.events import Message
from dip_core.imaging.back_projection import back_project
from dip_core.imaging.degradation import bicubic_decimation
from dip_core.imaging.psf import enlarge_bicubic
from dip_core.job import Compute, Outputs, SuperResolveJob, from_json, to_json
from dip_core.raster import atomic
from dip_core.runtime.context import Context
from dip_core.superresolution import model_file
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.model_file import Card
from dip_core.tasks import superresolve


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def scene(bands=3, rows=40, columns=48):
    """A textured cube with edges, which bicubic interpolation alone blurs; float32 in about 20..230."""
    values = landscape(bands, rows, columns).astype(np.float32)
    values[:, rows // 3 : rows // 2, columns // 4 : columns // 2] += 60
    return values


FINER = TRANSFORM @ rasterio.Affine.scale(1 / 2)  # of the output at factor 2


def run(folder, source, method="fast", iterations=None, tile_size=0, overlap=0, seed=0, **choices):
    """Run a job; returns OUTPUT, UNCERTAINTY, FILLED, the numbers and what was said."""
    outputs = Outputs(
        *(str(folder / f"{name}.tif") for name in ("output", "uncertainty", "filled")),
        report=str(folder / "report.html"),
        metrics=str(folder / "metrics.csv"),
    )
    compute = Compute("cpu", seed, tile_size=tile_size, overlap=overlap, threads=1)
    job = SuperResolveJob(source, outputs, method=method, compute=compute, **choices)
    told = []
    try:
        result = superresolve.run(from_json(to_json(job)), Context(told.append), iterations)
        atomic.commit()
    finally:
        atomic.discard()
    layers = []
    for path in (outputs.output, outputs.uncertainty, outputs.filled):
        with rasterio.open(path) as file:
            layers.append(file.read())
    return (*layers, result.numbers, [event.text for event in told if isinstance(event, Message)])


def model(folder, bands, factor=2, scale=230.0, waves=None, name="m.safetensors"):
    """A cascade with random weights in a model file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Cascade(bands)
        for stage in network.stages:  # the layers behind the residuals start at 0
            torch.nn.init.normal_(stage[4].weight, std=0.01)
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    path = str(folder / name)
    model_file.write(path, tensors, Card(bands, factor, waves or (None,) * bands, scale))
    return path


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_result_made_coarse_again_is_the_input_and_better_than_bicubic(tmp_path, factor):
    fine = scene(2, 36 * factor // 2, 40 * factor // 2)
    fine = fine[:, : fine.shape[1] // factor * factor, : fine.shape[2] // factor * factor]
    coarse = bicubic_decimation(fine.shape[1:], factor).apply(fine).astype(np.float32)
    output, uncertainty, filled, numbers, said = run(tmp_path, write(tmp_path / "in.tif", coarse), factor=factor)
    assert output.shape == fine.shape and (filled == 1).all()
    again = bicubic_decimation(fine.shape[1:], factor).apply(output)
    assert np.sqrt(np.mean((again - coarse) ** 2)) < 1e-3 * coarse.std()
    error = np.sqrt(np.mean((output - fine) ** 2))
    assert error < np.sqrt(np.mean((enlarge_bicubic(coarse, factor) - fine) ** 2))
    assert numbers["HELDOUT_RMSE"] < numbers["BASELINE_RMSE"] and numbers["PIXELS_LEFT"] == 0
    assert numbers["PIXELS_CHANGED"] == fine[0].size
    # Learned one scale up, where this scene of smooth waves has more detail below a pixel than here.
    assert 0.3 < np.sqrt(np.mean(uncertainty**2)) / error < 4
    assert any("Consistency: " in text for text in said)
    with open(tmp_path / "metrics.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 and 0.55 < float(rows[0]["within_1sd"]) < 0.85  # calibrated where it was learned


def test_tiles_leave_no_seam_and_no_disagreement(tmp_path):
    coarse = scene(1, 100, 150)
    source = write(tmp_path / "in.tif", coarse)
    whole = run(tmp_path, source)[0]
    tiled = run(tmp_path, source, tile_size=64, overlap=16)[0]
    assert np.abs(whole - tiled).max() < 0.01 * coarse.std()
    again = bicubic_decimation(tiled.shape[1:], 2).apply(tiled)
    assert np.sqrt(np.mean((again - coarse) ** 2)) < 1e-3 * coarse.std()


def test_types_are_kept_and_rounding_is_all_that_disagrees(tmp_path):
    coarse = np.rint(0.6 * scene(1)).astype(np.uint8)
    output, *_ = run(tmp_path, write(tmp_path / "in.tif", coarse))
    assert output.dtype == np.uint8
    again = bicubic_decimation(output.shape[1:], 2).apply(output)
    assert np.abs(again - coarse).max() < 1.0


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_odd_sizes_and_georeference(tmp_path, factor):
    rotated = rasterio.Affine(20, 7, 4e5, 5, -21, 5e6)
    source = write(tmp_path / "in.tif", scene(2, 17, 23), transform=rotated)
    output, *_ = run(tmp_path, source, factor=factor)
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
        # The centre of coarse pixel 9.5 lies 10 pixels below the upper rim: 20 fine ones, which is fine centre 19.5.
        assert (file.rpcs.line_off, file.rpcs.samp_off) == (19.5, 9.5)
        assert (file.rpcs.line_scale, file.rpcs.samp_scale) == (20, 24)


def test_missing_pixels_stay_missing_and_spread_nothing(tmp_path):
    coarse = scene(2)
    hole = np.zeros(coarse.shape, bool)
    hole[:, 10:14, 20:26] = True
    hole[1, 30, 5] = True
    clean = run(tmp_path, write(tmp_path / "clean.tif", coarse))[0]
    source = write(tmp_path / "in.tif", np.where(hole, np.float32(-9999), coarse), nodata=-9999)
    output, uncertainty, filled, _, _ = run(tmp_path, source)
    missing = hole.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(output == -9999, missing)
    assert np.array_equal(filled == 0, missing) and np.array_equal(np.isnan(uncertainty), missing)
    assert output[~missing].min() > coarse.min() - 60
    # Away from the hole the result is as without it, but for what fewer pixels could teach.
    from scipy.ndimage import binary_dilation

    far = ~binary_dilation(missing, np.ones((1, 25, 25), bool))
    assert np.sqrt(np.mean((output - clean)[far] ** 2)) < 0.05 * coarse.std()


def test_bad_bands_are_repeated_and_metadata_kept(tmp_path):
    coarse = scene(3)
    coarse[1] = 5
    source = write(tmp_path / "in.tif", coarse, nodata=-1)
    with rasterio.open(source, "r+") as file:
        file.scales, file.offsets = (0.5, 0.5, 0.5), (1, 1, 1)
        for number, wave in enumerate((450, 550, 650), 1):
            file.update_tags(number, wavelength=str(wave), wavelength_units="nm")
            file.set_band_description(number, f"b{wave}")
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
    output, *_ = run(tmp_path, source)
    assert np.array_equal(output[3], pixels[3].repeat(2, axis=0).repeat(2, axis=1))


def test_cascade_tiles_are_the_whole_image(tmp_path):
    coarse = scene(2, 72, 80)
    source, path = write(tmp_path / "in.tif", coarse), model(tmp_path, 2)
    options = {"psf": "gaussian", "psf_sigma": 1.0, "model": path}
    whole = run(tmp_path, source, "paper_cascade", **options)[0]
    tiled = run(tmp_path, source, "paper_cascade", tile_size=64, overlap=8, **options)[0]
    assert np.abs(whole - tiled).max() < 0.01 * coarse.std()
    fast = run(tmp_path, source, "fast", psf="gaussian", psf_sigma=1.0)[0]
    assert np.abs(whole - fast).max() > 0.05 * coarse.std()  # the network did something


def test_models_that_do_not_fit_are_refused(tmp_path):
    source = write(tmp_path / "in.tif", scene(2, 20, 20))
    with pytest.raises(errors.ModelMismatch, match="enlarges 3 times"):
        run(tmp_path, source, "paper_cascade", model=model(tmp_path, 2, factor=3))
    with pytest.raises(errors.ModelMismatch, match="3 good bands are wanted"):
        run(tmp_path, source, "paper_cascade", model=model(tmp_path, 3))
    with pytest.raises(errors.InvalidJob, match="needs a MODEL"):
        run(tmp_path, source, "paper_cascade")
    assert not (tmp_path / "output.tif").exists()


@pytest.mark.parametrize("method", ["paper_2d", "deep_prior", "best"])
def test_networks_agree_with_the_input_and_repeat_themselves(tmp_path, method):
    coarse = scene(2, 17, 23)
    source = write(tmp_path / "in.tif", coarse)
    first = run(tmp_path, source, method, iterations=3, seed=5)[0]
    again = bicubic_decimation(first.shape[1:], 2).apply(first)
    assert np.sqrt(np.mean((again - coarse) ** 2)) < 1e-3 * coarse.std()
    bytes_ = (tmp_path / "output.tif").read_bytes()
    run(tmp_path, source, method, iterations=3, seed=5)
    assert (tmp_path / "output.tif").read_bytes() == bytes_


def test_3d_takes_two_bands_and_says_why_not_one(tmp_path):
    with pytest.raises(errors.InvalidJob, match="at least 2 of them; this raster has 1"):
        run(tmp_path, write(tmp_path / "one.tif", scene(1, 16, 16)), "paper_3d", iterations=1)
    output, *_ = run(tmp_path, write(tmp_path / "two.tif", scene(2, 16, 16)), "paper_3d", iterations=1)
    assert output.shape == (2, 32, 32) and np.isfinite(output).all()


def test_best_is_no_worse_than_its_parts_where_it_was_chosen(tmp_path):
    source = write(tmp_path / "in.tif", scene(2, 32, 32))
    run(tmp_path, source, "best", iterations=20)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    record = json.loads(page.split('id="deep-prior-report">')[1].split("</script>")[0])
    scores = record["data"]["scores"]
    assert scores["mixture"] <= min(scores[name] for name in record["data"]["shares"]) + 1e-9
    assert sum(record["data"]["shares"].values()) == pytest.approx(1)


def test_too_small_to_validate_is_said_and_still_enlarged(tmp_path):
    output, uncertainty, _, numbers, said = run(tmp_path, write(tmp_path / "in.tif", scene(1, 5, 6)))
    assert output.shape == (1, 10, 12) and np.isfinite(output).all() and np.isnan(uncertainty).all()
    assert numbers["HELDOUT_RMSE"] is None and any("not validated" in text for text in said)


def test_output_larger_than_the_disk_is_refused_with_the_figure(tmp_path, monkeypatch):
    source = write(tmp_path / "in.tif", scene(1))
    seen = []

    def check_disk_space(target, wanted):
        seen.append(wanted)
        raise errors.DiskFull(path=target, reason=f"0 MB free, about {wanted / 1e6:.0f} MB needed")

    monkeypatch.setattr(atomic, "check_disk_space", check_disk_space)
    with pytest.raises(errors.DiskFull, match="MB needed"):
        run(tmp_path, source, factor=4)
    assert seen[0] == 40 * 48 * 16 * (4 + 4) // 2  # half of the raw sizes of output and uncertainty


def test_parameters_are_checked():
    for choices, words in (
        ({"factor": 5}, "FACTOR is 5"),
        ({"psf": "box"}, "PSF 'box' is unknown"),
        ({"psf_sigma": 0.0}, "PSF_SIGMA is 0.0"),
        ({"method": "wonder"}, "METHOD 'wonder' is unknown"),
    ):
        with pytest.raises(errors.InvalidJob, match=words):
            SuperResolveJob("a.tif", Outputs("b.tif"), **choices)


def test_optics_that_cannot_have_made_the_raster_are_told_and_do_no_harm(tmp_path):
    coarse = scene(1)
    output, *_, said = run(tmp_path, write(tmp_path / "in.tif", coarse), psf="gaussian", psf_sigma=4.0)
    assert any("does not fit this raster" in text for text in said)
    assert output.min() >= coarse.min() - np.ptp(coarse) and output.max() <= coarse.max() + np.ptp(coarse)


def test_time_budget_stops_networks(tmp_path):
    source = write(tmp_path / "in.tif", scene(1, 20, 20))
    outputs = Outputs(str(tmp_path / "output.tif"))
    job = SuperResolveJob(source, outputs, method="deep_prior", compute=Compute("cpu", time_budget=1.0, threads=1))
    context = Context(time_budget=1.0)
    superresolve.run(job, context, 10_000)
    atomic.commit()
    assert context.seconds_spent < 60  # ten thousand iterations take many minutes
    assert (tmp_path / "output.tif").exists()


def test_tiles_that_the_time_budget_leaves_no_time_for_are_interpolated_and_counted(tmp_path):
    coarse = scene(2, 70, 130)
    outputs = Outputs(str(tmp_path / "output.tif"), report=str(tmp_path / "report.html"))
    compute = Compute("cpu", time_budget=1.0, tile_size=64, threads=1)
    job = SuperResolveJob(write(tmp_path / "in.tif", coarse), outputs, method="deep_prior", compute=compute)
    context = Context(time_budget=1.0)
    context._start -= 2  # all was spent on what came before
    superresolve.run(job, context)
    atomic.commit()
    left = [text for text in context.warnings if "of 6 tiles" in text]
    assert len(left) == 1 and "fitted to 6 of 6 tiles" in left[0]
    assert any("before the network could be validated" in text for text in context.warnings)
    assert left[0] in (tmp_path / "report.html").read_text(encoding="utf-8")
    with rasterio.open(outputs.output) as file:
        output = file.read()
    operator = bicubic_decimation(output.shape[1:], 2)
    plain = back_project(enlarge_bicubic(coarse, 2), coarse, np.ones(coarse.shape, bool), operator)
    assert np.abs(output - plain).max() < 0.01 * coarse.std()


# The guide


@pytest.fixture(scope="module")
def place():
    """A fine image of 3 bands with detail that no enlargement can know, and its coarse copy."""
    fine = scene(3, 96, 120)
    fine += (12 * np.random.default_rng(5).normal(size=fine.shape[1:])).astype(np.float32)
    return fine, bicubic_decimation(fine.shape[1:], 2).apply(fine).astype(np.float32)


def rmse(image, fine, where=slice(None)):
    return float(np.sqrt(np.mean((image - fine)[:, where] ** 2)))


def share_of_the_guide(folder):
    with rasterio.open(folder / "output.tif") as file:
        return json.loads(file.tags()["DEEP_PRIOR"])["shares"].get("guided", 0.0)


def test_a_panchromatic_guide_helps_and_is_named(tmp_path, place):
    fine, coarse = place
    source = write(tmp_path / "in.tif", coarse)
    guide = write(tmp_path / "pan.tif", 3000 + 7 * fine.mean(axis=0, keepdims=True), transform=FINER)
    plain = run(tmp_path, source)
    assert share_of_the_guide(tmp_path) == 0
    output, _, _, numbers, said = run(tmp_path, source, guide=guide)
    assert rmse(output, fine) < 0.5 * rmse(plain[0], fine)
    assert numbers["HELDOUT_RMSE"] < 0.5 * plain[3]["HELDOUT_RMSE"]
    assert np.sqrt(np.mean((bicubic_decimation(output.shape[1:], 2).apply(output) - coarse) ** 2)) < 1e-3 * coarse.std()
    assert share_of_the_guide(tmp_path) > 0.8 and any("The guide's share of the result is" in text for text in said)
    with rasterio.open(tmp_path / "output.tif") as file:
        assert json.loads(file.tags()["DEEP_PRIOR"])["guide"] == guide
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Weight of the guide" in page and "pan.tif" in page


@pytest.mark.parametrize("bands", [1, 4])
def test_a_guide_that_shows_something_else_gets_no_weight(tmp_path, place, bands):
    source = write(tmp_path / "in.tif", place[1])
    noise = np.random.default_rng(1).normal(900, 50, (bands, 96, 120)).astype(np.float32)
    plain = run(tmp_path, source)[0]
    output, *_, said = run(tmp_path, source, guide=write(tmp_path / "g.tif", noise, transform=FINER))
    assert share_of_the_guide(tmp_path) == 0 and np.array_equal(output, plain)
    assert any("does not help" in text for text in said)


def test_a_guide_in_another_crs_that_covers_a_part(tmp_path, place):
    fine, coarse = place
    source = write(tmp_path / "in.tif", coarse)
    west = fine.mean(axis=0, keepdims=True)[:, :, :64].repeat(3, axis=1).repeat(3, axis=2)
    bounds = rasterio.transform.array_bounds(96, 64, FINER)
    turned, width, height = calculate_default_transform("EPSG:32633", "EPSG:4326", 192, 288, *bounds)
    warped = np.zeros((1, height, width), np.float32)
    there = FINER @ rasterio.Affine.scale(1 / 3)
    kinds = {"src_crs": "EPSG:32633", "dst_crs": "EPSG:4326", "resampling": Resampling.bilinear}
    reproject(west, warped, src_transform=there, dst_transform=turned, dst_nodata=0, **kinds)
    guide = write(tmp_path / "g.tif", warped, crs="EPSG:4326", transform=turned, nodata=0)
    plain = run(tmp_path, source)[0]
    output, *_ = run(tmp_path, source, guide=guide)
    inside, outside = np.zeros((2, 96, 120), bool)
    inside[6:-6, 6:48], outside[:, 80:] = True, True
    assert rmse(output, fine, inside) < 0.75 * rmse(plain, fine, inside)
    assert rmse(output, fine, outside) < 1.02 * rmse(plain, fine, outside)


def test_clouds_in_the_guide_stay_there(tmp_path, place):
    fine, coarse = place
    source = write(tmp_path / "in.tif", coarse)
    pan = fine.mean(axis=0, keepdims=True)
    pan[:, 20:50, 30:70] = 900 + 40 * np.random.default_rng(2).normal(size=(1, 30, 40))
    cloud, clear = np.zeros((2, 96, 120), bool)
    cloud[20:50, 30:70], clear[:, 90:] = True, True
    plain = run(tmp_path, source)[0]
    output, *_ = run(tmp_path, source, guide=write(tmp_path / "g.tif", pan, transform=FINER))
    assert rmse(output, fine, clear) < 0.6 * rmse(plain, fine, clear)
    assert rmse(output, fine, cloud) < 1.1 * rmse(plain, fine, cloud)


def test_guides_without_detail_or_use_are_told(tmp_path, place):
    fine, coarse = place
    source = write(tmp_path / "in.tif", coarse)
    pan = fine.mean(axis=0, keepdims=True)
    away = write(tmp_path / "away.tif", pan, transform=FINER @ rasterio.Affine.translation(5000, 0))
    same = write(tmp_path / "same.tif", coarse[:1], transform=TRANSFORM)
    good = write(tmp_path / "good.tif", pan, transform=FINER)
    for guide, method, words in (
        (away, "fast", "does not overlap"),
        (same, "fast", "is not finer than INPUT"),
        (good, "deep_prior", "METHOD deep_prior uses no guide"),
    ):
        assert any(words in text for text in run(tmp_path, source, method, 1, guide=guide)[-1])
        assert share_of_the_guide(tmp_path) == 0
    # Finer than the input, coarser than the output at factor 4: it is used, as far as it goes.
    said = run(tmp_path, source, factor=4, guide=good)[-1]
    assert any("coarser than the output (2.0 of its pixels)" in text for text in said) and share_of_the_guide(tmp_path)
    with pytest.raises(errors.UnreadableRaster, match="no such file"):
        run(tmp_path, source, guide=str(tmp_path / "none.tif"))
    with pytest.raises(errors.InvalidJob, match="would overwrite"):
        run(tmp_path, source, guide=str(tmp_path / "output.tif"))


def test_tiles_with_a_guide_leave_no_seam(tmp_path, place):
    fine, coarse = place
    source = write(tmp_path / "in.tif", np.concatenate([coarse, coarse[:, :, ::-1]], axis=2))
    pan = fine.mean(axis=0, keepdims=True)
    guide = write(tmp_path / "g.tif", np.concatenate([pan, pan[:, :, ::-1]], axis=2), transform=FINER)
    whole = run(tmp_path, source, guide=guide)[0]
    tiled = run(tmp_path, source, guide=guide, tile_size=64, overlap=16)[0]
    assert share_of_the_guide(tmp_path) > 0.8 and np.abs(whole - tiled).max() < 0.01 * coarse.std()
