"""Ends child processes with QGIS on Windows, by a job object; the other systems do this in the child.

Windows ends all processes of the job object when its last handle is closed, which happens when QGIS ends in any way.
Source: Microsoft, Job Objects (JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE). Standard library only and no QGIS.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from typing import Any

_EXTENDED_LIMIT_INFORMATION = 9
_KILL_ON_JOB_CLOSE = 0x2000
_jobs: list[int] = []  # the handle of this process's job object, which stays open until the process ends


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


def end_with_this_process(process: subprocess.Popen[str], kernel: Any = None) -> bool:
    """Let Windows end a child when this process ends; False if it does not, and on other systems.

    ``kernel``: the library kernel32, for tests.
    """
    kernel = kernel or _kernel()
    handle = getattr(process, "_handle", None)
    if kernel is None or handle is None:
        return False
    try:
        _declare(kernel)
        if not _jobs:
            job = _create_job(kernel)
            if not job:
                return False
            _jobs.append(job)
        return bool(kernel.AssignProcessToJobObject(_jobs[0], int(handle)))
    except OSError:
        return False


def _kernel() -> Any:
    """The library kernel32; None on other systems."""
    if sys.platform == "win32":
        return ctypes.WinDLL("kernel32", use_last_error=True)
    return None


def _declare(kernel: Any) -> None:
    """Declare the types, because handles have 64 bits."""
    handle, pointer = ctypes.c_void_p, ctypes.c_void_p
    kernel.CreateJobObjectW.argtypes, kernel.CreateJobObjectW.restype = [pointer, ctypes.c_wchar_p], handle
    kernel.SetInformationJobObject.argtypes = [handle, ctypes.c_int, pointer, ctypes.c_uint32]
    kernel.SetInformationJobObject.restype = ctypes.c_int
    kernel.AssignProcessToJobObject.argtypes = [handle, handle]
    kernel.AssignProcessToJobObject.restype = ctypes.c_int
    kernel.CloseHandle.argtypes, kernel.CloseHandle.restype = [handle], ctypes.c_int


def _create_job(kernel: Any) -> int:
    """The handle of a new job object, 0 if there is none. The handle is not inherited by children."""
    job = kernel.CreateJobObjectW(None, None)
    if not job:
        return 0
    limits = _ExtendedLimits()
    limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
    if not kernel.SetInformationJobObject(
        job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
    ):
        kernel.CloseHandle(job)
        return 0
    return int(job)
