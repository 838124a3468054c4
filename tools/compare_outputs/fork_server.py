"""Forks a process for each job after it has loaded the libraries once: ``python fork_server.py TIMEOUT``.

A request is a line of standard input, a JSON object: ``arguments`` (of the interpreter: ``-m MODULE ...`` or ``SCRIPT
...``), ``folder`` (the working directory), ``output`` and ``log`` (files for standard output and standard error). The
reply is a line with the exit code. The server imports nothing of a checkout. It ends when its standard input ends.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import signal
import sys
import time
import traceback
from typing import Any

LIBRARIES = (
    "numpy",
    "torch",
    "torch.nn.functional",
    "rasterio.vrt",
    "rasterio.warp",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "scipy.spatial",
    "skimage.metrics",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "safetensors.numpy",
)
POLL_INTERVAL = 0.01  # seconds


def main(timeout: float) -> None:
    """Answer requests until standard input ends."""
    del sys.path[0]  # the folder of this file
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in iter(sys.stdin.readline, ""):
        process = os.fork()
        if not process:
            run_and_exit(json.loads(line))
        print(wait(process, timeout), flush=True)


def run_and_exit(request: dict[str, Any]) -> None:
    """Run the requested program in this process and end the process."""
    code = 1
    try:
        run(request)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(request: dict[str, Any]) -> None:
    """Run a module or a script like a new interpreter in the requested folder."""
    os.chdir(request["folder"])
    sys.path.insert(0, os.getcwd())
    for number, (path, mode) in enumerate(((os.devnull, "r"), (request["output"], "w"), (request["log"], "w"))):
        with open(path, mode) as file:
            os.dup2(file.fileno(), number)
    program, *arguments = request["arguments"]
    if program == "-m":
        module, *arguments = arguments
        sys.argv = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv = [program, *arguments]
        runpy.run_path(program, run_name="__main__")


def wait(process: int, timeout: float) -> int:
    """Wait for a process and return its exit code; kill it after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        finished, status = os.waitpid(process, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
        time.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    main(float(sys.argv[1]))
