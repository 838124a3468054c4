"""Comparison of the outputs of two checkouts: what counts as a difference. No job runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from safetensors.numpy import save_file

from tools.compare_outputs.cases import Case, all_cases, select_cases
from tools.compare_outputs.comparison import Comparison, compare_files, compare_runs
from tools.compare_outputs.runner import Run

CASE = Case("example", "gap_fill", {"output": "output.tif", "metrics": "metrics.csv"}, {})


def write_raster(path: Path, pixels: np.ndarray, **tags: str) -> None:
    transform = rasterio.Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 6_200_000.0)
    shape = {"count": len(pixels), "height": pixels.shape[1], "width": pixels.shape[2], "dtype": pixels.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32633", transform=transform, **shape) as file:
        file.write(pixels)
        file.update_tags(**tags)


def provenance(seed: int, rule: str) -> dict[str, str]:
    return {"DEEP_PRIOR": json.dumps({"seed": seed, "rule": rule})}


@pytest.fixture
def folders(tmp_path):
    """Two folders for the outputs before and after a change."""
    found = tmp_path / "before", tmp_path / "after"
    for folder in found:
        folder.mkdir()
    return found


def compare(folders: tuple[Path, Path], name: str) -> Comparison:
    comparison = Comparison()
    compare_files(folders[0] / name, folders[1] / name, comparison)
    return comparison


def pixels() -> np.ndarray:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    values[0, 0, 0] = np.nan
    return values


def test_equal_rasters_with_nan_do_not_differ(folders):
    for folder in folders:
        write_raster(folder / "output.tif", pixels(), SOURCE=str(folder / "input.tif"), **provenance(1, "rule"))
    assert compare(folders, "output.tif") == Comparison()


def test_one_pixel_is_a_difference(folders):
    changed = pixels()
    changed[1, 2, 3] = np.nextafter(changed[1, 2, 3], np.float32(100))
    for folder, values in zip(folders, (pixels(), changed)):
        write_raster(folder / "output.tif", values)
    assert compare(folders, "output.tif").differences == ["output.tif: 1 of 24 values differ, by at most 1.91e-06"]


def test_a_tag_is_a_difference(folders):
    for folder, sensor in zip(folders, ("ETM+", "TM")):
        write_raster(folder / "output.tif", pixels(), SENSOR=sensor)
    (difference,) = compare(folders, "output.tif").differences
    assert difference.endswith("SENSOR: 'ETM+' before, 'TM' after")


def test_numbers_in_the_provenance_are_compared_but_texts_may_change(folders):
    for folder, number in zip(folders, (1, 2)):
        write_raster(folder / "output.tif", pixels(), **provenance(number, f"rule {number}"))
    comparison = compare(folders, "output.tif")
    assert comparison.differences == ["output.tif.DEEP_PRIOR.seed: 1 before, 2 after"]
    assert comparison.changed_texts == ["output.tif.DEEP_PRIOR.rule"]


def test_numbers_of_tables_are_compared_but_texts_may_change(folders):
    for folder, cells in zip(folders, ("kriging,0.5", "Kriging,0.50")):
        (folder / "metrics.csv").write_text(f"method,rmse\n{cells}\n", encoding="utf-8")
    assert compare(folders, "metrics.csv") == Comparison(changed_texts=["metrics.csv"])
    (folders[1] / "metrics.csv").write_text("method,rmse\nkriging,0.51\n", encoding="utf-8")
    assert compare(folders, "metrics.csv").differences == ["metrics.csv, line 2, rmse: '0.5' before, '0.51' after"]


def test_one_weight_of_a_model_is_a_difference(folders):
    for folder, value in zip(folders, (1.0, 2.0)):
        save_file({"weight": np.array([0.0, value], np.float32)}, folder / "model.safetensors", {"factor": "2"})
    assert compare(folders, "model.safetensors").differences == [
        "model.safetensors, weight: 1 of 2 values differ, by at most 1"
    ]


def test_numbers_in_the_data_of_reports_are_compared_but_texts_may_change(folders):
    def write(folder: Path, title: str, rmse: float) -> None:
        data = json.dumps({"data": {"title": title, "rmse": rmse}})
        text = f'<h1>{title}</h1><script type="application/json">{data}</script>'
        (folder / "report.html").write_text(text, encoding="utf-8")

    write(folders[0], "Old", 0.5)
    write(folders[1], "New", 0.5)
    assert compare(folders, "report.html") == Comparison(changed_texts=["report.html"])
    write(folders[1], "Old", 0.25)
    assert compare(folders, "report.html").differences == ["report.html data.rmse: 0.5 before, 0.25 after"]


def test_runs_are_compared_by_end_result_and_files(folders):
    write_raster(folders[0] / "output.tif", pixels())
    (folders[0] / "metrics.csv").write_text("method,rmse\nlinear,1\n", encoding="utf-8")
    shutil.copytree(folders[0], folders[1], dirs_exist_ok=True)
    before = Run(folders[0], 0, {"result": [{"rmse": 1.0}], "message": [{"text": "old"}]}, "")
    after = Run(folders[1], 0, {"result": [{"rmse": 1.0}], "message": [{"text": "new"}]}, "")
    assert compare_runs(CASE, before, after) == Comparison(changed_texts=["message"])
    after.events["result"] = [{"rmse": 2.0}]
    (folders[1] / "metrics.csv").unlink()
    assert compare_runs(CASE, before, after).differences == [
        "result[0].rmse: 1.0 before, 2.0 after",
        "after: files ['output.tif'] instead of ['metrics.csv', 'output.tif']",
    ]
    failed = Run(folders[1], 1, {"error": [{"kind": "TooSmall", "text": "Too small."}]}, "")
    assert compare_runs(CASE, before, failed).differences == ["after: exit code 1, error TooSmall: Too small."]


def test_cases_are_selected_with_those_that_they_need():
    cases = all_cases(Path("rasters"), Path("model.safetensors"))
    assert len({case.name for case in cases}) == len(cases)
    selected = [case.name for case in select_cases(cases, ["superresolve_paper_cascade", "denoise_f*_sigma"])]
    assert selected == ["denoise_fast_sigma", "train_superresolver", "superresolve_paper_cascade"]
    with pytest.raises(ValueError, match="No case matches nothing"):
        select_cases(cases, ["nothing"])
