"""The description of the machine, and peak memory."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.machine import Machine, PeakMemory, measured_on


def test_peak_memory_starts_with_each_object():
    if PeakMemory().mib() is None:
        pytest.skip("the system does not report the peak memory of a process")
    memory = PeakMemory()
    before = memory.mib()
    block = np.ones(8_000_000)  # more than the 32 MiB that the allocator may reuse
    del block
    assert memory.mib() - before == pytest.approx(61, abs=10)
    assert PeakMemory().mib() < before + 20


def test_the_facts_of_a_machine_become_a_caption():
    facts = Machine("cpu", 2).facts()
    caption = measured_on([facts])
    assert "device cpu, 2 threads" in caption and "core at commit" in caption


@pytest.mark.parametrize(
    ("loads", "sentence"),
    [
        ([0.0, 0.1], "The machine was quiet."),
        ([None], "The load by other processes is not known."),
        ([0.1, 0.5], "other processes kept 0.3 cores busy on average and 0.5 at most."),
    ],
)
def test_the_caption_reports_the_load(loads, sentence):
    rows = [{"machine": "M, 2 cores; any state; today", "foreign_load": load} for load in loads]
    assert measured_on(rows).startswith("Measured on M, 2 cores (today). ")
    assert measured_on(rows).endswith(sentence)
