"""CUDA graphs: a replayed fit equals an eager fit, and a wrong recording is not used.

A stand-in for CUDA graphs makes the tests run without a GPU. Like a graph, it computes nothing while recording, and a
replay does the same work again with the same memory.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses

import numpy as np
import pytest
import torch

from dip_core.dip import build, fitting
from dip_core.dip import cuda_graph as module
from dip_core.dip.architecture import Architecture
from dip_core.dip.cuda_graph import ReplayedGradient, forward_and_loss, make_gradient, record
from dip_core.dip.data_fidelity import MaskedFidelity
from dip_core.dip.fitting import fit
from dip_core.dip.hourglass import Hourglass
from dip_core.dip.presets import Schedule, preset
from dip_core.runtime.progress import ProgressReporter

SMALL = Architecture((6,) * 2, (6,) * 2, (6,) * 2, upsample="bilinear", sigmoid=False)
SCHEDULE = Schedule(iterations=60, learning_rate=0.02, perturbation=0.03)


class Graphs:
    """The stand-in. ``spoil`` makes what a replay finds, image, loss and gradients, wrong."""

    def __init__(self, spoil=lambda tensors: None) -> None:
        self.spoil = spoil
        self.replays = 0
        self.made: list[ReplayedGradient] = []

    def make_gradient(self, network, noise, values, fidelity, fitted, iterations, low_precision=False):
        eager = make_gradient(network, noise, values, fidelity, fitted, iterations, low_precision)
        self.made.append(ReplayedGradient(eager, torch.zeros_like(noise), fitted, self.record, None))
        return self.made[-1]

    def record(self, work, stream):
        replayed = self.made[-1]
        work()
        found, kept = replayed.result, [tensor.grad for tensor in replayed.fitted]
        for target in (*found, *kept):
            target.fill_(float("nan"))

        def replay():
            self.replays += 1
            work()
            fresh = [*replayed.result, *(tensor.grad for tensor in replayed.fitted)]
            self.spoil(fresh)
            for target, value in zip((*found, *kept), fresh):
                target.copy_(value)
            replayed.result = found
            for tensor, target in zip(replayed.fitted, kept):
                tensor.grad = target

        return replay


def run(schedule=SCHEDULE, network=None, **options):
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    values = torch.stack([torch.sin(x / 8) + y / 20, torch.cos(y / 6)])[None]
    weights = torch.ones_like(values)
    weights[:, :, 8:13] = 0
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = network or Hourglass(4, 2, SMALL)
    noise = torch.rand((1, 4, 20, 24), generator=generator) / 10
    return fit(network, noise, values * weights, MaskedFidelity(weights), schedule, generator=generator, **options)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"average": 0.9},
        {"perturbation": 0.0},
        {"redraw": False},
        {"optimise_input": True},
        {"optimiser": "lbfgs", "learning_rate": 1.0, "iterations": 8},
    ],
)
def test_a_replayed_fit_equals_an_eager_fit(monkeypatch, changes):
    schedule = dataclasses.replace(SCHEDULE, **changes)
    plain = run(schedule)
    graphs = Graphs()
    monkeypatch.setattr(fitting, "make_gradient", graphs.make_gradient)
    replayed = run(schedule)
    assert graphs.made[0].recorded and graphs.replays > schedule.iterations - 5
    np.testing.assert_array_equal(replayed.losses, plain.losses)
    np.testing.assert_array_equal(replayed.image, plain.image)


def test_a_jump_of_the_loss_is_undone_in_a_replay(monkeypatch):
    """Memory written by a bad last iteration is not the result."""

    class Spiking(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Hourglass(4, 2, SMALL)
            self.bad = False

        def forward(self, noise):
            return self.inner(noise) * (1e4 if self.bad else 1.0)

    network = Spiking()

    def spike_in_the_last(done):
        network.bad = round(done * SCHEDULE.iterations) == SCHEDULE.iterations - 1
        return True

    monkeypatch.setattr(fitting, "make_gradient", Graphs().make_gradient)
    fitted = run(network=network, progress=ProgressReporter(spike_in_the_last))
    assert fitted.losses[-1] > 1e4 and np.abs(fitted.image).max() < 5


def of_the_loss(found):
    found[1] = found[1] * 1.2


def of_one_weight(found):
    """Reverse the sign of the longest gradient."""
    longest = max(range(2, len(found)), key=lambda target: float(found[target].norm()))
    found[longest] = -found[longest]


def of_everything(found):
    found[:] = [value * float("nan") for value in found]


@pytest.mark.parametrize("spoil", [of_the_loss, of_one_weight, of_everything])
def test_a_wrong_recording_is_not_used(monkeypatch, spoil):
    plain = run()
    graphs = Graphs(spoil)
    monkeypatch.setattr(fitting, "make_gradient", graphs.make_gradient)
    assert run().losses == plain.losses
    assert graphs.replays == 1 and not graphs.made[0].recorded


def test_a_fit_stays_eager_if_recording_fails(monkeypatch):
    class Failing(Graphs):
        def record(self, work, stream):
            work()
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    plain = run()
    graphs = Failing()
    monkeypatch.setattr(fitting, "make_gradient", graphs.make_gradient)
    assert run().losses == plain.losses and not graphs.made[0].recorded


def test_fits_on_a_cpu_are_eager():
    values = torch.zeros(1, 2, 20, 24)
    network = Hourglass(4, 2, SMALL)
    found = make_gradient(
        network, torch.zeros(1, 4, 20, 24), values, MaskedFidelity(values + 1), [*network.parameters()], 500
    )
    assert not isinstance(found, ReplayedGradient)


def test_after_an_aborted_recording_nothing_is_recorded_again(monkeypatch):
    """Torch leaves its side stream current if the end of a recording fails."""
    current, begun = ["main"], []

    class Graph:
        replay = None

    @contextlib.contextmanager
    def stream(wanted):
        before = current[0]
        current[0] = wanted
        try:
            yield
        finally:
            current[0] = before

    @contextlib.contextmanager
    def graph(made, stream, capture_error_mode):
        begun.append(made)
        current[0] = "side"
        yield
        raise RuntimeError("capture invalidated")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(module, "_failed", [])
    for message in ("capture invalidated", "an earlier recording failed"):
        with pytest.raises(RuntimeError, match=message):
            record(lambda: None, "side")
        assert current == ["main"] and len(begun) == 1
    assert module._failed == begun


@pytest.mark.parametrize("name", ["deep_prior", "paper_2d", "paper_3d", "paper_composite", "paper_per_band"])
def test_recorded_work_does_not_wait_for_the_cpu(name, monkeypatch):
    """On the meta device, reading a number or mixing with CPU tensors fails."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    chosen = preset("inpaint", name)
    bands, shape = 2, (70, 72)
    channels = chosen.inputs or (bands if chosen.dimensions == 2 else 1)
    sizes = shape if chosen.dimensions == 2 else (bands, *shape)
    with torch.device("meta"):
        network = build.build_network(chosen, bands, channels)
        noise = torch.zeros((1, channels, *sizes), requires_grad=chosen.schedule.optimise_input)
        values = torch.zeros((1, *((bands,) if chosen.dimensions == 2 else (1, bands)), *shape))
        found = make_gradient(network, noise, values, MaskedFidelity(values + 1), [*network.parameters()], 500)
        image, loss = found(torch.zeros_like(noise))
    assert image.shape == values.shape and loss.device.type == "meta"
    assert all(tensor.grad is not None and tensor.grad.device.type == "meta" for tensor in network.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("low_precision", [False, True])
def test_on_a_gpu_every_replay_agrees(low_precision):
    """With the same weights and a new perturbation each time, compared with an eager copy."""
    device = torch.device(f"cuda:{torch.cuda.device_count() - 1}")
    torch.manual_seed(0)
    network = Hourglass(4, 2, SMALL).to(device)
    noise, values = torch.rand(1, 4, 40, 48).to(device), torch.rand(1, 2, 40, 48).to(device)
    fidelity = MaskedFidelity(torch.ones_like(values))
    found = make_gradient(network, noise, values, fidelity, [*network.parameters()], 200, low_precision)
    optimiser = torch.optim.Adam(network.parameters(), 0.01, fused=True)
    share = 0.1 if low_precision else 1e-3
    for _ in range(20):
        shift = torch.randn_like(noise)
        twin = copy.deepcopy(network)
        image, loss = forward_and_loss(twin, noise, shift, values, fidelity, low_precision)
        twin.zero_grad()
        loss.backward()
        given, own = found(shift)
        assert float((given - image).norm()) <= share * float(image.norm())
        assert float(own) == pytest.approx(float(loss), rel=share)
        for one, other in zip(network.parameters(), twin.parameters()):
            assert float((one.grad - other.grad).norm()) <= share * float(other.grad.norm()) + 1e-6
        optimiser.step()
    assert found.recorded
