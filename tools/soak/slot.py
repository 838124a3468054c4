"""One of the threads of the soak test: runs random jobs one after another, and cancels or kills some of them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from dip_core.job import Job, to_json

from .jobs import outputs_in, random_job, random_raster
from .launcher import ROOT
from .promises import broken_promises

# What happens to a job while it runs.
ENDINGS = ("none", "none", "none", "cancel", "kill worker", "terminate worker", "kill parent")
_EARLIER = b"an earlier good file"
_MAX_SECONDS = 240.0  # of one job
_GONE_SECONDS = 8.0  # in which a worker must end after its parent was killed
# Errors that a random raster may rightly cause.
_REFUSALS = ("NothingObserved", "NoUsableBand", "InvalidJob", "UnreadableRaster", "TooSmall")


@dataclass
class Report:
    """What happened in one slot: jobs by ending, refused jobs by sentence, and broken promises."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class Slot:
    """Runs random jobs in ``folder`` until ``deadline`` (of `time.monotonic`)."""

    def __init__(self, folder: Path, seed: int, deadline: float) -> None:
        self.folder = folder
        self.deadline = deadline
        self.report = Report()
        self._rng = random.Random(seed)
        self._number = 0

    def run(self) -> None:
        """Run jobs until the time is over."""
        while time.monotonic() < self.deadline:
            self._number += 1
            self._run_one(self.folder / str(self._number))

    def _run_one(self, folder: Path) -> None:
        rng = self._rng
        results = folder / "results"
        results.mkdir(parents=True)
        plan = random_raster(rng)
        raster = folder / "input.tif"
        plan.write(raster)
        original = raster.read_bytes()
        outputs = outputs_in(results)
        job = random_job(rng, raster, outputs)
        ending = rng.choice(ENDINGS)
        has_earlier = rng.random() < 0.5
        if has_earlier:
            for path in outputs.requested().values():
                Path(path).write_bytes(_EARLIER)
        answer = self._launch(folder, [json.loads(to_json(job))], ending, rng.uniform(0.2, 4.0))

        def broken(text: str) -> None:
            self.report.broken.append(f"{text} [{ending}; {plan}; {_shortened(job)}]")

        expected = {Path(path).name for path in outputs.requested().values()}
        # GDAL's sidecars hold what GeoTIFF cannot.
        files = {path.name: path for path in results.iterdir() if path.name.removesuffix(".aux.xml") not in expected}
        files.update({name: results / name for name in expected if (results / name).exists()})
        if strange := sorted(set(files) - expected):
            broken(f"left behind: {', '.join(strange)}")
        if raster.read_bytes() != original or {path.name for path in folder.iterdir()} - _OWN_FILES:
            broken("the input or its folder was changed")
        if answer is not None and "numbers" in answer:
            self.report.counts["finished"] += 1
            if missing := sorted(expected - set(files)):
                broken(f"not written: {', '.join(missing)}")
            else:
                for text in broken_promises(job, answer["numbers"]):
                    broken(text)
            return
        self._check_unfinished(answer, ending, files, has_earlier, broken)

    def _check_unfinished(
        self,
        answer: dict | None,
        ending: str,
        files: dict[str, Path],
        has_earlier: bool,
        broken: Callable[[str], None],
    ) -> None:
        kind = "" if answer is None else answer["kind"]
        written = [name for name, path in files.items() if path.read_bytes() != _EARLIER]
        # A worker whose parent is killed may finish its last rename; then all files are there.
        if ending == "kill parent" and len(written) == len(files) and files:
            self.report.counts["finished without parent"] += 1
            return
        if written:
            broken(f"partly written by a job that did not finish ({kind}): {', '.join(written)}")
        if has_earlier and not files:
            broken("earlier files are lost")
        if kind in _REFUSALS:
            self.report.counts["refused"] += 1
            self.report.refusals[re.sub(r"'[^']*'|\d+(\.\d+)?", "_", answer["error"])] += 1
            if not answer["error"].endswith(".") or "\n" in answer["error"] or "Traceback" in answer["error"]:
                broken(f"not one sentence: {answer['error']}")
        elif ending == "none" or (answer is None and ending != "kill parent"):
            broken(f"crashed: {kind} {'' if answer is None else answer['error']}")
        else:
            self.report.counts[ending] += 1
        if answer is not None and any(number > 0 for number in answer["leaked"]):
            broken(f"open files and threads have grown by {answer['leaked']}")

    def _launch(self, folder: Path, jobs: list[dict], ending: str, after: float) -> dict | None:
        """Run jobs in a launcher and end them as chosen; returns the last answer, None without one."""
        temporary = folder / "temporary"
        temporary.mkdir()
        order = {"jobs": jobs, "cancel": str(folder / "cancel"), "answers": str(folder / "answers")}
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        environ = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
        with open(folder / "launcher.log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tools.soak.launcher", str(folder / "order.json")],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _MAX_SECONDS
        if ending != "none":
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            if process.poll() is None:
                self._end(process, ending, order["cancel"])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(1.0, end - time.monotonic()))
        if process.poll() is None:
            self.report.broken.append(f"a job took more than {_MAX_SECONDS:.0f} s: {json.dumps(jobs)}")
            process.kill()
        if ending == "kill parent":
            self._await_end(folder)
        elif left := [path.name for path in temporary.iterdir()]:
            self.report.broken.append(f"left in the temporary folder after '{ending}': {', '.join(left)}")
        lines = (
            Path(order["answers"]).read_text(encoding="utf-8").splitlines() if os.path.exists(order["answers"]) else []
        )
        return json.loads(lines[-1]) if lines else None

    def _end(self, process: subprocess.Popen, ending: str, cancel: str) -> None:
        if ending == "cancel":
            Path(cancel).touch()
        elif ending == "kill parent":
            process.kill()
            process.wait()
        else:
            number = signal.SIGKILL if ending == "kill worker" else signal.SIGTERM
            for child in psutil.Process(process.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.send_signal(number)

    def _await_end(self, folder: Path) -> None:
        """Wait until no worker of this job is left."""
        end = time.monotonic() + _GONE_SECONDS
        while time.monotonic() < end:
            if not orphans(folder):
                return
            time.sleep(0.1)
        for pid in orphans(folder):
            self.report.broken.append(f"the worker {pid} outlives its parent by {_GONE_SECONDS:.0f} s")
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()


_OWN_FILES = {"input.tif", "results", "order.json", "launcher.log", "answers", "cancel", "temporary"}


def _shortened(job: Job) -> str:
    """The job as JSON on one line, without outputs and without what has its default."""
    record = json.loads(to_json(job))
    compute = {name: value for name, value in record.pop("compute").items() if value}
    return json.dumps({**{name: value for name, value in record.items() if value and name != "outputs"}, **compute})


def orphans(folder: Path) -> list[int]:
    """Processes whose temporary folder lies in ``folder``, apart from launchers."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("TMPDIR", "").startswith(f"{folder}{os.sep}"):
                found.append(process.pid)
    return found
