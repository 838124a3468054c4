"""The METHODs of gap filling as whole jobs: selection, networks, seeds, and the time budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from core_scenes import fill, landscape, read, slanted_gaps
from gap_jobs import ONE_THREAD, provenance_of, report_record, scene_with_gaps

from dip_core.dip import cost, presets
from dip_core.events import Progress
from dip_core.inpainting.methods import FILL_METHODS

SHAPE = (40, 48)
GAP = slanted_gaps(*SHAPE, shift=8)  # no border row is missing completely, which would be exterior


@pytest.fixture
def scene(tmp_path):
    return scene_with_gaps(tmp_path / "in.tif", landscape(2, *SHAPE), GAP)


@pytest.fixture
def few_iterations(monkeypatch):
    """Presets with two iterations, for tests that do not depend on how well a network fits."""
    for methods in presets.PRESETS.values():
        for name, preset in methods.items():
            monkeypatch.setitem(methods, name, replace(preset, schedule=replace(preset.schedule, iterations=2)))


@pytest.fixture
def few_rounds(monkeypatch):
    """METHOD best with one round of validation."""
    best = FILL_METHODS["best"]
    scheme = replace(best.validation, min_rounds=1, max_rounds=1)
    monkeypatch.setitem(FILL_METHODS, "best", replace(best, validation=scheme))


def test_best_is_not_worse_than_its_experts(tmp_path, scene, few_iterations, few_rounds):
    best, paths, _ = fill(tmp_path / "r", scene, "best", **ONE_THREAD)
    scores = report_record(paths["report"])["data"]["scores"]
    experts = ("linear", "harmonic", "biharmonic", "kriging", "plug_and_play", "plug_and_play_fine", "deep_prior")
    assert min(scores.values()) <= min(scores[name] for name in experts)
    assert best.numbers["HELDOUT_RMSE"] < best.numbers["BASELINE_RMSE"]
    assert provenance_of(paths["output"])["rule"] == min(scores, key=scores.get)


def test_the_report_says_why_an_expert_was_skipped(tmp_path, scene, few_rounds, monkeypatch):
    monkeypatch.setitem(cost.MAX_COST, "cpu", 1.0)
    _, paths, _ = fill(tmp_path / "r", scene, "best", **ONE_THREAD)
    assert "deep_prior" not in report_record(paths["report"])["data"]["scores"]
    with open(paths["report"], encoding="utf-8") as page:
        assert "Deep prior was not a candidate: " in page.read()


@pytest.mark.parametrize("method", ["deep_prior", "paper_composite", "paper_per_band"])
def test_a_single_network(tmp_path, scene, method, few_iterations):
    result, paths, _ = fill(tmp_path / "r", scene, method, report=False, **ONE_THREAD)
    np.testing.assert_array_equal(read(paths["output"])[:, ~GAP], read(scene)[:, ~GAP])
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["HELDOUT_RMSE"] > 0
    assert (read(paths["filled"]) == GAP).all() and (read(paths["uncertainty"])[:, GAP] > 0).all()
    made = provenance_of(paths["output"])
    assert made["method"] == method and made["experts"] == [method] and made["seed"] == 1
    assert ("network_input" in made) == FILL_METHODS[method].published


@pytest.mark.parametrize("method", ["fast", "deep_prior"])
def test_the_same_seed_gives_the_same_files(tmp_path, scene, method, few_iterations):
    options = {**ONE_THREAD, "report": False, "seed": 5}
    first, again = (fill(tmp_path / name, scene, method, **options)[1] for name in "ab")
    for name in ("output", "uncertainty", "filled", "metrics"):
        with open(first[name], "rb") as one, open(again[name], "rb") as two:
            assert one.read() == two.read(), name
    other = fill(tmp_path / "c", scene, method, **{**options, "seed": 6})[1]
    assert (read(other["uncertainty"]) != read(first["uncertainty"])).any()


def test_the_time_budget_ends_a_fit(tmp_path, scene):
    """Two seconds for what would take minutes: all gaps are filled."""
    result, paths, events = fill(tmp_path / "r", scene, "deep_prior", report=False, time_budget=2.0, **ONE_THREAD)
    assert result.numbers["PIXELS_LEFT"] == 0
    assert [event for event in events if isinstance(event, Progress)][-1].fraction > 0.9
    assert (read(paths["filled"]) == GAP).all()
