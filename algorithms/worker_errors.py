"""Exceptions for a failed worker: from the error event that it sent, or from its exit code and output."""

from __future__ import annotations

import re
import sys

from ..dip_core import errors, events
from .engine_process import last_words

MAX_MEMORY_WORDS = 120  # characters of the output that an OutOfMemory quotes
_MISSING = re.compile(r"(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)")
_MEMORY = re.compile(
    "MemoryError|out of memory|bad_alloc|can't allocate memory|cannot allocate memory|failed to map segment|"
    "paging file is too small",
    re.IGNORECASE,
)
_DLL = re.compile(r"WinError (?:1114|126|127)|DLL load failed|c10\.dll", re.IGNORECASE)


def error_from_event(event: events.Error) -> errors.DeepPriorError:
    """The exception that an error event describes, with the worker's own sentence."""
    kind = getattr(errors, event.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.DeepPriorError)):
        return errors.DeepPriorError(reason=event.text)
    # Not kind(...), which would format the sentence again.
    error = kind.__new__(kind)
    Exception.__init__(error, event.text)
    error.facts = dict(event.facts)
    return error


def error_from_exit(code: int, output: str) -> errors.DeepPriorError:
    """The exception for a worker that ended with exit ``code`` and sent neither a result nor an error."""
    if missing := _MISSING.search(output):
        return errors.MissingLibrary(reason=missing.group(1))
    if _MEMORY.search(output):  # before the DLLs, which do not load without memory either
        return errors.OutOfMemory(reason=last_words(output, MAX_MEMORY_WORDS))
    if _DLL.search(output):
        return errors.MissingLibrary(
            reason="PyTorch's DLLs do not load; install Microsoft's Visual C++ Redistributable"
        )
    if code in (-9, 137):
        return errors.WorkerFailed(
            reason="the system ended it, most likely for lack of memory",
            advice="with a smaller TILE_SIZE or METHOD fast",
        )
    if code < 0:
        reason = f"signal {-code}"
    elif sys.platform == "win32" and code > 0xFFFF:
        reason = f"exit code {code:#x}"
    else:
        reason = f"exit code {code}"
    return errors.WorkerFailed(
        reason=f"{reason}; {last_words(output)}",
        advice="and if it happens again, report it with the log",
    )
