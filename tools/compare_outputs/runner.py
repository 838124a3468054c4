"""Runs the job of a case in a checkout, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .cases import Case

TIMEOUT = 300  # seconds for one job
KILLED = -9  # exit code of a process that the timeout has stopped
SHORT_JOB, FORK_SERVER, DASK_CLUSTER = (
    Path(__file__).with_name(f"{name}.py") for name in ("short_job", "fork_server", "dask_cluster")
)

Events = dict[str, list[dict[str, Any]]]


@dataclass
class Run:
    """A finished job: its folder of outputs, exit code, events by name, and standard error."""

    outputs: Path
    exit_code: int
    events: Events
    log: str

    def unexpected_end(self, case: Case) -> str | None:
        """How the job ended, if this is not what the case expects."""
        errors = self.events.get("error", [])
        if self.exit_code == (1 if case.error else 0) and [error["kind"] for error in errors] == (
            [case.error] if case.error else []
        ):
            return None
        if self.exit_code == KILLED:
            reason = f"not finished after {TIMEOUT} s"
        elif errors:
            reason = f"error {errors[0]['kind']}: {errors[0]['text']}"
        else:
            reason = (self.log.strip().splitlines() or ["no error message"])[-1]
        return f"exit code {self.exit_code}, {reason[:300]}"


class Runner:
    """Runs jobs one after another, with the interpreter that runs this program; a context manager.

    With ``fork``, processes are forked from one that has loaded the libraries, which is much faster than a new
    interpreter for each job.
    """

    def __init__(self, fork: bool = True) -> None:
        self._fork = fork and hasattr(os, "fork")
        self._server: subprocess.Popen[str] | None = None
        # The jobs must import only the code of their checkout.
        ignored = ("PYTHONPATH", "PYTHONSAFEPATH")
        self._environment = {name: value for name, value in os.environ.items() if name not in ignored}
        self._environment |= {"PYTHONHASHSEED": "0", "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server and self._server.stdin:
            self._server.stdin.close()  # ends the process
            self._server.wait()

    def run(self, case: Case, checkout: Path, folder: Path) -> Run:
        """Run a case in a checkout. The job, its events and its log go to ``folder``, the outputs to a folder in it."""
        outputs = folder / "outputs"
        outputs.mkdir(parents=True)
        job = {"task": case.task, **case.fields}
        job["outputs"] = {name: str(outputs / file) for name, file in case.outputs.items()}
        with _dask_cluster(folder, self._environment) if case.cluster else contextlib.nullcontext("") as scheduler:
            if case.cluster:
                job["compute"] = {**job["compute"], "scheduler": scheduler}
            (folder / "job.json").write_text(json.dumps(job, indent=1), encoding="utf-8")
            start = self._run_forked if self._fork and not case.new_interpreter else self._run_new_interpreter
            exit_code = start(_interpreter_arguments(case, folder / "job.json"), checkout, folder)
        # These texts differ between two runs of the same code.
        replacements = {str(outputs): "OUTPUTS", str(checkout): "CHECKOUT", scheduler: "SCHEDULER"}
        log = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        return Run(outputs, exit_code, _read_events(folder / "events.jsonl", replacements), log)

    def _run_new_interpreter(self, arguments: list[str], checkout: Path, folder: Path) -> int:
        with open(folder / "events.jsonl", "wb") as events, open(folder / "log.txt", "wb") as log:
            try:
                return subprocess.run(
                    [sys.executable, *arguments],
                    cwd=checkout,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=events,
                    stderr=log,
                    timeout=TIMEOUT,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                return KILLED

    def _run_forked(self, arguments: list[str], checkout: Path, folder: Path) -> int:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, str(FORK_SERVER), str(TIMEOUT)],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin and self._server.stdout
        request = {
            "arguments": arguments,
            "folder": str(checkout),
            "output": str(folder / "events.jsonl"),
            "log": str(folder / "log.txt"),
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        reply = self._server.stdout.readline()
        if not reply:
            raise RuntimeError("The fork server has stopped unexpectedly. Use --no-fork.")
        return int(reply)


def _interpreter_arguments(case: Case, job: Path) -> list[str]:
    if case.iterations is None:
        return ["-m", "dip_core", str(job)]
    return [str(SHORT_JOB), str(case.iterations), str(job)]


def _read_events(path: Path, replacements: dict[str, str]) -> Events:
    """The events of a job by name; ``replacements``: texts to replace."""
    events: Events = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        for text, replacement in replacements.items():
            line = line.replace(text, replacement) if text else line
        event = json.loads(line)
        events.setdefault(event.pop("event"), []).append(event)
    return events


@contextlib.contextmanager
def _dask_cluster(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of the scheduler of a Dask cluster with one worker."""
    with open(folder / "cluster.txt", "wb") as log:
        cluster = subprocess.Popen(
            [sys.executable, str(DASK_CLUSTER)],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert cluster.stdin and cluster.stdout
    try:
        address = cluster.stdout.readline().decode().strip()
        if not address:
            raise RuntimeError(f"The Dask cluster did not start: {(folder / 'cluster.txt').read_text()[-300:]}")
        yield address
    finally:
        cluster.stdin.close()  # ends the process
        cluster.wait()
        cluster.stdout.close()
