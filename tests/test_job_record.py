"""Every entry of every job has its type: wrong ones are rejected with one sentence that names them."""

from __future__ import annotations

import json
import random
from dataclasses import fields

import pytest

from dip_core import __main__
from dip_core.errors import InvalidJob
from dip_core.events import Error, Result, to_line
from dip_core.job import JOB_TYPES, from_json, to_json
from dip_core.job_fields import Compute, Outputs

OUT = {"output": "o.tif"}
MINIMAL = {
    "gap_fill": {"inputs": ["a.tif"], "outputs": OUT},
    "inpaint_stripes": {"input": "a.tif", "outputs": OUT},
    "detect_stripes": {"input": "a.tif", "outputs": OUT},
    "denoise": {"input": "a.tif", "outputs": OUT},
    "superresolve": {"input": "a.tif", "outputs": OUT},
    "train_superresolver": {"inputs": ["a.tif"], "outputs": {"model": "m.safetensors"}},
    "simulate_gaps": {"input": "a.tif", "outputs": OUT},
    "assess": {"restored": "a.tif", "reference": "b.tif", "outputs": {}},
}
WRONG = {
    "str": [3, True, None, ["a.tif"], {"a": 1}, "a\0b", "a\udcffb", "x" * 10**5],
    "str | None": [3, False, ["a.tif"], {}, "\ud800"],
    "int": ["3", True, 1.5, [1], {}, None, "", 1e300],
    "float": ["3", True, [0.5], None, 10**400],
    "float | None": ["3", False, [], {"a": 1}, 10**400],
    "bool": [0, 1, "true", "", None, []],
    "tuple[str, ...]": [3, None, True, [3], [["a"]], [None], {"a": 1}],
    "tuple[float, ...]": [True, "a", [[1]], {"a": 1}, [None, 2], ["1 x"], [10**400]],
    "Outputs": [None, [], "o.tif", 3],
    "Compute": [None, [], "cpu", 3],
}


def entries():
    """All entries of all jobs: a job's record, the object in it that has the entry, its name and annotation."""
    for task, job_type in JOB_TYPES.items():
        for field in fields(job_type):
            yield task, None, field.name, str(field.type)
        for part, kind in (("outputs", Outputs), ("compute", Compute)):
            if part in {field.name for field in fields(job_type)}:
                for field in fields(kind):
                    yield task, part, field.name, str(field.type)


@pytest.mark.parametrize(("task", "part", "name", "annotation"), list(entries()))
def test_wrong_types_are_rejected(task, part, name, annotation):
    for value in WRONG[annotation]:
        record = json.loads(json.dumps({"task": task, **MINIMAL[task]}))
        target = record.setdefault(part, {}) if part else record
        target[name] = value
        with pytest.raises(InvalidJob) as caught:
            from_json(json.dumps(record))
        text = str(caught.value)
        assert text.startswith((f"{name.upper()} is ", name.upper())) and text.isprintable() and len(text) < 400, text


@pytest.mark.parametrize("task", MINIMAL)
def test_right_types_are_accepted(task):
    job = from_json(json.dumps({"task": task, **MINIMAL[task]}))
    assert from_json(to_json(job)) == job


def test_other_spellings_of_numbers_and_lists():
    record = {"task": "gap_fill", "inputs": "a.tif", "outputs": OUT, "gap_masks": "m.tif", "nodata": "-9999; 32767"}
    record["compute"] = {"seed": 3.0, "time_budget": 5}
    job = from_json(json.dumps(record))
    assert job.inputs == ("a.tif",) and job.gap_masks == ("m.tif",) and job.nodata == (-9999.0, 32767.0)
    assert job.compute.seed == 3 and isinstance(job.compute.seed, int)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"task": "denoise", "input": ' + "[" * 5000 + "]" * 5000 + "}", ""),
        ('{"task": ' + '{"a":' * 100_000 + "1" + "}" * 100_001, "nested too deeply"),
        ('{"task": "denoise", "task": "assess"}', "'task' twice"),
        ('{"task": "denoise", "input": "a", "outputs": {"output": "o", "output": "p"}}', "'output' twice"),
        ('{"task": "denoise", "input": "a", "outputs": {"output": "o"}, "speed": 1}', "unknown entry 'speed'"),
        ('{"task": "denoise", "input": "a", "outputs": {"picture": "o"}}', "unknown entry 'picture'"),
        ('{"task": "denoise", "input": "a"}', "no entry 'outputs'"),
        ('{"task": "denoise", "input": "a", "outputs": {"output": "o"}, "sigma": ' + "9" * 5000 + "}", ""),
        ('{"task": "denoise", "input": "a", "outputs": {"output": "o"}, "sigma": Infinity}', "SIGMA is inf"),
        ('{"task": "denoise", "input": "a", "outputs": {"output": "o"}, "sigma": NaN}', "SIGMA is nan"),
        ('{"task": "denoise", "input": "a", "outputs": {"output": "o"}, "sigma": 1e999}', "SIGMA is inf"),
        ("\0", "not JSON"),
        ("\ud800", "not JSON"),
    ],
)
def test_texts_that_are_no_job(text, words):
    with pytest.raises(InvalidJob) as caught:
        from_json(text)
    assert words in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"time_budget": float("inf")}, "TIME_BUDGET is inf"),
        ({"time_budget": float("nan")}, "TIME_BUDGET is nan"),
        ({"seed": 2**60}, "SEED is too large"),
        ({"threads": 10**9}, "threads is 1000000000"),
    ],
)
def test_limits_of_numbers(facts, words):
    with pytest.raises(InvalidJob, match=words):
        Compute(**facts)


@pytest.mark.parametrize("sigma", [1e-300, 0.009, 16.1, 1e9, float("inf"), float("nan"), -1.0])
def test_limits_of_the_psf(sigma):
    record = {"task": "superresolve", **MINIMAL["superresolve"], "psf": "gaussian", "psf_sigma": sigma}
    with pytest.raises(InvalidJob, match=r"PSF_SIGMA is .*: give 0\.01 to 16 output pixels for FACTOR 2"):
        from_json(json.dumps(record))


# Fuzzing: mutations of valid job files


HUGE = [10**400, -(10**30), 1e308, float("inf"), float("nan"), "x" * 10**5, ["a"] * 1000, {"a": {"b": {}}}]


def mutate(text: str, rng: random.Random) -> bytes:
    """The job file with one random fault: other bytes, a value of another type, or a missing or second entry."""
    kind = rng.choice(["bytes", "cut", "type", "delete", "huge", "rename", "twice"])
    if kind in ("bytes", "cut"):
        raw = bytearray(text.encode())
        if kind == "cut":
            return bytes(raw[: rng.randrange(len(raw))])
        for _ in range(rng.randint(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw)
    record = json.loads(text)
    target = rng.choice([record, *(value for value in record.values() if isinstance(value, dict))])
    name = rng.choice(sorted(target))
    if kind == "type":
        target[name] = rng.choice([None, True, 0, -1, 2.5, "", "auto", [], [1], [[]], {}, {"a": 1}])
    elif kind == "huge":
        target[name] = rng.choice(HUGE)
    elif kind == "delete":
        del target[name]
    elif kind == "rename":
        target[name + rng.choice(["", "_", "\0", "\ud800"])] = target.pop(name)
    else:
        return text.replace("{", "{" + f'"{name}": 1,', 1).encode()
    return json.dumps(record).encode()


@pytest.mark.parametrize("task", MINIMAL)
def test_mutated_job_files_give_one_result_or_one_error(tmp_path, monkeypatch, capsys, task):
    monkeypatch.chdir(tmp_path)  # outputs without a folder
    rng = random.Random(task)
    valid = to_json(from_json(json.dumps({"task": task, **MINIMAL[task]})))
    folder = tmp_path / "jobs"
    folder.mkdir()
    for _ in range(100):
        path = folder / "job.json"
        path.write_bytes(mutate(valid, rng))
        emitted: list = []
        code = __main__.run_file(str(path), emitted.append, lambda name: lambda job, context: Result())
        assert [type(event) for event in emitted] == [Error if code else Result] and code in (0, 1), path.read_bytes()
        assert "\n" not in to_line(emitted[0])
        if code:
            assert emitted[0].kind in ("InvalidJob", "UnwritableOutput"), (emitted[0], path.read_bytes())
            assert emitted[0].text.isprintable() and "Traceback" not in emitted[0].text
        assert [entry.name for entry in tmp_path.iterdir()] == ["jobs"]
    assert "Details for a problem report" not in capsys.readouterr().err
