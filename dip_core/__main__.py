"""The worker, and the command line: ``python -m dip_core job.json``.

Events go to standard output, one JSON object a line; whatever libraries print goes to standard error.
Exit code 0 with a result, 1 with an error, 130 when cancelled. With ``--supervised`` the worker obeys its
standard input: the line ``cancel`` or its end (the parent is gone) stops the run at once, and no partial
file is left behind. ``--probe`` tells what the environment holds.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from . import __version__, errors, events, job
from .raster import atomic
from .runtime.context import Context

CANCELLED = 130
_LIBRARIES = ("torch", "numpy", "rasterio", "scipy", "skimage", "matplotlib", "safetensors")
_out_of_memory_words = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def main(arguments: list[str] | None = None) -> int:
    """Run one job, or probe the environment; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dip_core", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("job", nargs="?", help="a job file (JSON), see dip_core/job.py")
    parser.add_argument("--supervised", action="store_true", help="stop at the end of standard input")
    parser.add_argument("--probe", action="store_true", help="print versions and devices as JSON")
    parser.add_argument("--version", action="version", version=__version__)
    chosen = parser.parse_args(arguments)
    if chosen.probe:
        return probe()
    if not chosen.job:
        parser.error("name a job file")
    tell = _events_only()
    if chosen.supervised:
        threading.Thread(target=_watch_input, daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    # Pieces of work run side by side, one a core, with matrices so small that NumPy's own threads get in their way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = run_file(chosen.job, tell)
    sys.stderr.flush()
    return code


def run_file(path: str, tell: Callable[[events.Event], None]) -> int:
    """Run the job in a file and tell its events; returns the exit code. Leaves no partial file."""
    try:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise errors.InvalidJob(
                reason=f"Cannot read the job file '{path}': {os.strerror(error.errno or 5)}."
            ) from error
        except UnicodeDecodeError as error:
            raise errors.InvalidJob(reason=f"The job file '{path}' is not JSON text.") from error
        wanted = job.from_json(text)
        for output in wanted.outputs.wanted().values() if hasattr(wanted, "outputs") else ():
            atomic.check_writable(output)  # now, not after hours of work
        budget = wanted.compute.time_budget if hasattr(wanted, "compute") else None
        result = _task(wanted.task)(wanted, Context(tell, budget))
        atomic.commit()
        tell(result)
        return 0
    except errors.Cancelled as error:
        tell(events.Error(str(error), error.kind))
        return CANCELLED
    except errors.DeepPriorError as error:
        tell(events.Error(str(error), error.kind, {name: str(value) for name, value in error.facts.items()}))
        return 1
    except ImportError as error:
        missing = errors.MissingLibrary(reason=str(error))
        tell(events.Error(str(missing), missing.kind, {"reason": str(error)}))
        return 1
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(word in str(error).lower() for word in _out_of_memory_words):
            raise
        reason = str(error).split("\n")[0][:120] or "the machine's memory is used up"
        if hasattr(wanted, "method"):
            full = errors.OutOfMemory(reason=reason)
        else:  # a job without tiles
            full = errors.OutOfMemory(reason=reason, advice="Clip the raster into parts first.")
        tell(events.Error(str(full), full.kind))
        return 1
    finally:
        atomic.discard()


def probe() -> int:
    """Print versions and devices as one JSON object, or the missing libraries and exit code 1."""
    versions, missing = {}, []
    for name in _LIBRARIES:
        try:
            versions[name] = str(importlib.import_module(name).__version__)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        print(json.dumps({"missing": missing}))  # noqa: T201
        return 1
    from .runtime.devices import available_devices

    found = {"python": sys.version.split()[0], "core": __version__, "versions": versions, "devices": available_devices()}
    print(json.dumps(found))  # noqa: T201
    return 0


def _task(name: str) -> Callable[[Any, Context], events.Result]:
    # What libraries make as they load stays: to look for garbage in it takes a tenth of the time that loading takes.
    gc.disable()
    try:
        run: Callable[[Any, Context], events.Result] = importlib.import_module(f".tasks.{name}", __package__).run
    finally:
        gc.freeze()
        gc.enable()
    return run


def _events_only() -> Callable[[events.Event], None]:
    """Keep standard output for events: prints of libraries, C code included, go to standard error."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def tell(event: events.Event) -> None:
        with contextlib.suppress(BrokenPipeError):
            stream.write(events.to_line(event) + "\n")
            stream.flush()

    return tell


def _watch_input() -> None:
    for line in sys.stdin:
        if line.strip() == "cancel":
            break
    _stop()


def _on_signal(number: int, frame: FrameType | None) -> None:
    _stop()


def _stop() -> None:
    """Leave at once and leave nothing behind: a computation in C code cannot be interrupted otherwise.

    A run that is just giving its files their names is let through: it ends by itself, and whole.
    """
    if atomic.commit_lock.acquire(blocking=False):
        atomic.discard()
        os._exit(CANCELLED)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # The interpreter's own exit takes up to a second after torch; everything is written and closed.
    os._exit(code)
