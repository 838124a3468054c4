"""Turns any exception of a run into an error with one sentence for the user.

Standard library only, because it must work in an engine that lacks a library.
"""

from __future__ import annotations

import errno
import traceback
from typing import Any

from . import errors

_MEMORY_TEXTS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "unable to allocate",
    "failed to map segment",
    "bad_alloc",
    "bad allocation",
    "paging file is too small",
)
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_MAX_REASON = 160  # characters of a library's message in a sentence


def as_user_error(error: BaseException, job: Any = None, step: str = "") -> errors.DeepPriorError:
    """The error to emit for an exception that ended a run.

    ``job``: the job if it could be read; ``step``: the last progress text.
    """
    if isinstance(error, errors.DeepPriorError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return errors.Cancelled()
    if is_out_of_memory(error):
        return errors.OutOfMemory(reason=_reason(error), advice=memory_advice(job, isinstance(error, ImportError)))
    if isinstance(error, ImportError):
        return errors.MissingLibrary(reason=_message(error))
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return errors.DiskFull(path=error.filename or "a temporary file", reason="the disk filled up while writing")
    return errors.UnexpectedError(reason=_reason(error), step=step or "starting")


def is_out_of_memory(error: BaseException) -> bool:
    """True if memory ran out: in Python, in a library, on an accelerator, or while a library was loaded."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    text = _text_of(error).lower()
    return any(part in text for part in _MEMORY_TEXTS)


def memory_advice(job: Any, while_loading: bool = False) -> str:
    """What to do about too little memory: only what this kind of job has and does not do yet."""
    if while_loading or job is None:
        return "Close other programs, or use a machine with more memory."
    has_tiles = hasattr(job, "compute")
    method = getattr(job, "method", None)
    if has_tiles and method not in (None, "fast"):
        return "Set a smaller TILE_SIZE, or choose METHOD fast."
    if has_tiles and method:
        return "Set a smaller TILE_SIZE, or close other programs."
    return "Clip the raster into parts first, or close other programs."


def details(error: BaseException) -> str:
    """Where the exception was raised, for a problem report."""
    frames = [
        f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return "\n".join(["Details for a problem report:", *frames[-40:], f"  {_reason(error)}"])


def _reason(error: BaseException) -> str:
    """The class and the message of an exception on one line, such as ``ValueError: too small``."""
    message = _message(error)
    name = type(error).__name__
    return f"{name}: {message}" if message else name


def _message(error: BaseException) -> str:
    text = " ".join(_text_of(error).split())
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 3] + "..."


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a library's exception may fail to describe itself
        return ""
