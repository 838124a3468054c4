"""The worker process and command line: ``python -m dip_core job.json``.

Events are written to standard output, one JSON object per line; the output of libraries goes to standard error. The
exit code is 0 after a result, 1 after an error and 130 after cancelling. With ``--supervised`` the worker stops at once
when it reads the line ``cancel`` or when its standard input ends (the parent process has ended); `runtime.watchdog`
ends it if a library does not let it. ``--probe`` prints the versions and devices of the environment. No partial file is
left in any case.
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
from functools import partial
from types import FrameType
from typing import Any

from . import __version__, errors, events, failures, job, run_folders
from .raster import atomic
from .runtime import watchdog
from .runtime.context import Context

EXIT_CANCELLED = 130
_LIBRARIES = (
    "torch",
    "numpy",
    "rasterio",
    "scipy",
    "skimage",
    "matplotlib",
    "safetensors",
    "jinja2",
    "psutil",
    "threadpoolctl",
)

Emit = Callable[[events.Event], None]
Task = Callable[[Any, Context], events.Result]


def main(arguments: list[str] | None = None) -> int:
    """Run one job, or probe the environment; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dip_core", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("job", nargs="?", help="a job file (JSON), see dip_core/job.py")
    parser.add_argument("--supervised", action="store_true", help="stop at the end of standard input")
    parser.add_argument("--probe", action="store_true", help="print versions and devices as JSON")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args(arguments)
    if options.probe:
        return probe()
    if not options.job:
        parser.error("name a job file")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _on_signal)
    if watchdog.PARENT_SIGNAL is not None:
        signal.signal(watchdog.PARENT_SIGNAL, partial(_on_parent_signal, os.getppid()))
    watchdog.start(partial(run_folders.clean_up_after_worker, options.job, atomic.token()), options.supervised)
    emit = _reserve_stdout_for_events()
    if options.supervised:
        threading.Thread(target=_watch_stdin, daemon=True).start()
    code = run_file(options.job, emit)
    sys.stderr.flush()
    return code


def run_file(path: str, emit: Emit, find_task: Callable[[str], Task] | None = None) -> int:
    """Run the job in a file and emit its events; returns the exit code. Leaves no partial file.

    ``find_task``: the function for a task id; by default ``run`` of the module of that name in `dip_core.tasks`.
    """
    current: job.Job | None = None
    step = ""

    def emit_and_note_step(event: events.Event) -> None:
        nonlocal step
        if isinstance(event, events.Progress):
            step = event.step or step
        emit(event)

    try:
        current = job.from_json(_read_job_file(path))
        for output in current.outputs.requested().values():
            atomic.check_writable(output)  # now, not after hours of work
        from .raster.input_files import check_inputs_are_kept  # imports rasterio, whose lack is one sentence below

        check_inputs_are_kept(current)
        compute = getattr(current, "compute", None)
        context = Context(emit_and_note_step, compute and compute.time_budget)
        result = (find_task or _import_task)(current.task)(current, context)
        events.to_line(result)  # an event that cannot be sent fails before any output appears
        atomic.commit()
        emit(result)
        return 0
    except BaseException as error:  # whatever happens, the user gets one sentence
        found = failures.as_user_error(error, current, step)
        if isinstance(found, errors.UnexpectedError):
            print(failures.details(error), file=sys.stderr)  # noqa: T201  # for the log
        emit(events.Error(str(found), found.kind, {name: str(value) for name, value in found.facts.items()}))
        return EXIT_CANCELLED if isinstance(found, errors.Cancelled) else 1
    finally:
        atomic.discard()


def probe() -> int:
    """Print versions and devices as one JSON object, or the missing libraries and exit code 1."""
    versions, missing = {}, []
    for name in _LIBRARIES:
        try:
            library = importlib.import_module(name)
            versions[name] = str(getattr(library, "__version__", "unknown"))
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        print(json.dumps({"missing": missing}))  # noqa: T201  # the output of --probe
        return 1
    from .runtime.devices import available_devices

    python = sys.version.split()[0]
    found = {"python": python, "core": __version__, "versions": versions, "devices": available_devices()}
    print(json.dumps(found))  # noqa: T201  # the output of --probe
    return 0


def _read_job_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as file:  # some editors on Windows write a byte order mark
            return file.read()
    except OSError as error:
        reason = f"Cannot read the job file '{path}': {os.strerror(error.errno or 5)}."
        raise errors.InvalidJob(reason=reason) from error
    except UnicodeDecodeError as error:
        raise errors.InvalidJob(reason=f"The job file '{path}' is not JSON text.") from error


def _import_task(task: str) -> Task:
    # Objects that libraries create while they load are permanent; searching them for garbage takes a tenth of the time.
    gc.disable()
    try:
        run: Task = importlib.import_module(f".tasks.{task}", __package__).run
        from .runtime.threads import limit_blas_threads

        limit_blas_threads()
    finally:
        gc.freeze()
        gc.enable()
    return run


def _reserve_stdout_for_events() -> Emit:
    """Send prints of libraries, C code included, to standard error; returns the function that emits events."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr

    def emit(event: events.Event) -> None:
        with contextlib.suppress(OSError):  # nobody reads the events any more
            stream.write(events.to_line(event) + "\n")
            stream.flush()

    return emit


def _watch_stdin() -> None:
    for line in sys.stdin:
        if line.strip() == "cancel":
            break
    _stop()


def _on_signal(number: int, frame: FrameType | None) -> None:
    _stop()


def _on_parent_signal(parent: int, number: int, frame: FrameType | None) -> None:
    if watchdog.has_parent_changed(parent):
        _stop()


def _stop() -> None:
    """End the process at once without partial files: a computation in C code cannot be interrupted in another way.

    A run that is just renaming its outputs is allowed to finish.
    """
    if atomic.commit_lock.acquire(blocking=False):
        atomic.discard()
        os._exit(EXIT_CANCELLED)


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    # The interpreter's own exit takes up to a second after torch was loaded; everything is written and closed.
    os._exit(exit_code)
