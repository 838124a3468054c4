"""The torch wheels suit the machine, and torch is installed alone from its own index."""

from __future__ import annotations

import sys

import pytest

from algorithms.engine_locate import requirements_file
from algorithms.engine_process import EngineError
from algorithms.engine_wheels import pip_commands, select_wheels, without_torch_index


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    """Makes a PATH in which ``nvidia-smi`` answers as given; without an answer, it does not exist."""

    def make(answer: str | None) -> None:
        if answer is not None:
            program = tmp_path / "nvidia-smi"
            program.write_text(f"#!/bin/sh\necho '{answer}'\n", encoding="utf-8")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


@pytest.mark.skipif(sys.platform == "darwin", reason="there is one kind of wheels on macOS")
@pytest.mark.parametrize(
    "answer, compute, wheels",
    [
        (None, "auto", "cpu"),
        ("No devices were found", "auto", "cpu"),
        ("550.54.15, 8.0", "auto", "cu126"),
        ("580.10, 12.0", "auto", "cu128"),  # CUDA 12.6 has no kernels for this GPU
        ("470.1, 7.5", "auto", "cpu"),  # the driver is too old for CUDA 12
        ("550.54.15, 8.0", "cpu", "cpu"),
        (None, "cuda", "cu126"),  # requested, although there is no driver yet
    ],
)
def test_wheels_suit_the_machine(gpu, answer, compute, wheels):
    gpu(answer)
    assert select_wheels(compute) == wheels


def test_an_old_driver_is_reported(gpu):
    gpu("470.1, 7.5")
    messages = []
    select_wheels("auto", on_message=messages.append)
    assert messages == ["The NVIDIA driver is older than version 525, so the engine will use the CPU."]


def test_unknown_compute_is_an_error():
    with pytest.raises(EngineError, match="COMPUTE 'gpu' is unknown: use auto, cpu, cuda"):
        select_wheels("gpu")


def test_torch_is_first_and_alone_from_its_own_index():
    torch, libraries = pip_commands("py", "cpu", requirements_file())
    assert torch[:4] == ["py", "-m", "pip", "install"]
    assert torch[-1].startswith("torch>=") and ",<" in torch[-1]
    assert torch[torch.index("--index-url") + 1].endswith("/cpu")
    assert "--no-deps" in torch  # that index has old copies of common libraries
    assert not {"--index-url", "--no-deps"} & set(libraries)
    assert libraries[libraries.index("-r") + 1] == str(requirements_file())
    assert "trusted-host" not in " ".join(torch + libraries)  # certificates are always checked


def test_with_constraints_the_default_index_is_used():
    for command in pip_commands("py", "cpu", requirements_file(), "c.txt"):
        assert "--index-url" not in command and command[command.index("-c") + 1] == "c.txt"


def test_fallback_command_uses_the_default_index():
    torch, libraries = pip_commands("py", "cpu", requirements_file())
    fallback = without_torch_index(torch)
    assert fallback[-1] == torch[-1] and not {"--index-url", "--no-deps"} & set(fallback)
    assert without_torch_index(libraries) == libraries
