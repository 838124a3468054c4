"""Whole jobs on rasters with bands of classes: classes are filled by their neighbours or copied, never averaged."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import fill, landscape, read, slanted_gaps, table, warnings_of, write
from gap_jobs import provenance_of, report_record
from scipy import ndimage

from dip_core.errors import InvalidJob
from dip_core.job import DetectStripesJob, TrainJob
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import DenoiseJob, InpaintStripesJob, SuperResolveJob
from dip_core.runtime.context import Context

SHAPE = (72, 84)
GAP = slanted_gaps(*SHAPE)
QA = np.array([21824, 21890, 22280, 23888, 54596], np.uint16)


def classes(values, shape=SHAPE, seed=0) -> np.ndarray:
    """Areas of classes ``(row, column)``."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 5)
    limits = np.quantile(field, np.linspace(0, 1, len(values) + 1)[1:-1])
    return np.asarray(values)[np.digitize(field, limits)]


def land_cover(path, values=(11, 21, 41, 81, 95), dtype="u1", nodata=0, gap=GAP) -> np.ndarray:
    """Write a land cover with a colour table and gaps; returns the complete one."""
    truth = classes(values).astype(dtype)
    write(path, np.where(gap, nodata, truth).astype(dtype)[None], nodata=nodata, photometric="palette")
    rng = np.random.default_rng(3)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {int(value): (*rng.integers(0, 256, 3).tolist(), 255) for value in values})
    return truth


def scene_with_qa(path, bands=3, gap=GAP, name="QA_PIXEL", place=-1, dtype="u2", noise=0.0) -> np.ndarray:
    """Write bands of measurements with a quality band among them; returns the complete scene."""
    measured = landscape(bands, *SHAPE) * 100 + np.random.default_rng(4).normal(0, noise, (bands, *SHAPE))
    truth = list(np.rint(measured).astype(dtype))
    place %= bands + 1
    truth.insert(place, classes(QA, seed=5).astype(dtype))
    scene = np.stack(truth)
    write(path, np.where(gap, 0, scene).astype(dtype), nodata=0)
    with rasterio.open(path, "r+") as file:
        file.set_band_description(place + 1, name)
    return scene


@pytest.mark.parametrize("method", ["fast", "paper_composite"])
@pytest.mark.parametrize(
    ("values", "dtype", "nodata"), [((11, 21, 41, 81, 95), "u1", 0), ((1, 2), "u1", 255), ((300, 310, 999), "u2", 7)]
)
def test_a_land_cover_gets_no_new_class(tmp_path, method, values, dtype, nodata):
    truth = land_cover(tmp_path / "in.tif", values, dtype, nodata)
    result, paths, events = fill(tmp_path / "r", tmp_path / "in.tif", method, report=method == "fast")
    after = read(paths["output"])[0]
    assert set(np.unique(after)) <= set(values)
    np.testing.assert_array_equal(after[~GAP], truth[~GAP])
    right = np.mean(after[GAP] == truth[GAP])
    assert right > 0.7
    assert result.numbers["PIXELS_CHANGED"] == GAP.sum() and result.numbers["PIXELS_LEFT"] == 0
    assert result.numbers["HELDOUT_RMSE"] is None and result.numbers["HELDOUT_R2"] is None
    assert len([text for text in warnings_of(events) if "classes" in text and "colour table" in text]) == 1
    with rasterio.open(tmp_path / "in.tif") as before, rasterio.open(paths["output"]) as written:
        assert written.colormap(1) == before.colormap(1)
    assert (read(paths["filled"])[0] == GAP).all()
    probability = read(paths["uncertainty"])[0]
    assert (probability[~GAP] == 0).all()
    assert probability[GAP].min() >= 0 and probability[GAP].max() <= 1
    # The probabilities are about right on average.
    assert probability[GAP].mean() == pytest.approx(1 - right, abs=0.12)
    assert provenance_of(paths["output"])["class_bands"] == [1]
    if method == "fast":
        assert report_record(paths["report"])["data"]["right_classes"]["Band 1"] == pytest.approx(right, abs=0.15)


@pytest.mark.parametrize("place", [0, 1, -1])
def test_a_quality_band_among_others(tmp_path, place):
    truth = scene_with_qa(tmp_path / "in.tif", place=place)
    number = place % 4
    _, paths, events = fill(tmp_path / "r", tmp_path / "in.tif", report=False)
    after = read(paths["output"])
    assert set(np.unique(after[number])) <= set(QA)
    np.testing.assert_array_equal(after[:, ~GAP], truth[:, ~GAP])
    assert (read(paths["filled"])[:, GAP] == 1).all()
    # The other bands are filled as without it.
    write(tmp_path / "alone.tif", np.delete(read(tmp_path / "in.tif"), number, axis=0), nodata=0)
    _, alone, _ = fill(tmp_path / "alone", tmp_path / "alone.tif", report=False)
    np.testing.assert_array_equal(np.delete(after, number, axis=0), read(alone["output"]))
    rows = table(paths["metrics"])
    assert [row["hidden"] == "0" for row in rows] == [band == number for band in range(4)]
    assert any("QA_PIXEL" in text for text in warnings_of(events))


def test_a_quality_file_among_band_files(tmp_path):
    truth = scene_with_qa(tmp_path / "all.tif")
    stored = read(tmp_path / "all.tif")
    paths = [
        write(tmp_path / f"LC08_{name}.tif", band[None], nodata=0)
        for name, band in zip(("SR_B4", "SR_B5", "SR_B6", "QA_PIXEL"), stored)
    ]
    _, written, _ = fill(tmp_path / "r", paths, report=False)
    after = read(written["output"])
    assert set(np.unique(after[3])) <= set(QA)
    assert np.abs(after[:3, GAP].astype(float) - truth[:3, GAP]).mean() < 1500


def test_two_class_bands_only(tmp_path):
    first, second = classes((1, 2, 7)), classes((40, 50, 60, 70), seed=9)
    path = write(tmp_path / "in.tif", np.where(GAP, 255, np.stack([first, second])).astype("u1"), nodata=255)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("land cover 2010", "land cover 2020")
    _, paths, _ = fill(tmp_path / "r", path)
    after = read(paths["output"])
    assert set(np.unique(after[0])) == {1, 2, 7} and set(np.unique(after[1])) == {40, 50, 60, 70}


def test_large_scenes_and_tiles(tmp_path):
    truth = scene_with_qa(tmp_path / "in.tif")
    _, one, _ = fill(tmp_path / "a", tmp_path / "in.tif", report=False)
    _, many, _ = fill(tmp_path / "b", tmp_path / "in.tif", report=False, tile_size=64, overlap=8)
    np.testing.assert_array_equal(read(one["output"])[3], read(many["output"])[3])
    assert read(one["output"]).shape == truth.shape


def test_a_byte_scene_without_colours_is_filled_as_before(tmp_path):
    truth = np.rint(landscape(1, *SHAPE)).astype("u1")
    path = write(tmp_path / "B3.tif", np.where(GAP, 0, truth), nodata=0)
    result, _, events = fill(tmp_path / "r", path, report=False)
    assert result.numbers["HELDOUT_R2"] > 0.5
    assert not any("classes" in text for text in warnings_of(events))


def run(task, job):
    context = Context()
    try:
        result = task.run(job, context)
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    return result, context.warnings


def outputs(folder, *names) -> Outputs:
    folder.mkdir(exist_ok=True)
    files = {"output": "o.tif", "uncertainty": "u.tif", "report": "r.html", "metrics": "m.csv"}
    return Outputs(**{name: str(folder / files[name]) for name in ("output", *names)})


def test_denoising_copies_classes(tmp_path):
    from dip_core.tasks import denoise

    truth = scene_with_qa(tmp_path / "in.tif", bands=8, gap=np.zeros(SHAPE, bool), place=4, noise=60)
    found, warnings = run(denoise, DenoiseJob(str(tmp_path / "in.tif"), outputs(tmp_path / "o", "report"), "fast"))
    after = read(tmp_path / "o" / "o.tif")
    np.testing.assert_array_equal(after[4], truth[4])
    assert (after[0] != truth[0]).mean() > 0.5
    assert len([text for text in warnings if "QA_PIXEL" in text]) == 1 and found.numbers["PIXELS_CHANGED"]


def test_super_resolution_repeats_classes(tmp_path):
    from dip_core.tasks import superresolve

    truth = scene_with_qa(tmp_path / "in.tif", gap=np.zeros(SHAPE, bool), name="SCL", place=1)
    job = SuperResolveJob(str(tmp_path / "in.tif"), outputs(tmp_path / "o"), 2, method="fast")
    _, warnings = run(superresolve, job)
    after = read(tmp_path / "o" / "o.tif")
    np.testing.assert_array_equal(after[1], np.kron(truth[1], np.ones((2, 2), int)))
    assert set(np.unique(after[0])) != set(np.unique(truth[0]))
    assert any("SCL" in text for text in warnings)


@pytest.mark.parametrize("task", ["denoise", "superresolve", "train_superresolver"])
def test_a_raster_of_classes_only_is_refused(tmp_path, task):
    import importlib

    land_cover(tmp_path / "in.tif", gap=np.zeros(SHAPE, bool))
    path, out = str(tmp_path / "in.tif"), outputs(tmp_path / "o")
    jobs = {
        "denoise": lambda: DenoiseJob(path, out),
        "superresolve": lambda: SuperResolveJob(path, out),
        "train_superresolver": lambda: TrainJob((path,), Outputs(model=str(tmp_path / "m.safetensors"))),
    }
    with pytest.raises(InvalidJob, match="hold classes"):
        run(importlib.import_module(f"dip_core.tasks.{task}"), jobs[task]())
    assert not list((tmp_path / "o").iterdir())


@pytest.mark.parametrize("bands", [6, 0])
def test_stripes_are_neither_searched_nor_repaired_in_classes(tmp_path, bands):
    from dip_core.tasks import detect_stripes, inpaint_stripes

    scene = scene_with_qa(tmp_path / "in.tif", bands=bands, gap=np.zeros(SHAPE, bool), place=bands // 2)
    number = bands // 2
    scene[number, :, 30] = QA[0]  # a constant column in all of the classes
    if bands:
        scene[0, :, 50] = 0
        scene[0, :, 51] = 12000
    write(tmp_path / "s.tif", scene)
    with rasterio.open(tmp_path / "s.tif", "r+") as file:
        file.set_band_description(number + 1, "QA_PIXEL")
    run(detect_stripes, DetectStripesJob(str(tmp_path / "s.tif"), outputs(tmp_path / "d", "report")))
    assert not read(tmp_path / "d" / "o.tif")[number].any()
    job = InpaintStripesJob(str(tmp_path / "s.tif"), outputs(tmp_path / "i", "report", "uncertainty"), method="fast")
    run(inpaint_stripes, job)
    after = read(tmp_path / "i" / "o.tif")
    np.testing.assert_array_equal(after[number], scene[number])
    if bands:
        assert (after[0, :, 51] != 12000).mean() > 0.9


def test_a_stripe_mask_does_not_change_classes(tmp_path):
    from dip_core.tasks import inpaint_stripes

    scene = scene_with_qa(tmp_path / "in.tif", bands=5, gap=np.zeros(SHAPE, bool), place=2)
    mask = np.zeros((1, *SHAPE), "u1")
    mask[:, :, 20:22] = 1
    write(tmp_path / "m.tif", mask)
    job = InpaintStripesJob(str(tmp_path / "in.tif"), outputs(tmp_path / "i"), str(tmp_path / "m.tif"), method="fast")
    run(inpaint_stripes, job)
    after = read(tmp_path / "i" / "o.tif")
    np.testing.assert_array_equal(after[2], scene[2])
    assert (after[0, :, 20:22] != scene[0, :, 20:22]).any()
