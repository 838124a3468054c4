"""Property test: random rasters with random damage and metadata through every restorer keep the promises."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dip_core.__main__ import run_file
from dip_core.events import Error, Result
from dip_core.job import to_json
from dip_core.job_fields import Compute
from dip_core.restoration_jobs import DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob
from tools.soak.jobs import outputs_in
from tools.soak.promises import broken_promises
from tools.soak.rasters import DAMAGES, DTYPES, GEOREFERENCES, MARKERS, NODATA, RandomRaster

CPU = Compute(device="cpu", threads=1)
RESTORERS = {
    "gap_fill": lambda path, outputs: GapFillJob((path,), outputs, method="fast", compute=CPU),
    "denoise": lambda path, outputs: DenoiseJob(path, outputs, method="fast", compute=CPU),
    "inpaint_stripes": lambda path, outputs: InpaintStripesJob(path, outputs, method="fast", compute=CPU),
    "superresolve": lambda path, outputs: SuperResolveJob(path, outputs, method="fast", compute=CPU),
}
REFUSALS = ("NothingObserved", "NoUsableBand", "TooSmall", "UnreadableRaster")


@st.composite
def rasters(draw):
    dtype = draw(st.sampled_from(DTYPES))
    levels = (1e-5, 1.0, 1000.0, 1e9) if dtype.startswith("float") else (300.0, 9000.0)
    return RandomRaster(
        seed=draw(st.integers(0, 2**31)),
        bands=draw(st.integers(1, 5)),
        rows=draw(st.integers(1, 40)),
        columns=draw(st.integers(1, 40)),
        dtype=dtype,
        damage=draw(st.sampled_from(DAMAGES)),
        marker=draw(st.sampled_from(MARKERS)),
        nodata=draw(st.sampled_from(NODATA[dtype])),
        level=draw(st.sampled_from(levels)),
        georeference=draw(st.sampled_from(GEOREFERENCES)),
        scaled=draw(st.booleans()),
        named=draw(st.booleans()),
        wavelengths=draw(st.booleans()),
        tiled=draw(st.booleans()),
        striped=draw(st.booleans()),
    )


def run_and_check(task: str, plan: RandomRaster) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "results").mkdir()
        plan.write(folder / "input.tif")
        outputs = outputs_in(folder / "results")
        if task != "gap_fill":  # the report takes most of the time and has nothing to do with the raster
            outputs = type(outputs)(outputs.output, outputs.uncertainty, outputs.filled)
        job = RESTORERS[task](str(folder / "input.tif"), outputs)
        (folder / "job.json").write_text(to_json(job), encoding="utf-8")
        events = []
        code = run_file(str(folder / "job.json"), events.append)
        files = {path.name.removesuffix(".aux.xml") for path in (folder / "results").iterdir()}
        if code == 0:
            assert isinstance(events[-1], Result)
            assert files == {Path(path).name for path in outputs.requested().values()}
            assert broken_promises(job, events[-1].numbers) == []
        else:
            assert code == 1 and isinstance(events[-1], Error) and events[-1].kind in REFUSALS, events[-1]
            assert events[-1].text.count("\n") == 0 and not files


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("task", RESTORERS)
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(plan=rasters())
def test_a_random_raster_is_restored_or_refused(task, plan):
    run_and_check(task, plan)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("task", RESTORERS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=rasters())
def test_many_random_rasters_are_restored_or_refused(task, plan):
    run_and_check(task, plan)
