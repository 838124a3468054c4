"""Running several experts on one observation, and several observations at a time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from core_scenes import slanted_gaps
from gap_cases import observe, standard_scene

from dip_core.inpainting import run_experts
from dip_core.inpainting.experts.plug_and_play import PASSES
from dip_core.inpainting.experts.registry import GAP_EXPERTS, GapExpert, gap_expert_names
from dip_core.inpainting.run_experts import ExpertOptions, concurrent_windows, run_gap_experts
from dip_core.runtime.concurrency import map_in_order
from dip_core.runtime.progress import ProgressReporter

SMALL = (3, 100 * 100)  # bands and pixels
WITH_KRIGING = ("kriging", *(name for name, record in GAP_EXPERTS.items() if record.starts_from == "kriging"))


@pytest.fixture
def observation():
    return observe(standard_scene(2), slanted_gaps(48, 60))


@pytest.fixture
def any_number_of_threads(monkeypatch):
    """As many threads as requested, whatever the machine has; 8 by default."""
    monkeypatch.setattr(run_experts, "usable_threads", lambda requested: requested or 8)


# Windows at a time


def workers(names, options=None, bands_and_pixels=SMALL, count=20):
    return concurrent_windows(names, options or ExpertOptions("cpu"), *bands_and_pixels, count)


def test_windows_share_the_threads(any_number_of_threads):
    number, options = workers(("kriging", "plug_and_play"))
    assert number == 8 and options.threads == 1
    number, options = workers(("kriging", "plug_and_play"), count=3)
    assert number == 3 and options.threads == 2
    assert workers(("linear",), ExpertOptions("cpu", threads=2))[0] == 2
    assert workers(("kriging", "deep_prior"))[0] == 8


def test_the_papers_networks_use_all_cores(any_number_of_threads):
    options = ExpertOptions("cpu")
    assert workers(("paper_2d",), options) == (1, options)


@pytest.mark.parametrize(
    "names, bands_and_pixels, expected",
    [
        (("kriging",), (200, 512 * 512), 1),
        (("kriging",), (3, 512 * 512), 8),
        (("kriging", "deep_prior"), (3, 512 * 512), 2),  # the memory of a network counts
    ],
)
def test_memory_limits_the_windows(monkeypatch, any_number_of_threads, names, bands_and_pixels, expected):
    monkeypatch.setattr(run_experts, "total_memory", lambda: 8e9)
    assert workers(names, bands_and_pixels=bands_and_pixels)[0] == expected


@pytest.mark.parametrize("name", ["plug_and_play", "deep_prior"])
def test_one_window_at_a_time_on_a_gpu(monkeypatch, any_number_of_threads, name):
    monkeypatch.setattr(run_experts, "resolve_device", lambda device: torch.device("cuda:0"))
    assert workers(("kriging", name), ExpertOptions("auto"))[0] == 1


def test_networks_give_the_same_result_at_a_time_and_alone(observation):
    """Torch's own generator is shared by all threads, so it must not be used."""

    def fit(seed):
        return run_gap_experts(["deep_prior"], observation, ExpertOptions("cpu", iterations=3, threads=1), seed)[0]

    for one, again in zip(map(fit, range(3)), map_in_order(fit, range(3), 3)):
        np.testing.assert_array_equal(one, again)


# Experts of one observation

REGISTERED = dict(GAP_EXPERTS)


@dataclass(frozen=True)
class Watched(GapExpert):
    """An expert that notes the thread in which it runs."""

    threads: dict | None = None

    def estimate(self, observation, context):
        self.threads[self.name] = threading.get_ident()
        return REGISTERED[self.name].estimate(observation, context)


def test_experts_that_depend_on_kriging_run_beside_the_others(monkeypatch, observation, any_number_of_threads):
    """With one thread and with two, the estimates are the same."""
    threads_of: dict[str, int] = {}
    for name, record in REGISTERED.items():
        fields = {field: getattr(record, field) for field in record.__dataclass_fields__}
        monkeypatch.setitem(GAP_EXPERTS, name, Watched(**fields, threads=threads_of))
    names = ("linear", "harmonic", *WITH_KRIGING, "deep_prior")
    estimates, fractions = [], []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            fractions.clear()
            options = ExpertOptions("cpu", iterations=3, threads=threads)
            progress = ProgressReporter(fractions.append)
            estimates.append(run_gap_experts(names, observation, options, 5, progress))
            assert fractions == sorted(fractions) and 0.8 < fractions[-1] < 1.0
            assert len(set(threads_of.values())) == threads
    finally:
        torch.set_num_threads(before)
    assert len({threads_of[name] for name in WITH_KRIGING}) == 1
    for one, other in zip(*estimates):
        np.testing.assert_array_equal(one, other)


def test_the_start_of_an_expert_is_the_estimate_of_its_source(observation):
    together = run_gap_experts(("kriging", "plug_and_play"), observation, ExpertOptions("cpu"), 0)[1]
    np.testing.assert_array_equal(
        together, run_gap_experts(("plug_and_play",), observation, ExpertOptions("cpu"), 0)[0]
    )


def test_iterative_experts_update_the_progress(observation):
    """Experts that cannot stop early only count when they are done."""
    fractions = []
    names = ("harmonic", "kriging", "plug_and_play")
    run_gap_experts(names, observation, ExpertOptions(), 3, ProgressReporter(fractions.append))
    assert len(fractions) >= PASSES - 1 and fractions == sorted(fractions) and 1 / 3 <= fractions[0] < fractions[-1] < 1


def test_experts_that_cannot_stop_do_not_update_the_progress(observation):
    """Otherwise the user would be warned that the time budget cut a method short."""
    progress = ProgressReporter(lambda fraction: pytest.fail("updated"))
    run_gap_experts(gap_expert_names(needs_device=False), observation, ExpertOptions(), 3, progress)


def test_an_error_beside_the_experts_stops_them(monkeypatch, observation, any_number_of_threads):
    started, stopped = threading.Event(), []

    class Endless(GapExpert):
        """Runs until it is stopped, or for a minute."""

        def estimate(self, observation, context):
            started.set()
            end = time.monotonic() + 60
            while time.monotonic() < end and not stopped:
                if not context.progress.update(0.5):
                    stopped.append(self.name)
                time.sleep(0.01)
            return observation.values

    def fail():
        started.wait(60)
        raise ValueError("beside")

    monkeypatch.setitem(GAP_EXPERTS, "linear", Endless("linear", "Linear", "linear:linear"))
    options = ExpertOptions(device="cpu", threads=2)
    with pytest.raises(ValueError, match="beside"):
        run_gap_experts(("linear",), observation, options, 3, beside=[fail])
    assert stopped == ["linear"]


def test_the_seed_reaches_the_networks(observation):
    options = ExpertOptions(device="cpu", iterations=2, threads=1)

    def estimate(seed, **changes):
        return run_gap_experts(["deep_prior"], observation, replace(options, **changes), seed)[0].tobytes()

    assert estimate(3) == estimate(3) != estimate(4)
    assert estimate(3) != estimate(3, iterations=3)
