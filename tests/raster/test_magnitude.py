"""Values of any ordinary magnitude are restored; those beyond single precision are refused with one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
from core_scenes import landscape, read, slanted_gaps, write

from dip_core import __main__, errors
from dip_core.events import Error
from dip_core.raster.magnitude import MAX_MAGNITUDE, MAX_SQUARED_MAGNITUDE, require_computable

GAP = slanted_gaps(60, 70)
IMAGE = landscape(3, 60, 70) / 100


def run(tmp_path, task, scale, dtype):
    """A run on an image of about ``scale``; the exit code and the last event."""
    pixels = (IMAGE * scale).astype(dtype)
    if task == "gap_fill":
        pixels[:, GAP] = np.nan
    source = write(tmp_path / "in.tif", pixels, nodata=np.nan)
    job = {"task": task, "outputs": {"output": str(tmp_path / "o.tif")}}
    job["inputs" if task == "gap_fill" else "input"] = source
    if task != "detect_stripes":
        job["method"] = "fast"
    (tmp_path / "job.json").write_text(json.dumps(job))
    emitted: list = []
    code = __main__.run_file(str(tmp_path / "job.json"), emitted.append)
    return code, emitted[-1]


@pytest.mark.parametrize("task", ["gap_fill", "denoise", "inpaint_stripes", "superresolve", "detect_stripes"])
@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e38, "f4"), (1e-39, "f4"), (1e300, "f8"), (-1e308, "f8"), (1e45, "f8"), (1e-300, "f8")]
)
def test_extreme_values_are_refused(tmp_path, task, scale, dtype):
    code, event = run(tmp_path, task, scale, dtype)
    assert code == 1 and event.kind == "ValuesOutOfRange" and isinstance(event, Error), event
    assert "Band 1" in event.text and "Multiply the raster" in event.text
    assert not (tmp_path / "o.tif").exists()


@pytest.mark.parametrize("task", ["gap_fill", "denoise", "superresolve"])
@pytest.mark.parametrize("scale", [1e-14, 1e15])
def test_unusual_units_give_the_same_result(tmp_path, task, scale):
    results = []
    for factor in (1.0, scale):
        code, event = run(tmp_path, task, factor, "f8")
        assert code == 0, event
        results.append(read(tmp_path / "o.tif") / factor)
    np.testing.assert_allclose(results[1], results[0], rtol=2e-3)


def test_limits():
    def check(low, high, limit=MAX_MAGNITUDE):
        require_computable("a.tif", [4], np.array([low]), np.array([high]), limit)

    for low, high in ((0, 0), (-1e29, 1e29), (0, 1e-29), (5e-40, 5e-40), (0.0, 65535.0)):
        check(low, high)
    for low, high, value in ((0, 1e31, r"1e\+31"), (-2e30, 1e29, r"-2e\+30"), (0, 1e-31, "1e-31")):
        with pytest.raises(errors.ValuesOutOfRange, match=f"Band 5 of 'a.tif' has values around {value}"):
            check(low, high)
    with pytest.raises(errors.ValuesOutOfRange):
        check(0, 1e18, MAX_SQUARED_MAGNITUDE)
