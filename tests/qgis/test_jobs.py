"""Each algorithm makes the job that its parameters describe, and returns what the worker reports."""

from __future__ import annotations

import shutil

import pytest

pytestmark = pytest.mark.qgis


@pytest.fixture
def whole(make_raster, whole_scene, tmp_path):
    return make_raster(tmp_path / "whole.tif", whole_scene, None)


def test_gap_fill_job_contains_all_parameters(run_fake, scene, make_raster, scene_with_gaps, output, tmp_path):
    mask = make_raster(tmp_path / "mask.tif", (scene_with_gaps[:1] > 0).astype("u1"), None)
    other = make_raster(tmp_path / "b2.tif", scene_with_gaps[1:2])
    report = str(tmp_path / "r.html")
    parameters = {
        "INPUT": scene, "BANDS": [other], "GAP_MASK": [mask, mask], "MASK_POLARITY": "zero_is_gap", "GUIDE": other,
        "METHOD": "fast", "DEVICE": "cuda:1", "SEED": "7", "TIME_BUDGET": 90, "TILE_SIZE": 256, "OVERLAP": 32,
        "SCHEDULER": "tcp://host:8786", "FILL_EXTERIOR": True, "NETWORK_INPUT": "meshgrid",
        "OUTPUT": output, "REPORT": report,
    }  # fmt: skip
    job = run_fake("gapfillslcoff", parameters).job
    assert job["task"] == "gap_fill"
    assert job["inputs"] == [scene, other] and job["gap_masks"] == [mask, mask] and job["guide"] == other
    assert (job["method"], job["mask_polarity"], job["network_input"]) == ("fast", "zero_is_gap", "meshgrid")
    assert job["fill_exterior"] is True
    assert job["outputs"]["report"] == report and job["outputs"]["uncertainty"] is None
    compute = job["compute"]
    assert (compute["device"], compute["seed"], compute["time_budget"]) == ("cuda:1", 7, 90)
    assert (compute["tile_size"], compute["overlap"], compute["scheduler"]) == (256, 32, "tcp://host:8786")


def test_gap_fill_defaults(run_fake, scene, output):
    job = run_fake("gapfillslcoff", {"INPUT": scene, "OUTPUT": output}).job
    assert (job["method"], job["compute"]["device"], job["compute"]["seed"]) == ("best", "auto", 0)
    assert job["compute"]["time_budget"] is None and job["compute"]["scheduler"] is None
    assert job["gap_masks"] == [] and job["guide"] is None and job["fill_exterior"] is False


def test_denoising_job_contains_all_parameters(run_fake, whole, output):
    parameters = {"INPUT": whole, "NOISE": "mixed", "SIGMA": 2.5, "METHOD": "fast", "OUTPUT": output}
    job = run_fake("denoisehsi", parameters).job
    assert (job["task"], job["input"], job["noise"], job["sigma"]) == ("denoise", whole, "mixed", 2.5)
    assert run_fake("denoisehsi", {"INPUT": whole, "OUTPUT": output}).job["sigma"] is None


def test_stripe_job_contains_all_parameters(run_fake, whole, output, tmp_path):
    mask = str(shutil.copy(whole, tmp_path / "mask.tif"))
    parameters = {"INPUT": whole, "MASK": mask, "CORRECT_OFFSETS": False, "METHOD": "fast", "OUTPUT": output}
    job = run_fake("inpaintstripes", parameters).job
    assert (job["task"], job["input"], job["mask"]) == ("inpaint_stripes", whole, mask)
    assert job["correct_offsets"] is False and job["method"] == "fast"


def test_super_resolution_job_contains_all_parameters(run_fake, whole, output, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.safetensors").write_bytes(b"model")
    guide = str(shutil.copy(whole, tmp_path / "guide.tif"))
    parameters = {
        "INPUT": whole, "FACTOR": "3", "PSF": "gaussian", "PSF_SIGMA": 1.5, "METHOD": "paper_cascade", "GUIDE": guide,
        "MODEL": "m.safetensors", "OUTPUT": output,
    }  # fmt: skip
    job = run_fake("superresolve", parameters).job
    assert (job["task"], job["factor"], job["method"]) == ("superresolve", 3, "paper_cascade")
    assert (job["psf"], job["psf_sigma"], job["guide"]) == ("gaussian", 1.5, guide)
    assert job["model"] == str(tmp_path / "m.safetensors")


def test_super_resolution_defaults(run_fake, whole, output):
    job = run_fake("superresolve", {"INPUT": whole, "OUTPUT": output}).job
    assert (job["factor"], job["psf"], job["method"]) == (2, "bicubic", "best")
    assert job["psf_sigma"] is None and job["guide"] is None and job["model"] is None


def test_training_job_contains_all_rasters(run_fake, whole, tmp_path):
    other = str(shutil.copy(whole, tmp_path / "other.tif"))
    model = str(tmp_path / "m.safetensors")
    parameters = {"INPUTS": [whole, other], "FACTOR": "4", "TIME_BUDGET": 60, "SEED": 3, "MODEL": model}
    done = run_fake("trainsuperresolver", parameters, numbers={"PSNR": 31.5, "SAM": None})
    assert (done.job["task"], done.job["inputs"], done.job["factor"]) == ("train_superresolver", [whole, other], 4)
    assert (done.job["compute"]["seed"], done.job["compute"]["time_budget"]) == (3, 60)
    assert done.job["outputs"]["model"] == model
    assert done.results == {"MODEL": model, "PSNR": 31.5}


def test_detection_job_and_its_numbers(run_fake, whole, output):
    numbers = {"STRIPED_BANDS": 2, "DEAD_LINES": 1, "OFFSET_LINES": 3}
    done = run_fake("detectstripes", {"INPUT": whole, "OUTPUT": output}, numbers=numbers)
    assert (done.job["task"], done.job["input"], done.job["outputs"]["metrics"]) == ("detect_stripes", whole, None)
    assert done.results == {"OUTPUT": output, **numbers}


def test_simulation_job_contains_all_parameters(run_fake, whole, output):
    parameters = {"INPUT": whole, "SWATH_FROM": 0.5, "SWATH_TO": 1, "SEED": 4, "OUTPUT": output}
    job = run_fake("simulategaps", parameters).job
    assert (job["task"], job["input"], job["swath_from"], job["swath_to"]) == ("simulate_gaps", whole, 0.5, 1)
    assert job["percentage"] is None and job["seed"] == 4
    assert run_fake("simulategaps", {**parameters, "PERCENTAGE": 20}).job["percentage"] == 20


def test_results_are_destinations_and_declared_numbers(run_fake, scene, output):
    numbers = {"PIXELS_LEFT": 0, "HELDOUT_R2": None, "UNDECLARED": 1}
    done = run_fake("gapfillslcoff", {"INPUT": scene, "OUTPUT": output}, numbers=numbers)
    assert done.results == {"OUTPUT": output, "PIXELS_LEFT": 0}
    assert "a warning" in done.feedback.textLog()
    assert done.feedback.steps == ["Filling (about 10 min left)"]


def test_relative_paths_refer_to_the_users_folder(run_fake, scene, tmp_path, monkeypatch):
    """The worker runs in another folder."""
    monkeypatch.chdir(tmp_path)
    done = run_fake("gapfillslcoff", {"INPUT": "scene.tif", "OUTPUT": "o.tif"})
    assert done.job["inputs"] == [scene] and done.job["outputs"]["output"] == str(tmp_path / "o.tif")
    assert done.results["OUTPUT"] == "o.tif"


@pytest.mark.parametrize(
    ("given", "values"),
    [(None, []), ("", []), ("-9999", [-9999]), ("-9999, 32767;1e20", [-9999, 32767, 1e20]), (0, [0])],
)
@pytest.mark.parametrize("name", ["gapfillslcoff", "denoisehsi", "inpaintstripes", "superresolve", "detectstripes"])
def test_nodata(run_fake, whole, output, name, given, values):
    assert run_fake(name, {"INPUT": whole, "NODATA": given, "OUTPUT": output}).job["nodata"] == values


def test_nodata_nan(run_fake, whole, output):
    (value,) = run_fake("simulategaps", {"INPUT": whole, "NODATA": "nan", "OUTPUT": output}).job["nodata"]
    assert value != value
