"""Whatever happens in a run, the user gets one sentence: no traceback, no partial file, one error event."""

from __future__ import annotations

import errno
import re

import numpy as np
import pytest

from dip_core import __main__, errors, failures
from dip_core.events import Error, Progress, Result
from dip_core.job import DetectStripesJob, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.restoration_jobs import DenoiseJob


def job_file(tmp_path, kind=DenoiseJob, **options) -> str:
    path = tmp_path / "job.json"
    path.write_text(to_json(kind("a.tif", Outputs(output=str(tmp_path / "o.tif")), **options)), encoding="utf-8")
    return str(path)


def run_with(tmp_path, error, step="Estimating", **options):
    """A run whose task reports a step, writes half of an output and fails; the emitted events and the exit code."""

    def task(job, context):
        context.progress(0.1, step)
        atomic.create_temporary(job.outputs.output)
        raise error

    emitted: list = []
    code = __main__.run_file(job_file(tmp_path, **options), emitted.append, lambda name: task)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.json"]
    assert [type(event) for event in emitted] == [Progress, Error]
    assert "\n" not in emitted[-1].text and "Traceback" not in emitted[-1].text
    return code, emitted[-1]


class Silent(Exception):
    """An exception of a library that fails to describe itself."""

    def __str__(self):
        raise ValueError("no text")


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        ValueError("a reason\nof two lines"),
        np.linalg.LinAlgError("Singular matrix"),
        RecursionError("maximum recursion depth exceeded"),
        KeyError("x"),
        AssertionError(),
        SystemExit(3),
        OSError(errno.EIO, "Input/output error"),
        RuntimeError("x" * 5000),
        Silent(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_unexpected_error_is_one_sentence_with_the_step(tmp_path, capsys, error):
    code, event = run_with(tmp_path, error)
    assert code == 1 and event.kind == "UnexpectedError"
    assert re.search(rf"in the step 'Estimating' \({type(error).__name__}", event.text)
    assert "report it with the log" in event.text and len(event.text) < 500
    log = capsys.readouterr().err
    assert "Details for a problem report" in log and "test_failures.py" in log


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError("Unable to allocate 50 GiB"), "OutOfMemory", "50 GiB"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "OutOfMemory", "Cannot allocate memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "OutOfMemory", "2.00 GiB"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "OutOfMemory", "Close other programs"),
        (OSError("libcpu.so: cannot allocate memory in static TLS block"), "OutOfMemory", "static TLS"),
        (ModuleNotFoundError("No module named 'scipy'"), "MissingLibrary", "scipy"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/o.tif"), "DiskFull", "/x/o.tif"),
        (KeyboardInterrupt(), "Cancelled", "cancelled"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_known_causes_have_their_own_sentence(tmp_path, error, kind, words):
    code, event = run_with(tmp_path, error)
    assert event.kind == kind and words in event.text
    assert code == (130 if kind == "Cancelled" else 1)


@pytest.mark.parametrize(
    ("kind", "options", "advice", "not_advice"),
    [
        (DenoiseJob, {"method": "best"}, "choose METHOD fast", "Clip"),
        (DenoiseJob, {"method": "fast"}, "smaller TILE_SIZE", "METHOD"),
        (DetectStripesJob, {}, "Clip the raster", "TILE_SIZE"),  # has neither a TILE_SIZE nor a METHOD
    ],
)
def test_out_of_memory_gives_advice_for_this_job(tmp_path, kind, options, advice, not_advice):
    _, event = run_with(tmp_path, MemoryError("Unable to allocate 50 GiB"), kind=kind, **options)
    assert advice in event.text and not_advice not in event.text


def test_a_result_that_cannot_be_sent_is_an_error_without_outputs(tmp_path):
    def task(job, context):
        atomic.create_temporary(job.outputs.output)
        return Result({"OUTPUT": job.outputs.output}, {"HELDOUT_RMSE": np.float32(1)})  # no JSON number

    emitted: list = []
    assert __main__.run_file(job_file(tmp_path), emitted.append, lambda name: task) == 1
    assert [event.kind for event in emitted] == ["UnexpectedError"] and not (tmp_path / "o.tif").exists()


def test_sentences_are_one_line_of_limited_length():
    text = str(errors.UnreadableRaster(path="a\nb\0c\udcff\u2028" + "d" * 10**5, reason="x"))
    assert text.isprintable() and "a\\nb\\x00c\\udcff\\u2028dd" in text and len(text) < 2000
    assert "Müller & Söhne" in str(errors.UnreadableRaster(path="Müller & Söhne", reason="x"))


def test_the_step_is_the_last_one_that_was_reported(tmp_path):
    _, event = run_with(tmp_path, ValueError("x"), step="Filling 3 gaps")
    assert "'Filling 3 gaps'" in event.text


def test_advice_before_the_job_is_read():
    assert "Close other programs" in str(failures.as_user_error(MemoryError()))
    assert Compute().tile_size == 0
