"""Devices and threads: what is there is found, what is not is refused by name."""

from __future__ import annotations

import os

import pytest
import torch

from dip_core.errors import DeviceUnavailable
from dip_core.runtime.devices import available, check, has_fast_bfloat16, resolve, set_threads


def test_the_cpu_is_always_there_and_first():
    found = available()
    assert found[0]["id"] == "cpu" and "cores" in found[0]["name"]
    assert resolve("cpu") == torch.device("cpu")
    assert str(resolve("auto")) in [entry["id"] for entry in found]
    # An accelerator is taken where there is one.
    assert (resolve("auto").type == "cpu") == (len(found) == 1)


@pytest.mark.parametrize("name", ["cuda:99", "cuda", "mps"])
def test_a_device_that_is_not_there(name):
    if name in [entry["id"] for entry in available()] or (name == "cuda" and torch.cuda.is_available()):
        pytest.skip("this machine has it")
    with pytest.raises(DeviceUnavailable, match=rf"Device '{name}' is not available \(this machine has cpu"):
        resolve(name)
    with pytest.raises(DeviceUnavailable):
        check(name)


def test_the_processor_needs_no_check(monkeypatch):
    monkeypatch.setattr("dip_core.runtime.devices.available", lambda: pytest.fail("torch is asked"))
    check("auto")
    check("cpu")


def test_threads_leave_a_core_to_the_desktop():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    before = torch.get_num_threads()
    try:
        assert set_threads(1) == torch.get_num_threads() == 1
        assert set_threads(1000) == cores
        assert set_threads() == (cores - 1 if cores > 2 else cores)
    finally:
        torch.set_num_threads(before)


def test_half_precision_is_a_plain_answer():
    assert has_fast_bfloat16(torch.device("cpu")) in (True, False)
    assert has_fast_bfloat16(torch.device("mps")) is False
