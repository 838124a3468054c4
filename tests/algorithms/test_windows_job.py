"""On Windows, children are put into one job object, which ends them with QGIS."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from algorithms import windows_job


class Function:
    """A function of a library, which records its calls."""

    def __init__(self, result, calls, name):
        self.result, self.calls, self.name = result, calls, name

    def __call__(self, *arguments):
        self.calls.append((self.name, *arguments))
        return self.result


@pytest.fixture
def kernel(monkeypatch):
    """A replacement of kernel32; its results can be changed."""
    monkeypatch.setattr(windows_job, "_jobs", [])
    calls: list = []
    results = {
        "CreateJobObjectW": 2**40 + 7,
        "SetInformationJobObject": 1,
        "AssignProcessToJobObject": 1,
        "CloseHandle": 1,
    }
    functions = {name: Function(result, calls, name) for name, result in results.items()}
    return SimpleNamespace(calls=calls, **functions)


CHILD = SimpleNamespace(_handle=99)


def test_children_share_one_job_that_ends_them(kernel):
    assert windows_job.end_with_this_process(CHILD, kernel) and windows_job.end_with_this_process(CHILD, kernel)
    names = [call[0] for call in kernel.calls]
    assert names == ["CreateJobObjectW", "SetInformationJobObject", *["AssignProcessToJobObject"] * 2]
    _, job, kind, limits, size = kernel.calls[1]
    assert job == 2**40 + 7 and kind == 9 and size == ctypes.sizeof(windows_job._ExtendedLimits)
    assert limits._obj.BasicLimitInformation.LimitFlags == 0x2000
    assert kernel.calls[2][1:] == (2**40 + 7, 99)
    assert kernel.CreateJobObjectW.restype is ctypes.c_void_p  # 64 bits


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="sizes of a 64-bit system")
def test_the_structures_have_the_sizes_of_windows():
    assert ctypes.sizeof(windows_job._BasicLimits) == 64 and ctypes.sizeof(windows_job._ExtendedLimits) == 144


@pytest.mark.parametrize("failing", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_a_failure_is_not_fatal(kernel, failing):
    getattr(kernel, failing).result = 0
    assert windows_job.end_with_this_process(CHILD, kernel) is False
    if failing == "SetInformationJobObject":
        assert kernel.calls[-1] == ("CloseHandle", 2**40 + 7)


def test_other_systems_do_nothing():
    assert windows_job.end_with_this_process(SimpleNamespace()) is False
