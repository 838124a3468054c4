"""A denoising job: outputs, metadata, tiles, and what is rejected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, add_noise, material_cube, read, table, write
from noisy_spectra import rmse

from dip_core import job
from dip_core.errors import InvalidJob, NoUsableBand
from dip_core.events import Message
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import DenoiseJob
from dip_core.runtime.context import Context
from dip_core.tasks import denoise

RASTERS = {"output": "o.tif", "uncertainty": "u.tif", "filled": "f.tif"}
ALL_OUTPUTS = {**RASTERS, "report": "r.html", "metrics": "m.csv"}


def run(tmp_path, source, context=None, names=RASTERS, **options):
    """Run a denoising job; returns the result and the paths of the outputs ``names``."""
    compute = {name: options.pop(name) for name in list(options) if name in Compute.__dataclass_fields__}
    paths = {name: str(tmp_path / file) for name, file in names.items()}
    options.setdefault("method", "fast")
    try:
        result = denoise.run(
            DenoiseJob(str(source), Outputs(**paths), compute=Compute(**compute), **options),
            context or Context(),
        )
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    return result, paths


@pytest.fixture
def scene(tmp_path):
    """A raster of 24 bands with nodata, a bad band, an empty one and wavelengths; its path and the clean cube."""
    clean = material_cube(24) * 4000 + 500
    values = np.rint(add_noise(clean, 200.0)).astype(np.int16)
    values[:, :8, :20] = -999
    values[3, 30:34, 30:40] = -999
    values[7] = -999
    path = write(tmp_path / "scene.tif", values, nodata=-999)
    with rasterio.open(path, "r+") as file:
        file.scales = (0.0001,) * 24
        for band in range(1, 25):
            file.update_tags(
                band, wavelength=str(400 + 10 * band), wavelength_units="nm", bbl="0" if band == 5 else "1"
            )
    return path, clean, values


def test_bad_bands_and_unobserved_pixels_come_back_bit_for_bit(tmp_path, scene):
    path, clean, values = scene
    result, paths = run(tmp_path, path)
    output, filled = read(paths["output"]), read(paths["filled"])
    untouched = values == -999
    untouched[4] = True
    np.testing.assert_array_equal(output[untouched], values[untouched])
    np.testing.assert_array_equal(filled == 0, untouched)
    assert not (output[~untouched] == -999).any()
    good = ~untouched
    assert rmse(output[good], clean[good]) < 0.5 * 200
    assert result.numbers["PIXELS_CHANGED"] == 64 * 72 - 8 * 20 and result.numbers["PIXELS_LEFT"] == 0
    assert result.numbers["HELDOUT_RMSE"] < result.numbers["BASELINE_RMSE"]
    assert 0.9 < result.numbers["HELDOUT_R2"] <= 1
    deviation = read(paths["uncertainty"])
    assert np.isnan(deviation[untouched]).all() and (deviation[good] > 0).all()


def test_metadata_provenance_and_report(tmp_path, scene):
    path, _, _ = scene
    _, paths = run(tmp_path, path, names=ALL_OUTPUTS, seed=3)
    with rasterio.open(paths["output"]) as file:
        assert file.dtypes[0] == "int16" and file.nodata == -999 and file.transform == TRANSFORM
        assert file.scales[0] == 0.0001 and file.tags(6)["wavelength"] == "460"
        made = json.loads(file.tags()["DEEP_PRIOR"])
    assert made["task"] == "denoise" and made["method"] == "fast" and made["seed"] == 3 and made["rank"] >= 1
    rows = table(paths["metrics"])
    assert [row["passed_through"] for row in rows if row["passed_through"]] == ["flagged bad", "no observed pixel"]
    levels = [float(row["sigma"]) for row in rows if row["sigma"]]
    np.testing.assert_allclose(levels, 200, rtol=0.15)
    page = Path(paths["report"]).read_text(encoding="utf-8")
    assert "Noise and subspace" in page and "principal components" in page


def test_same_seed_same_file_and_tiles_leave_no_seam(tmp_path):
    clean = material_cube(20, 66, 96) * 100
    path = write(tmp_path / "scene.tif", add_noise(clean, 10.0).astype(np.float32))
    for name in "abc":
        (tmp_path / name).mkdir()
    whole = read(run(tmp_path / "a", path)[1]["output"])
    np.testing.assert_array_equal(whole, read(run(tmp_path / "b", path)[1]["output"]))
    tiled = read(run(tmp_path / "c", path, tile_size=80, overlap=32)[1]["output"])
    # All tiles share noise level and subspace; they differ only by the pixels that their search windows contain.
    assert rmse(tiled, whole) < 0.25 * rmse(whole, clean)


def test_without_nodata_pixels_of_zero_in_all_bands_are_fill(tmp_path):
    values = (add_noise(material_cube(20), 0.05) * 1000 + 500).astype(np.uint16)
    values[:, :10] = 0
    path = write(tmp_path / "scene.tif", values)
    result, paths = run(tmp_path, path)
    assert (read(paths["output"])[:, :10] == 0).all()
    assert result.numbers["PIXELS_CHANGED"] == 54 * 72


def test_with_nan_for_missing_pixels_zeros_are_data(tmp_path):
    values = add_noise(material_cube(20), 0.05).astype(np.float32)
    values[:, :10] = np.nan
    values[:, 40:44, 20:40] = 0
    result, paths = run(tmp_path, write(tmp_path / "scene.tif", values))
    output = read(paths["output"])
    assert np.array_equal(np.isnan(output), np.isnan(values))
    assert result.numbers["PIXELS_CHANGED"] == 54 * 72 and read(paths["filled"])[:, 40:44, 20:40].all()


def test_the_log_names_the_components_and_skipped_denoisers(tmp_path):
    events = []
    values = add_noise(material_cube(2, 66, 66), 0.4).clip(0, 1).astype(np.float32)
    run(tmp_path, write(tmp_path / "scene.tif", values), Context(events.append), method="best")
    texts = [event.text for event in events if isinstance(event, Message)]
    assert any("spectral components contain signal" in text for text in texts)
    assert any("Deep prior skipped: slow, little gain. METHOD deep_prior runs it." in text for text in texts)
    assert any("2 bands contain clipped values" in text for text in texts)


def test_a_scene_without_usable_bands_is_rejected(tmp_path):
    path = write(tmp_path / "flat.tif", np.full((2, 20, 20), 7, np.uint8))
    with pytest.raises(NoUsableBand, match=r"^No band of .*empty or constant"):
        run(tmp_path, path)


@pytest.mark.parametrize("shape", [(200, 1), (1, 200), (2, 150), (150, 2)])
def test_a_narrow_scene_is_denoised(tmp_path, shape):
    values = add_noise(material_cube(3, *shape), 0.05).astype(np.float32)
    result, paths = run(tmp_path, write(tmp_path / "strip.tif", values))
    assert read(paths["output"]).shape == values.shape
    assert result.numbers["PIXELS_CHANGED"] == shape[0] * shape[1]


@pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"sigma": -1.0}, {"method": "magic"}, {"input": ""}])
def test_wrong_parameters_are_rejected(wrong):
    with pytest.raises(InvalidJob):
        DenoiseJob(**{"input": "a.tif", "outputs": Outputs(output="b.tif"), **wrong})


def test_the_3d_network_needs_two_bands(tmp_path):
    source = write(tmp_path / "one.tif", add_noise(material_cube(1), 0.1).astype(np.float32))
    denoise_job = DenoiseJob(source, Outputs(output=str(tmp_path / "out.tif")), method="paper_3d")
    with pytest.raises(InvalidJob, match="at least 2 of them"):
        denoise.run(denoise_job, Context())
    assert not (tmp_path / "out.tif").exists()


def test_job_survives_json():
    denoise_job = DenoiseJob("a.tif", Outputs(output="b.tif"), sigma=2.5, compute=Compute(seed=4))
    assert job.from_json(job.to_json(denoise_job)) == denoise_job


def test_derived_bands_are_reported_and_written_with_their_own_mask(tmp_path):
    clean = material_cube(24) * 4000 + 500
    values = np.rint(add_noise(clean, 200.0)).astype(np.int16)
    values[9], clean[9] = values[4], clean[4]
    values[9, 3:9, 5:11] = -999
    path = write(tmp_path / "scene.tif", values, nodata=-999)
    events = []
    result, paths = run(tmp_path, path, Context(events.append), ALL_OUTPUTS)
    output, deviation = read(paths["output"]), read(paths["uncertainty"])
    seen = values[9] != -999
    np.testing.assert_array_equal(output[9][seen], output[4][seen])
    np.testing.assert_array_equal(output[9] == -999, ~seen)
    np.testing.assert_allclose(deviation[9][seen], deviation[4][seen])
    assert rmse(output[9][seen], clean[9][seen]) < 0.5 * 200
    assert any("Band 10 (of Band 5)" in event.text for event in events if isinstance(event, Message))
    rows = table(paths["metrics"])
    assert float(rows[9]["sigma"]) == pytest.approx(float(rows[4]["sigma"]), rel=1e-12)  # the last digit may differ
    assert rows[9]["rmse"] == rows[4]["rmse"]
    assert result.numbers["PIXELS_LEFT"] == 0
