"""The real qgis_process with the real worker: results, exit codes and errors."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from qgis_helpers import error_sentence, file_names, read_pixels, run_qgis_process

pytestmark = [pytest.mark.qgis, pytest.mark.usefixtures("real_engine")]


def test_gap_filling_with_all_outputs(scene, scene_with_gaps, tmp_path):
    outputs = {"OUTPUT": "o.tif", "UNCERTAINTY": "u.tif", "FILLED": "f.tif", "REPORT": "r.html", "METRICS": "m.csv"}
    done = run_qgis_process("deepprior:gapfillslcoff", tmp_path, "--json", INPUT=scene, METHOD="fast", **outputs)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    gaps = scene_with_gaps == 0
    filled = read_pixels(tmp_path / "o.tif")
    assert (filled[~gaps] == scene_with_gaps[~gaps]).all()  # observed pixels are returned bit for bit
    assert (filled[gaps] > 0).all()
    assert results["PIXELS_LEFT"] == 0 and results["PIXELS_CHANGED"] == gaps[0].sum()
    assert 0 < results["HELDOUT_RMSE"] < results["BASELINE_RMSE"]  # the scene is smooth
    changed = read_pixels(tmp_path / "f.tif")
    assert ((changed if changed.ndim == 2 else changed[0]) == gaps[0]).all()
    assert read_pixels(tmp_path / "u.tif").shape == filled.shape
    assert "<html" in (tmp_path / "r.html").read_text()
    assert len((tmp_path / "m.csv").read_text().splitlines()) >= 4  # a header and three bands
    assert file_names(tmp_path) == ["f.tif", "m.csv", "o.tif", "r.html", "scene.tif", "u.tif"]


def test_bands_and_masks_as_delivered_for_landsat(make_raster, scene_with_gaps, tmp_path):
    """One file per band, one gzipped mask per band with 0 for gaps, and no nodata value."""
    masks = []
    for number, band in enumerate(scene_with_gaps, 1):
        make_raster(tmp_path / f"B{number}.TIF", band[None], None)
        mask = make_raster(tmp_path / f"GM_B{number}.TIF", (band[None] > 0).astype("u1"), None)
        Path(mask + ".gz").write_bytes(gzip.compress(Path(mask).read_bytes()))
        os.remove(mask)
        masks.append(f"GM_B{number}.TIF.gz")
    parameters = {"INPUT": "B1.TIF", "BANDS": ["B2.TIF", "B3.TIF"], "GAP_MASK": masks, "METHOD": "fast"}
    done = run_qgis_process("deepprior:gapfillslcoff", tmp_path, OUTPUT="o.tif", **parameters)
    assert done.returncode == 0, done.stdout + done.stderr
    filled = read_pixels(tmp_path / "o.tif")
    assert filled.shape == scene_with_gaps.shape
    observed = scene_with_gaps > 0
    assert (filled[observed] == scene_with_gaps[observed]).all() and (filled > 0).all()


def test_scene_without_gaps_is_returned_unchanged(make_raster, whole_scene, tmp_path):
    make_raster(tmp_path / "whole.tif", whole_scene)
    done = run_qgis_process("deepprior:gapfillslcoff", tmp_path, "--json", INPUT="whole.tif", OUTPUT="o.tif")
    assert done.returncode == 0, done.stderr
    assert (read_pixels(tmp_path / "o.tif") == whole_scene).all()
    assert json.loads(done.stdout)["results"]["PIXELS_CHANGED"] == 0


def test_simulation_and_assessment(make_raster, whole_scene, tmp_path):
    make_raster(tmp_path / "whole.tif", whole_scene)
    parameters = {"INPUT": "whole.tif", "PERCENTAGE": 20, "OUTPUT": "g.tif", "MASK": "m.tif"}
    done = run_qgis_process("deepprior:simulategaps", tmp_path, **parameters)
    assert done.returncode == 0, done.stderr
    mask = read_pixels(tmp_path / "m.tif")
    assert 0.15 < (mask == 0).mean() < 0.25
    assert ((read_pixels(tmp_path / "g.tif") != whole_scene) == (mask == 0)).all()

    noisy = (whole_scene.astype(int) + 3).clip(0, 255).astype("u1")
    make_raster(tmp_path / "noisy.tif", noisy)
    rasters = {"RESTORED": "noisy.tif", "REFERENCE": "whole.tif"}
    done = run_qgis_process("deepprior:assessrestoration", tmp_path, "--json", **rasters)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)["results"]
    difference = noisy.astype(float) - whole_scene
    assert numbers["BIAS"] == pytest.approx(difference.mean(), rel=1e-3)
    assert numbers["RMSE"] == pytest.approx(np.sqrt((difference**2).mean()), rel=0.02)


@pytest.fixture
def bad_files(make_raster, scene_with_gaps, tmp_path):
    make_raster(tmp_path / "small.tif", (scene_with_gaps[:1, :50, :50] > 0).astype("u1"), None)
    make_raster(tmp_path / "empty.tif", np.zeros_like(scene_with_gaps))
    data = Path(make_raster(tmp_path / "cut.tif", scene_with_gaps)).read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) // 3])
    (tmp_path / "text.tif").write_text("not a raster")
    (tmp_path / "file").write_text("")


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"INPUT": "text.tif"}, "'text.tif' is not a raster"),  # found by QGIS
        ({"INPUT": "cut.tif"}, "Cannot read the raster"),  # by the worker, then by QGIS's own GDAL
        ({"DEVICE": "cuda:7", "METHOD": "deep_prior"}, "Device 'cuda:7' is not available"),  # by the worker
    ],
)
def test_an_error_is_one_sentence_and_exit_code_1(scene, bad_files, tmp_path, parameters, words):
    before = file_names(tmp_path)
    parameters = {"INPUT": scene, "OUTPUT": "o.tif", "METHOD": "fast", **parameters}
    done = run_qgis_process("deepprior:gapfillslcoff", tmp_path, **parameters)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert file_names(tmp_path) == before


def test_errors_of_the_worker_leave_no_file(provider, scene, bad_files, tmp_path, monkeypatch):
    """The same without qgis_process, which takes seconds to start."""
    from qgis import processing

    monkeypatch.chdir(tmp_path)
    before = file_names(tmp_path)
    for parameters, words in (
        ({"INPUT": "empty.tif"}, "no observed pixel"),
        ({"GAP_MASK": ["small.tif"]}, "does not lie on the grid"),
        ({"OUTPUT": "no/such/folder/o.tif"}, "Cannot write"),
        ({"OUTPUT": "file/o.tif"}, "Cannot write"),
    ):
        parameters = {"INPUT": scene, "OUTPUT": "o.tif", "METHOD": "fast", **parameters}
        assert words in error_sentence(processing.run, "deepprior:gapfillslcoff", parameters)
        assert file_names(tmp_path) == before


def test_python_without_the_libraries(scene, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", "/usr/bin/python3")  # QGIS's own, which has no torch
    done = run_qgis_process("deepprior:gapfillslcoff", tmp_path, INPUT=scene, OUTPUT="o.tif")
    assert done.returncode == 1 and not (tmp_path / "o.tif").exists()
    assert "lacks a library" in done.stderr and "Run 'Set up the restoration engine'" in done.stderr
