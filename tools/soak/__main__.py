"""Command line: ``python -m tools.soak [--minutes 30] [--seed N] [--slots 2]``; exit code 1 if a promise was broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from . import __doc__ as description
from .slot import Report, Slot, orphans

_SETTLE_SECONDS = 3.0


def main(arguments: list[str] | None = None) -> int:
    """Run the soak test; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak", description=description)
    parser.add_argument("--minutes", type=float, default=30.0, help="time to run (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all random choices (default: the clock)")
    parser.add_argument("--slots", type=int, default=2, help="jobs that run at once (default: %(default)s)")
    options = parser.parse_args(arguments)
    print(f"Seed {options.seed}, {options.minutes:g} minutes, {options.slots} jobs at once.", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak_") as folder:
        reports = soak(Path(folder), options.minutes, options.seed, options.slots)
        time.sleep(_SETTLE_SECONDS)
        broken = [text for report in reports for text in report.broken]
        broken += [f"a worker is still running: process {pid}" for pid in orphans(Path(folder))]
    _print_summary(reports, broken)
    return 1 if broken else 0


def soak(folder: Path, minutes: float, seed: int, slots: int = 2) -> list[Report]:
    """Run random jobs in several threads until the time is over; returns one report per thread."""
    deadline = time.monotonic() + 60 * minutes
    workers = [Slot(folder / f"slot_{number}", seed * 1000 + number, deadline) for number in range(slots)]
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [worker.report for worker in workers]


def _print_summary(reports: list[Report], broken: list[str]) -> None:
    counts: Counter[str] = sum((report.counts for report in reports), Counter())
    refusals: Counter[str] = sum((report.refusals for report in reports), Counter())
    print(f"{sum(counts.values())} jobs: " + ", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
    for text, number in refusals.most_common():
        print(f"  refused {number} x: {text}")
    for text in broken:
        print(f"BROKEN: {text}")
    print("All promises were kept." if not broken else f"{len(broken)} promises were broken.")


if __name__ == "__main__":
    sys.exit(main())
