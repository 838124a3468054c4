"""The blocks in which a scene is processed do not change a result, even if a single row is a block."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from core_scenes import add_noise, landscape, read, slanted_gaps, write

from dip_core.job import AssessJob, SimulateGapsJob
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob
from dip_core.runtime import blocks
from dip_core.runtime.context import Context

SHAPE = (90, 101)


@pytest.fixture
def scene(tmp_path) -> str:
    values = add_noise(landscape(4, *SHAPE), 3)
    values[:, slanted_gaps(*SHAPE)] = 0
    return write(tmp_path / "in.tif", values.astype(np.float32), nodata=0)


def job_of(task: str, path: str, outputs: Outputs):
    options = {"method": "fast", "compute": Compute("cpu", threads=1, tile_size=64)}
    return {
        "gap_fill": lambda: GapFillJob((path,), outputs, **options),
        "denoise": lambda: DenoiseJob(path, outputs, **options),
        "superresolve": lambda: SuperResolveJob(path, outputs, **options),
        "inpaint_stripes": lambda: InpaintStripesJob(path, outputs, **options),
        "simulate_gaps": lambda: SimulateGapsJob(path, Outputs(output=outputs.output)),
    }[task]()


@pytest.mark.parametrize("values", [1, 4 * 101 * 7, 4 * 101 * 33])
@pytest.mark.parametrize("task", ["gap_fill", "denoise", "superresolve", "inpaint_stripes", "simulate_gaps"])
def test_blocks_do_not_change_the_result(tmp_path, monkeypatch, scene, task, values):
    found = []
    for size in (blocks.MAX_BLOCK_VALUES, values):
        monkeypatch.setattr(blocks, "MAX_BLOCK_VALUES", size)
        outputs = Outputs(str(tmp_path / "o.tif"), uncertainty=str(tmp_path / "u.tif"), filled=str(tmp_path / "f.tif"))
        job = job_of(task, scene, outputs)
        importlib.import_module(f"dip_core.tasks.{task}").run(job, Context())
        atomic.commit()
        names = ["o.tif"] if task == "simulate_gaps" else ["o.tif", "u.tif", "f.tif"]
        found.append([read(tmp_path / name) for name in names])
    for whole, parts in zip(*found):
        np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-3)


def test_blocks_do_not_change_a_comparison(tmp_path, monkeypatch, scene):
    from dip_core.tasks import assess

    other = write(tmp_path / "b.tif", read(scene) * np.float32(1.01), nodata=0)
    found = []
    for size in (1 << 24, 1):
        monkeypatch.setattr(assess, "MAX_STRIP_VALUES", size)
        found.append(assess.run(AssessJob(other, scene, Outputs()), Context()).numbers)
    assert found[0] == pytest.approx(found[1])
