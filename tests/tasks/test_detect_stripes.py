"""Stripe detection: a mask on the scene's grid, one table row per band, a page, and numbers that agree."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from core_scenes import read, table, warnings_of, write
from scipy import ndimage

from dip_core import job
from dip_core.errors import InvalidJob, NothingObserved, UnreadableRaster
from dip_core.job import DetectStripesJob
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.runtime.context import Context
from dip_core.tasks import detect_stripes


@pytest.fixture
def scene() -> np.ndarray:
    """Eight similar bands of 80 x 100 pixels, uint16, with a noise of 2."""
    rng = np.random.default_rng(0)
    maps = np.stack([ndimage.gaussian_filter(rng.normal(size=(80, 100)), width) for width in (1, 2, 4)])
    maps /= maps.std(axis=(1, 2), keepdims=True)
    clean = 1000 + np.einsum("kb,krc->brc", rng.normal(0, 60, (3, 8)), maps)
    return np.rint(clean + rng.normal(0, 2, clean.shape)).astype(np.uint16)


@pytest.fixture
def striped(scene) -> np.ndarray:
    """Column 40 of band 3 is 15 too high, row 20 of band 6 is empty."""
    scene[2, :, 40] += 15
    scene[5, 20] = 0
    return scene


def detected(tmp_path, source, **names):
    """Run the job with all outputs; the result, their paths and all events."""
    names = names or {"output": "mask.tif", "metrics": "m.csv", "report": "r.html"}
    outputs = Outputs(**{name: str(tmp_path / file) for name, file in names.items()})
    events: list = []
    try:
        result = detect_stripes.run(DetectStripesJob(source, outputs), Context(events.append))
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    return result, outputs, events


def test_mask_table_report_and_numbers_agree(tmp_path, striped):
    source = write(tmp_path / "in.tif", striped, nodata=65535)
    result, outputs, events = detected(tmp_path, source)
    expected = np.zeros(striped.shape, np.uint8)
    expected[2, :, 40] = 2
    expected[5, 20] = 1
    np.testing.assert_array_equal(read(outputs.output), expected)
    assert result.numbers == {"STRIPED_BANDS": 2.0, "DEAD_LINES": 1.0, "OFFSET_LINES": 1.0}
    assert result.outputs == outputs.requested() and warnings_of(events) == []
    rows = table(outputs.metrics)
    assert [row["band"] for row in rows] == [str(number) for number in range(1, 9)]
    assert [row["status"] for row in rows] == [
        "clean",
        "clean",
        "striped",
        "clean",
        "clean",
        "striped",
        "clean",
        "clean",
    ]
    assert (rows[2]["orientation"], rows[2]["offset_lines"], rows[2]["dead_lines"]) == ("columns", "1", "0")
    assert float(rows[2]["largest_offset"]) == pytest.approx(15, abs=1.5)
    assert (rows[5]["orientation"], rows[5]["offset_lines"], rows[5]["dead_lines"]) == ("rows", "0", "1")
    page = Path(outputs.report).read_text(encoding="utf-8")
    assert "Stripes were found in 2 bands: 1 dead line and 1 line with an offset." in page
    assert page.count('<img alt="') == 4  # both bands and their masks


def test_mask_keeps_grid_names_and_says_how_it_was_made(tmp_path, striped):
    source = write(tmp_path / "in.tif", striped, nodata=65535)
    with rasterio.open(source, "r+") as file:
        file.set_band_description(3, "Red edge")
        file.update_tags(3, wavelength="423.874", wavelength_units="Nanometers")
    _, outputs, _ = detected(tmp_path, source)
    with rasterio.open(source) as before, rasterio.open(outputs.output) as mask:
        assert (mask.crs, mask.transform, mask.shape) == (before.crs, before.transform, before.shape)
        assert mask.dtypes == ("uint8",) * 8 and mask.nodata is None
        assert mask.descriptions[2] == "Red edge: 0 clean, 1 dead, 2 offset"
        made = json.loads(mask.tags()["DEEP_PRIOR"])
    assert made["task"] == "detect_stripes" and made["striped_bands"] == [3, 6]
    assert table(outputs.metrics)[2]["wavelength_um"] == "0.423874"


def test_clean_scene(tmp_path, scene):
    result, outputs, events = detected(tmp_path, write(tmp_path / "in.tif", scene))
    assert set(result.numbers.values()) == {0.0}
    assert not read(outputs.output).any() and warnings_of(events) == []
    assert "No stripes and no dead lines were found." in Path(outputs.report).read_text(encoding="utf-8")


def test_bad_and_empty_bands_are_not_examined(tmp_path, striped):
    striped[7] = 65535
    source = write(tmp_path / "in.tif", striped, nodata=65535)
    with rasterio.open(source, "r+") as file:
        file.update_tags(3, bbl="0")
    result, outputs, _ = detected(tmp_path, source)
    assert not read(outputs.output)[2].any()
    assert [row["status"] for row in table(outputs.metrics)][2::5] == ["not judged", "not judged"]
    assert result.numbers["OFFSET_LINES"] == 0 and result.numbers["DEAD_LINES"] == 1


def test_empty_lines_are_dead_inside_the_scene_only(tmp_path, scene):
    """Without a nodata value, 0 is both the exterior's value and that of lines which failed in all bands."""
    scene[:, :, :30] = 0
    scene[:, :, 60:64] = 0
    _, outputs, _ = detected(tmp_path, write(tmp_path / "in.tif", scene))
    expected = np.zeros(scene.shape, np.uint8)
    expected[:, :, 60:64] = 1
    np.testing.assert_array_equal(read(outputs.output), expected)


def test_nodata_lines_are_gaps_not_stripes(tmp_path, scene):
    scene[:, :, 60:64] = 0
    result, outputs, _ = detected(tmp_path, write(tmp_path / "in.tif", scene, nodata=0))
    assert not read(outputs.output).any() and result.numbers["STRIPED_BANDS"] == 0


def test_few_bands_cause_a_warning(tmp_path, striped):
    _, _, events = detected(tmp_path, write(tmp_path / "in.tif", striped[:3]))
    assert any("fewer than 5 bands" in text for text in warnings_of(events))


def test_only_requested_outputs_are_written(tmp_path, striped):
    result, outputs, _ = detected(tmp_path, write(tmp_path / "in.tif", striped), metrics="m.csv")
    assert result.outputs == {"METRICS": outputs.metrics}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.tif", "m.csv"]


def test_errors_leave_no_files(tmp_path, scene):
    with pytest.raises(UnreadableRaster):
        detected(tmp_path, str(tmp_path / "gone.tif"))
    with pytest.raises(NothingObserved):
        detected(tmp_path, write(tmp_path / "empty.tif", np.zeros_like(scene), nodata=0))
    with pytest.raises(InvalidJob, match="No OUTPUT"):
        DetectStripesJob("a.tif", Outputs())
    with pytest.raises(InvalidJob, match="overwrite"):
        DetectStripesJob("a.tif", Outputs(output="a.tif"))
    assert list(tmp_path.glob("*.part")) == [] and not (tmp_path / "mask.tif").exists()


def test_job_travels_as_json_and_runs_in_the_worker(tmp_path, striped):
    request = DetectStripesJob(write(tmp_path / "in.tif", striped), Outputs(output=str(tmp_path / "mask.tif")))
    assert job.from_json(job.to_json(request)) == request
    (tmp_path / "job.json").write_text(job.to_json(request), encoding="utf-8")
    command = [sys.executable, "-m", "dip_core", str(tmp_path / "job.json")]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "result" and last["numbers"]["STRIPED_BANDS"] == 2
    assert read(tmp_path / "mask.tif")[2, :, 40].min() == 2
