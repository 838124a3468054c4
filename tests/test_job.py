"""Jobs cross the process boundary unchanged, and an invalid job is rejected with one sentence."""

from __future__ import annotations

import dataclasses
import json
import os
from string import Formatter

import pytest
from core_scenes import ROOT

from dip_core import errors, events
from dip_core.errors import InvalidJob
from dip_core.job import JOB_TYPES, AssessJob, SimulateGapsJob, from_json, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import GapFillJob

OUT = Outputs(output="o.tif")
JOBS = [
    GapFillJob(("a.tif",), OUT),
    GapFillJob(
        ("a.tif", "b.tif"),
        Outputs("o.tif", "u.tif", "f.tif", None, "r.html", "m.csv"),
        ("g1.gz", "g2.gz"),
        "nonzero_is_gap",
        "guide.tif",
        True,
        "paper_composite",
        "meshgrid",
        Compute("cuda:1", 7, 12.5, 128, 32, "tcp://10.0.0.1:8786", 3),
    ),
    SimulateGapsJob("a.tif", Outputs(mask="m.tif"), 0.1, 0.2, 35.0, 4),
    AssessJob("a.tif", "b.tif", Outputs(report="r.html"), "m.tif"),
]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.task)
def test_json_round_trip(job):
    assert from_json(to_json(job)) == job


def test_a_job_file_needs_only_fields_without_a_default():
    job = from_json('{"task": "gap_fill", "inputs": ["a.tif"], "outputs": {"output": "o.tif"}}')
    assert job == JOBS[0] and job.method == "best"
    # One raster may be given without the brackets of a list.
    assert from_json('{"task": "gap_fill", "inputs": "a.tif", "outputs": {"output": "o.tif"}}') == JOBS[0]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"inputs": ()}, "No INPUT raster"),
        ({"outputs": Outputs(report="r.html")}, "No OUTPUT file"),
        ({"method": "magic"}, "METHOD 'magic' is unknown: use best, fast"),
        ({"mask_polarity": "1"}, "MASK_POLARITY '1' is unknown"),
        ({"network_input": "zeros"}, "NETWORK_INPUT 'zeros' is unknown"),
    ],
)
def test_invalid_values_are_named(facts, reason):
    with pytest.raises(InvalidJob, match=reason):
        dataclasses.replace(JOBS[0], **facts)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"device": "gpu"}, "DEVICE 'gpu' is unknown"),
        ({"device": "cuda:x"}, "DEVICE"),
        ({"seed": -1}, "SEED is -1"),
        ({"seed": 1.5}, "SEED is 1.5"),
        ({"time_budget": 0}, "TIME_BUDGET is 0"),
        ({"time_budget": float("nan")}, "TIME_BUDGET is nan"),
        ({"tile_size": 63}, "TILE_SIZE is 63: give at least 64"),
        ({"tile_size": 100.5}, r"TILE_SIZE is 100\.5"),
        ({"tile_size": 64, "overlap": 32}, "OVERLAP 32 is too large for TILE_SIZE 64"),
        ({"overlap": -1}, "OVERLAP is -1"),
        ({"threads": -1}, "threads is -1"),
    ],
)
def test_invalid_compute_options_are_named(facts, reason):
    with pytest.raises(InvalidJob, match=reason):
        Compute(**facts)
    text = json.dumps({"task": "gap_fill", "inputs": ["a.tif"], "outputs": {"output": "o.tif"}, "compute": facts})
    with pytest.raises(InvalidJob, match=reason):
        from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "3",
        "null",
        '"gap_fill"',
        "{}",
        '{"task": "make_coffee"}',
        '{"task": ["gap_fill"]}',
        '{"task": null}',
    ],
)
def test_a_text_that_is_not_a_job_is_rejected(text):
    with pytest.raises(InvalidJob, match="The job file is not a Deep Prior job"):
        from_json(text)


@pytest.mark.parametrize(
    "facts",
    [
        {"speed": "fast"},
        {"inputs": ["a.tif"], "outputs": {"output": "o.tif", "picture": "p.png"}},
        {"inputs": ["a.tif"], "outputs": None},
        {"inputs": ["a.tif"]},
        {"inputs": ["a.tif"], "outputs": {"output": "o.tif"}, "compute": {"seed": "seven", "device": None}},
    ],
)
def test_wrong_and_missing_entries_are_rejected(facts):
    with pytest.raises(InvalidJob):
        from_json(json.dumps({"task": "gap_fill", **facts}))


def test_no_output_overwrites_an_input_or_another_output(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tif").write_text("")
    os.symlink(tmp_path / "a.tif", tmp_path / "link.tif")
    for other in ("a.tif", "./a.tif", str(tmp_path / "a.tif"), "x/../a.tif", "link.tif"):
        with pytest.raises(InvalidJob, match="OUTPUT would overwrite the input"):
            GapFillJob(("a.tif",), Outputs(output=other))
    with pytest.raises(InvalidJob, match="FILLED would overwrite the input"):
        GapFillJob(("b.tif",), Outputs(output="o.tif", filled="m.tif"), gap_masks=("m.tif",))
    with pytest.raises(InvalidJob, match="REPORT would overwrite the input"):
        GapFillJob(("b.tif",), Outputs(output="o.tif", report="g.tif"), guide="g.tif")
    with pytest.raises(InvalidJob, match="UNCERTAINTY and OUTPUT are the same file"):
        GapFillJob(("b.tif",), Outputs(output="o.tif", uncertainty="./o.tif"))


# Events and errors cross the boundary in the other direction


@pytest.mark.parametrize(
    "event",
    [
        events.Progress(0.25, "Filling", 3.5),
        events.Message("Zeile\nmit Umbruch, 5 µm", "warning"),
        events.Result({"OUTPUT": "o.tif"}, {"PIXELS_LEFT": 0.0, "HELDOUT_RMSE": None}),
        events.Error("It failed.", "DiskFull", {"path": "o.tif"}),
    ],
)
def test_events_are_one_line_of_json(event):
    line = events.to_line(event)
    assert "\n" not in line and line.isascii()
    assert events.from_line(line) == event


def test_undefined_numbers_become_null():
    line = events.to_line(events.Result({}, {"A": float("nan"), "B": float("inf"), "C": 1.0}))
    assert events.from_line(line).numbers == {"A": None, "B": None, "C": 1.0}


@pytest.mark.parametrize(
    "line", ["", "hello", "{", "{}", '{"event": "dance"}', '{"event": "progress"}', "[1]", "{[]: 1}"]
)
def test_other_lines_are_not_events(line):
    assert events.from_line(line) is None


def test_every_error_is_one_sentence_and_keeps_its_facts():
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DeepPriorError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        facts = {name: f"<{name}>" for _, name, _, _ in Formatter().parse(kind.sentence) if name}
        error = kind(**facts)
        assert error.kind == kind.__name__ and error.facts == facts
        assert "{" not in str(error) and "\n" not in str(error)


def test_every_task_id_has_its_module():
    modules = {path.stem for path in (ROOT / "dip_core" / "tasks").glob("*.py")}
    assert set(JOB_TYPES) <= modules
    assert all(job_type.task == task for task, job_type in JOB_TYPES.items())
