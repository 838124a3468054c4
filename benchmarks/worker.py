"""Runs the worker as QGIS does, in a separate process, and measures its time and peak memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ROOT
from dip_core.job import Job, to_json

# The worker is started by a small process: the peak memory that Linux reports of a child includes what its parent
# held at the moment of the fork.
_LAUNCHER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
code = os.waitstatus_to_exitcode(status)
json.dump({"code": code, "peak": usage.ru_maxrss, "cpu": usage.ru_utime + usage.ru_stime}, open(sys.argv[1], "w"))
"""


@dataclass(frozen=True)
class WorkerRun:
    """Output numbers, record of the report (empty without a report), messages, seconds, and peak memory of a run."""

    numbers: dict[str, float | None]
    record: dict
    messages: list[str]
    seconds: float
    peak_mib: float

    def selection_note(self) -> str:
        """The message that names the selected model; empty if there is none."""
        return next((text for text in self.messages if text.startswith("Selected on")), "")


def run_worker(job: Job) -> WorkerRun:
    """Run ``python -m dip_core`` with a job; ends the program if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        job_file, usage_file = Path(folder, "job.json"), Path(folder, "usage.json")
        job_file.write_text(to_json(job), encoding="utf-8")
        command = [sys.executable, "-m", "dip_core", str(job_file)]
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-S", "-c", _LAUNCHER, str(usage_file), *command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        usage = json.loads(usage_file.read_text(encoding="utf-8"))
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if usage["code"] or not events or events[-1]["event"] != "result":
        raise SystemExit(f"The worker failed (exit code {usage['code']}): {events[-1:]} {done.stderr[-800:]}")
    unit = 1024 if sys.platform != "darwin" else 1024**2  # Linux counts in KiB, macOS in bytes
    return WorkerRun(
        events[-1]["numbers"],
        _report_record(job.outputs.report),
        [event["text"] for event in events if event["event"] == "message"],
        seconds,
        usage["peak"] / unit,
    )


def _report_record(path: str | None) -> dict:
    """The JSON record in a report page."""
    if path is None:
        return {}
    page = Path(path).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="deep-prior-report">(.*?)</script>', page, re.DOTALL)
    return json.loads(found.group(1)) if found else {}
