"""Runs every raster of a folder through every restorer and prints a table of what each one did.

Usage: ``python -m tools.odd_rasters FOLDER [--method fast]``. A row says *restored* (with all metadata), *refused*
(with the sentence), or what was lost. The exit code is 1 if anything was lost or a run ended without a result or a
sentence.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dip_core.job import Job, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import DenoiseJob, GapFillJob, InpaintStripesJob, SuperResolveJob

from .soak.jobs import outputs_in
from .soak.promises import broken_promises

ROOT = Path(__file__).resolve().parents[1]
# Files beside a raster that are no rasters of their own.
_SIDECARS = (".ovr", ".msk", ".xml", ".hdr", ".md", ".txt")
_MAX_SECONDS = 600


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.odd_rasters", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="the folder of rasters; subfolders are searched too")
    parser.add_argument("--method", default="fast", help="METHOD of all restorers (default: %(default)s)")
    options = parser.parse_args(arguments)
    rasters = [p for p in sorted(options.folder.rglob("*")) if p.is_file() and p.suffix.lower() not in _SIDECARS]
    if not rasters:
        parser.error(f"there is no raster in {options.folder}")
    print("| raster | restorer | seconds | what happened |\n| --- | --- | ---: | --- |")
    faults = 0
    for raster in rasters:
        for job, folder in _jobs(raster, options.method):
            start = time.monotonic()
            text = run_and_describe(job, folder)
            faults += text.startswith("**")
            name = raster.relative_to(options.folder)
            print(f"| {name} | {job.task} | {time.monotonic() - start:.1f} | {text} |", flush=True)
    print(f"\n{len(rasters)} rasters, {faults} faults.")
    return 1 if faults else 0


def run_and_describe(job: Job, folder: Path) -> str:
    """Run a job in the worker; what happened, in bold letters if it is a fault."""
    job_file = folder / "job.json"
    job_file.write_text(to_json(job), encoding="utf-8")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "dip_core", str(job_file)],
            capture_output=True,
            text=True,
            env=environ,
            timeout=_MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"**no result after {_MAX_SECONDS} s**"
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    last = events[-1] if events else {}
    if last.get("event") == "error" and done.returncode == 1:
        text = last["text"].replace(str(job.inputs[0]), Path(job.inputs[0]).name)
        is_crash = last.get("kind") in ("WorkerFailed", "DeepPriorError") or "Traceback" in text
        return f"**crashed: {text}**" if is_crash else f"refused: {text}"
    if last.get("event") != "result":
        return f"**ended with code {done.returncode}: {done.stderr.strip()[-200:]}**"
    broken = broken_promises(job, last["numbers"])
    warnings = [event["text"] for event in events if event.get("level") == "warning"]
    note = f" ({'; '.join(warnings)})" if warnings else ""
    return f"**{'; '.join(broken)}**{note}" if broken else f"restored{note}"


def _jobs(raster: Path, method: str) -> Iterator[tuple[Job, Path]]:
    """A job of each restorer on a raster, with a folder for its outputs."""
    compute = Compute(device="cpu")
    for number in range(4):
        with tempfile.TemporaryDirectory(prefix="odd_") as folder:
            outputs: Outputs = outputs_in(Path(folder))
            path = str(raster)
            jobs: tuple[Job, ...] = (
                GapFillJob((path,), outputs, method=method, compute=compute),
                DenoiseJob(path, outputs, method=method, compute=compute),
                InpaintStripesJob(path, outputs, method=method, compute=compute),
                SuperResolveJob(path, outputs, method=method, compute=compute),
            )
            yield jobs[number], Path(folder)


if __name__ == "__main__":
    sys.exit(main())
