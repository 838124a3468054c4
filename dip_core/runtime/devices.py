"""Compute devices: which ones the machine has, and which one a run uses.

Torch is imported only where it is needed: importing it takes longer than filling a small scene.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import DeviceUnavailable

if TYPE_CHECKING:
    import torch


def resolve_device(name: str) -> torch.device:
    """The device for ``auto``, ``cpu``, ``cuda:N`` or ``mps``; ``auto`` selects the first accelerator.

    Raises DeviceUnavailable, which names the devices that are available.
    """
    import torch

    present = [entry["id"] for entry in available_devices()]
    if name == "auto":
        return torch.device(present[-1] if present[-1] == "mps" else ("cuda:0" if "cuda:0" in present else "cpu"))
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in present:
        raise DeviceUnavailable(device=name, reason=f"this machine has {', '.join(present)}")
    return torch.device(wanted)


def check_device(name: str) -> None:
    """Raise DeviceUnavailable if no device has this name; names as in `resolve_device`."""
    if name not in ("auto", "cpu"):
        resolve_device(name)


def available_devices() -> list[dict[str, str]]:
    """The devices of this machine, each with ``id`` and ``name``; the CPU comes first."""
    import torch

    found = [{"id": "cpu", "name": f"CPU, {os.cpu_count()} cores"}]
    if torch.cuda.is_available():
        found += [{"id": f"cuda:{n}", "name": torch.cuda.get_device_name(n)} for n in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append({"id": "mps", "name": "Apple GPU"})
    return found


def device_name(device: torch.device) -> str:
    """The device's name for reports."""
    return next((entry["name"] for entry in available_devices() if entry["id"] == str(device)), str(device))


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are faster than float32 convolutions on the device."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu":
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None) or getattr(
            torch.cpu, "_is_amx_tile_supported", None
        )
        return bool(supported and supported())
    return False
