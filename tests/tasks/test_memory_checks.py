"""Work that does not fit into the memory is refused before it begins, with figures and advice; no file is left."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps, write

from dip_core.errors import OutOfMemory
from dip_core.job import AssessJob, DetectStripesJob, SimulateGapsJob, TrainJob
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob
from dip_core.runtime import memory
from dip_core.runtime.context import Context

SHAPE = (120, 130)
BANDS = 5
VALUES = BANDS * SHAPE[0] * SHAPE[1]


def job_of(task: str, path: str, out, **compute):
    output = Outputs(output=str(out))
    options = {"method": "fast", "compute": Compute("cpu", threads=1, **compute)}
    return {
        "gap_fill": lambda: GapFillJob((path,), output, **options),
        "denoise": lambda: DenoiseJob(path, output, **options),
        "inpaint_stripes": lambda: InpaintStripesJob(path, output, **options),
        "superresolve": lambda: SuperResolveJob(path, output, **options),
        "detect_stripes": lambda: DetectStripesJob(path, output),
        "simulate_gaps": lambda: SimulateGapsJob(path, output),
        "train_superresolver": lambda: TrainJob((path,), Outputs(model=str(out))),
    }[task]()


def run(task: str, job):
    try:
        return importlib.import_module(f"dip_core.tasks.{task}").run(job, Context())
    finally:
        atomic.discard()


@pytest.fixture
def scene(tmp_path) -> str:
    values = landscape(BANDS, *SHAPE)
    values[:, slanted_gaps(*SHAPE) & (np.arange(SHAPE[1]) > 90)] = 0
    return write(tmp_path / "in.tif", values.astype(np.float32), nodata=0)


@pytest.mark.parametrize(
    ("task", "work", "advice"),
    [
        ("gap_fill", "gap detection in 5 bands of 130 x 120 pixels", "Clip the raster"),
        ("simulate_gaps", "gap detection in 5 bands of 130 x 120 pixels", "Clip the raster"),
        ("inpaint_stripes", "stripe detection in 5 bands", "Clip the raster"),
        ("detect_stripes", "stripe detection in 5 bands", "Clip the raster"),
        ("denoise", "result of a row of tiles, 5 bands of 130 x 120 pixels", "TILE_SIZE"),
        ("superresolve", "result of a row of tiles, 5 bands of 260 x 240 pixels", "TILE_SIZE"),
        ("train_superresolver", r"training on \d+ patches of 5 bands", "fewer bands"),
    ],
)
def test_every_task_checks_the_memory_first(tmp_path, monkeypatch, scene, task, work, advice):
    monkeypatch.setattr(memory, "available_memory", lambda: 1e5)
    with pytest.raises(OutOfMemory, match=rf"{work}.* needs about .* MB, and 0\.1 MB are available.*{advice}"):
        run(task, job_of(task, scene, tmp_path / "o.tif"))
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith(".")) == ["in.tif"]


def test_a_model_that_does_not_fit(tmp_path, monkeypatch, scene):
    monkeypatch.setattr(memory, "available_memory", lambda: 10.0 * VALUES)
    with pytest.raises(OutOfMemory, match=r"the model of 5 bands needs about 2\.5 MB.*fewer bands"):
        run("denoise", job_of("denoise", scene, tmp_path / "o.tif"))


def test_small_tiles_are_advised_only_where_they_help(tmp_path, monkeypatch, scene):
    monkeypatch.setattr(memory, "available_memory", lambda: 4.0 * VALUES + 33 * SHAPE[0] * SHAPE[1])
    run("gap_fill", job_of("gap_fill", scene, tmp_path / "o.tif"))
    monkeypatch.setattr(memory, "available_memory", lambda: 1e5)
    with pytest.raises(OutOfMemory, match="Clip the raster into parts, or give fewer bands") as found:
        run("denoise", job_of("denoise", scene, tmp_path / "o.tif", tile_size=64))
    assert "TILE_SIZE" not in str(found.value)


def test_a_comparison_of_wide_rasters_needs_few_rows_at_a_time(tmp_path, monkeypatch):
    """Strips are lower than the reduction of the pictures; the scores and pictures are the same."""
    from dip_core.tasks import assess

    truth = landscape(2, 40, 2000).astype(np.float32)
    restored = truth + np.random.default_rng(0).normal(0, 1, truth.shape).astype(np.float32)
    paths = write(tmp_path / "a.tif", restored), write(tmp_path / "b.tif", truth)
    found = []
    for number, values in enumerate((1 << 24, 2 * 2000)):
        monkeypatch.setattr(assess, "MAX_STRIP_VALUES", values)
        report = tmp_path / f"{number}.html"
        found.append(assess.run(AssessJob(*paths, Outputs(report=str(report))), Context()).numbers)
        atomic.commit()
        assert report.stat().st_size > 10_000
    assert found[0] == pytest.approx(found[1])
