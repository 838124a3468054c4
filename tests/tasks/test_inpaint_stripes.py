"""Stripe inpainting: stripes are repaired, and all other pixels are returned bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import table, warnings_of, write

from dip_core import errors
from dip_core.job import DetectStripesJob, from_json, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import InpaintStripesJob
from dip_core.runtime import memory
from dip_core.runtime.context import Context
from dip_core.tasks import detect_stripes, inpaint_stripes

BANDS, ROWS, COLUMNS = 12, 80, 90
DEAD_BAND, DEAD_COLUMN = 4, 30
OFFSET_BAND, OFFSET_COLUMN, OFFSET = 7, 55, 90.0
NOISE = 8.0


def cube(seed=0):
    """A smooth int16 cube of low rank with a little noise, similar to hyperspectral images."""
    rng = np.random.default_rng(seed)
    down, right = np.meshgrid(np.linspace(0, 9, ROWS), np.linspace(0, 7, COLUMNS), indexing="ij")
    parts = np.stack([np.sin(down + right), np.cos(1.7 * down - right), np.sin(0.6 * right * down / 3)])
    spectra = rng.normal(size=(BANDS, 3)) * 300
    values = 3000 + np.tensordot(spectra, parts, axes=1) + rng.normal(scale=NOISE, size=(BANDS, ROWS, COLUMNS))
    return np.rint(values).astype(np.int16)


def striped(clean):
    """One dead column in one band, one offset column in another."""
    damaged = clean.copy()
    damaged[DEAD_BAND, :, DEAD_COLUMN] = 77
    damaged[OFFSET_BAND, :, OFFSET_COLUMN] += np.int16(OFFSET)
    return damaged


def run(folder, source, **choices):
    """Run a job with METHOD fast; returns OUTPUT, FILLED, UNCERTAINTY, the numbers and the warnings."""
    outputs = Outputs(*(str(folder / f"{name}.tif") for name in ("output", "uncertainty", "filled")))
    job = InpaintStripesJob(source, outputs, method="fast", **choices)
    events = []
    result = inpaint_stripes.run(from_json(to_json(job)), Context(events.append))
    atomic.commit()
    layers = []
    for path in (outputs.output, outputs.filled, outputs.uncertainty):
        with rasterio.open(path) as file:
            layers.append(file.read())
    return (*layers, result.numbers, warnings_of(events))


def test_detected_stripes_are_repaired_and_nothing_else_changes(tmp_path):
    clean = cube()
    damaged = striped(clean)
    output, filled, uncertainty, numbers, _ = run(tmp_path, write(tmp_path / "striped.tif", damaged))
    expected = np.zeros(clean.shape, bool)
    expected[DEAD_BAND, :, DEAD_COLUMN] = expected[OFFSET_BAND, :, OFFSET_COLUMN] = True
    assert np.array_equal(filled > 0, expected)
    assert np.array_equal(output[~expected], damaged[~expected])
    assert numbers["PIXELS_CHANGED"] == 2 * ROWS and numbers["PIXELS_LEFT"] == 0
    # The other bands have data in the dead column, so the error is near the noise of a regression on noisy bands.
    dead_error = output[DEAD_BAND, :, DEAD_COLUMN].astype(float) - clean[DEAD_BAND, :, DEAD_COLUMN]
    assert np.sqrt(np.mean(dead_error**2)) < 3 * NOISE
    # An offset column keeps its detail: the remaining error, that of the offset, is the same in all pixels.
    offset_error = output[OFFSET_BAND, :, OFFSET_COLUMN].astype(float) - clean[OFFSET_BAND, :, OFFSET_COLUMN]
    assert np.ptp(offset_error) <= 1 and np.abs(offset_error).max() < NOISE
    assert (uncertainty[expected] > 0).all() and (uncertainty[~expected] == 0).all()


def test_without_correction_an_offset_column_is_inpainted(tmp_path):
    damaged = striped(cube())
    kept = run(tmp_path, write(tmp_path / "striped.tif", damaged))[0]
    inpainted, filled, *_ = run(tmp_path, str(tmp_path / "striped.tif"), correct_offsets=False)
    assert filled[OFFSET_BAND, :, OFFSET_COLUMN].all()
    assert np.ptp(inpainted[OFFSET_BAND, :, OFFSET_COLUMN] - kept[OFFSET_BAND, :, OFFSET_COLUMN]) > 2


@pytest.mark.parametrize("bands", [1, BANDS])
def test_a_mask_marks_dead_pixels(tmp_path, bands):
    clean = cube()
    mask = np.zeros((bands, ROWS, COLUMNS), np.uint8)
    mask[:, :, 20:23] = 255
    source, mask_path = write(tmp_path / "scene.tif", clean), write(tmp_path / "mask.tif", mask)
    output, filled, _, numbers, _ = run(tmp_path, source, mask=mask_path)
    assert np.array_equal(filled > 0, np.broadcast_to(mask > 0, clean.shape))
    assert np.array_equal(output[filled == 0], clean[filled == 0])
    assert numbers["HELDOUT_RMSE"] < numbers["BASELINE_RMSE"]


def test_offsets_marked_in_a_mask_are_corrected(tmp_path):
    clean = cube()
    damaged = striped(clean)
    mask = np.zeros(clean.shape, np.uint8)
    mask[OFFSET_BAND, :, OFFSET_COLUMN] = 2
    output, filled, *_ = run(tmp_path, write(tmp_path / "s.tif", damaged), mask=write(tmp_path / "m.tif", mask))
    assert np.array_equal(filled > 0, mask > 0)  # the dead column is not in the mask and does not change
    error = output[OFFSET_BAND, :, OFFSET_COLUMN].astype(float) - clean[OFFSET_BAND, :, OFFSET_COLUMN]
    assert np.ptp(error) <= 1


def test_a_scene_without_stripes_is_copied_with_a_warning(tmp_path):
    clean = cube()
    output, filled, _, numbers, warnings = run(tmp_path, write(tmp_path / "clean.tif", clean))
    assert np.array_equal(output, clean) and not filled.any()
    assert numbers["PIXELS_CHANGED"] == 0 and any("copy" in text for text in warnings)


def test_nodata_is_not_a_stripe_and_is_not_filled(tmp_path):
    damaged = striped(cube())
    damaged[:, :20, :20] = -9999
    output, filled, uncertainty, *_ = run(tmp_path, write(tmp_path / "s.tif", damaged, nodata=-9999))
    assert (output[:, :20, :20] == -9999).all() and not filled[:, :20, :20].any()
    assert np.isnan(uncertainty[:, :20, :20]).all()


def tilted(clean):
    """A cube of twice the height with a tilted stripe in one band: 0.3 columns per row, one pixel wide."""
    damaged = np.concatenate([clean, clean[:, ::-1]], axis=1)
    down, right = np.indices(damaged.shape[1:])
    share = np.clip(1.0 - np.abs(right - (70 - 0.3 * down)), 0, 1)  # resampled: pixels hold a part of the offset
    damaged[OFFSET_BAND] += np.rint(OFFSET * share).astype(np.int16)
    return damaged


def report(folder, pixels):
    """The report and the rows of the metrics table of a run with METHOD fast."""
    outputs = Outputs(str(folder / "o.tif"), report=str(folder / "r.html"), metrics=str(folder / "m.csv"))
    source = write(folder / "s.tif", pixels)
    inpaint_stripes.run(InpaintStripesJob(source, outputs, method="fast"), Context(lambda event: None))
    atomic.commit()
    return (folder / "r.html").read_text(encoding="utf-8"), table(outputs.metrics)


def test_report_shows_the_bands_that_were_inpainted(tmp_path):
    page, rows = report(tmp_path, striped(cube()))
    assert f"<td>Band {DEAD_BAND + 1}</td>" in page and "<td>Band 1</td>" not in page
    assert [int(row["hidden"]) > 0 for row in rows] == [band == DEAD_BAND for band in range(BANDS)]


def test_report_if_there_are_only_offsets(tmp_path):
    damaged = cube()
    damaged[OFFSET_BAND, :, OFFSET_COLUMN] += np.int16(OFFSET)
    page, _ = report(tmp_path, damaged)
    assert f"The offsets of {ROWS} pixels were corrected; there was nothing to fill." in page


def test_a_tilted_stripe_ends_at_the_edge_of_the_scene(tmp_path):
    damaged = tilted(cube())
    damaged[:, :40, 50:] = -9999  # the stripe's line crosses this corner, where the scene has no data
    source = write(tmp_path / "s.tif", damaged, nodata=-9999)
    output, filled, *_ = run(tmp_path, source)
    assert filled[OFFSET_BAND].any()
    assert np.array_equal(output[:, :40, 50:], damaged[:, :40, 50:]) and not filled[:, :40, 50:].any()


def test_a_mask_fills_lines_of_nodata_but_nothing_outside_the_scene(tmp_path):
    damaged = cube()
    damaged[:, :, :25] = damaged[DEAD_BAND, :, DEAD_COLUMN] = damaged[:, 40:50, 60:70] = -9999
    mask = np.zeros(damaged.shape, np.uint8)
    mask[:, 45] = 2  # offsets are not corrected in missing pixels
    mask[DEAD_BAND, :, DEAD_COLUMN] = 1  # a dead line that the producer has set to nodata
    mask[:, 20] = 1  # continues outside the scene
    source = write(tmp_path / "s.tif", damaged, nodata=-9999)
    output, filled, *_ = run(tmp_path, source, mask=write(tmp_path / "m.tif", mask))
    expected = mask > 0
    expected[:, :, :25] = expected[:, 45, 60:70] = False
    assert np.array_equal(filled > 0, expected)
    assert np.array_equal(output[~expected], damaged[~expected]) and (output[expected] != -9999).all()


def test_the_mask_of_detect_stripes_gives_the_same_result(tmp_path):
    damaged = tilted(striped(cube()))
    damaged[:, :40, 60:] = -9999
    source, mask = write(tmp_path / "s.tif", damaged, nodata=-9999), str(tmp_path / "mask.tif")
    detect_stripes.run(DetectStripesJob(source, Outputs(output=mask)), Context(lambda event: None))
    atomic.commit()
    output, filled, *_ = run(tmp_path, source)
    again, same, *_ = run(tmp_path, source, mask=mask)
    assert filled[OFFSET_BAND, :, OFFSET_COLUMN + 1 :].any() and filled[DEAD_BAND].any()  # tilted, and dead
    assert np.array_equal(same, filled) and np.array_equal(again, output)
    with rasterio.open(mask) as file:
        marks = file.read()
    assert np.array_equal(marks > 0, filled > 0)  # exactly these, and none outside the scene


def test_a_3d_network_needs_two_bands(tmp_path):
    damaged = striped(cube())[DEAD_BAND : DEAD_BAND + 1]
    outputs = Outputs(str(tmp_path / "o.tif"))
    job = InpaintStripesJob(write(tmp_path / "one.tif", damaged), outputs, method="paper_3d")
    with pytest.raises(errors.InvalidJob, match="at least 2"):
        inpaint_stripes.run(job, Context())


def test_a_scene_that_exceeds_the_memory_is_an_error_before_it_is_read(tmp_path, monkeypatch):
    scene = cube()
    source, mask = write(tmp_path / "s.tif", scene), np.zeros((1, ROWS, COLUMNS), np.uint8)
    mask[0, :, 20] = 1
    # Enough memory for the masks of a job, but not for detection.
    monkeypatch.setattr(memory, "available_memory", lambda: 10.0 * scene.size)
    with pytest.raises(errors.OutOfMemory, match=f"pixels needs about {memory.format_bytes(24 * scene.size)}"):
        run(tmp_path, source)
    with pytest.raises(errors.OutOfMemory, match="Clip the raster"):
        detect_stripes.run(DetectStripesJob(source, Outputs(output=str(tmp_path / "m.tif"))), Context())
    assert run(tmp_path, source, mask=write(tmp_path / "mask.tif", mask))[1].any()


def test_masks_that_do_not_fit_are_errors(tmp_path):
    source = write(tmp_path / "scene.tif", cube())
    small = write(tmp_path / "small.tif", np.zeros((1, 10, 10), np.uint8))
    three = write(tmp_path / "three.tif", np.zeros((3, ROWS, COLUMNS), np.uint8))
    for mask, error in ((small, errors.GridMismatch), (three, errors.BandCountMismatch)):
        with pytest.raises(error):
            run(tmp_path, source, mask=mask)
    atomic.discard()
    assert not list(tmp_path.glob(".*part*"))


def test_a_job_is_validated_and_serialised():
    job = InpaintStripesJob("a.tif", Outputs("o.tif"), compute=Compute(seed=3))
    assert from_json(to_json(job)) == job
    with pytest.raises(errors.InvalidJob):
        InpaintStripesJob("a.tif", Outputs("o.tif"), method="paper_composite")
