"""Times of networks: which iterations count, fits that run at the same time, and the page."""

from __future__ import annotations

import threading
import time

import pytest

from benchmarks import networks


def test_lean_networks_are_compared_with_the_papers_network_of_the_same_task():
    rows = [
        {"task": task, "network": name, "iterations": iterations, "milliseconds": {"1": ms, "2": 0.9 * ms}}
        for task, name, iterations, ms in (
            ("inpaint", "paper_2d", 1000, 400.0),
            ("inpaint", "lean", 100, 50.0),
            ("denoise", "paper_2d", 10, 80.0),
            ("denoise", "lean", 20, 20.0),
        )
    ]
    text = networks.page({"rows": rows, "machine": "M, 2 cores; quiet machine; today", "foreign_load": 0.0})
    assert "| inpaint | `lean` | 50 / 45 | 2.14 | 8.0 | 100 | 4 | 80.0 |" in text
    assert "| denoise | `lean` | 20 / 18 | 0.86 | 4.0 | 20 | 0 | 2.0 |" in text


def test_the_first_iterations_of_a_fit_are_not_timed(monkeypatch):
    clock = iter([0.0, 50.0, 60.0, 70.0, 80.0, 90.0, 92.0, 94.0, 96.0])
    monkeypatch.setattr(networks.time, "monotonic", lambda: next(clock))

    def fit(iterations, progress):
        assert all(progress.update((number + 1) / iterations) for number in range(iterations))

    assert networks.seconds_per_iteration(fit, 9) == 2.0


def test_iterations_of_simultaneous_fits_are_added():
    begun = threading.Barrier(2, timeout=10)

    def fit(iterations, progress):
        begun.wait()
        for number in range(iterations):
            time.sleep(0.02)
            progress.update((number + 1) / iterations)

    assert networks.seconds_per_iteration(fit, 12, 2) == pytest.approx(0.01, rel=0.3)
