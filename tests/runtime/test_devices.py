"""Devices and threads: what is there is found, what is not is refused by name."""

from __future__ import annotations

import pytest
import torch

from dip_core.errors import DeviceUnavailable
from dip_core.runtime.devices import available_devices, check_device, has_fast_bfloat16, resolve_device


def test_the_cpu_is_always_listed_first():
    found = available_devices()
    assert found[0]["id"] == "cpu" and "cores" in found[0]["name"]
    assert resolve_device("cpu") == torch.device("cpu")
    assert str(resolve_device("auto")) in [entry["id"] for entry in found]
    # auto selects an accelerator if the machine has one.
    assert (resolve_device("auto").type == "cpu") == (len(found) == 1)


@pytest.mark.parametrize("name", ["cuda:99", "cuda", "mps"])
def test_a_missing_device_is_rejected(name):
    if name in [entry["id"] for entry in available_devices()] or (name == "cuda" and torch.cuda.is_available()):
        pytest.skip("this machine has it")
    with pytest.raises(DeviceUnavailable, match=rf"Device '{name}' is not available \(this machine has cpu"):
        resolve_device(name)
    with pytest.raises(DeviceUnavailable):
        check_device(name)


def test_the_cpu_is_accepted_without_loading_torch(monkeypatch):
    monkeypatch.setattr("dip_core.runtime.devices.available_devices", lambda: pytest.fail("torch is loaded"))
    check_device("auto")
    check_device("cpu")


def test_fast_bfloat16_is_known_for_every_device():
    assert has_fast_bfloat16(torch.device("cpu")) in (True, False)
    assert has_fast_bfloat16(torch.device("mps")) is False
