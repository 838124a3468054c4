"""The benchmark of the papers' tables: its protocols are theirs, watching a fit does not change it, rows are kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from core_scenes import data

from benchmarks.papers import cascade, methods, protocols, scoring, tables, tracing
from benchmarks.papers.protocols import Problem
from benchmarks.papers.tables import Table
from dip_core.dip import build
from dip_core.dip.architecture import Architecture
from dip_core.dip.data_fidelity import MaskedFidelity
from dip_core.dip.fitting import fit
from dip_core.dip.presets import PRESETS, Preset, Schedule
from dip_core.superresolution.trainer import Trainer, TrainingOptions
from dip_core.superresolution.training_data import PatchPairs

SHAPE = (3, 16, 20)


@pytest.fixture
def problem():
    """Three bands with a hidden stripe."""
    rng = np.random.default_rng(0)
    clean = rng.random(SHAPE).astype(np.float32)
    observed = np.ones(SHAPE, bool)
    observed[:, :, 5:8] = False
    return Problem("inpaint", clean, np.where(observed, clean, np.float32(0)), observed)


def small(iterations: int, **schedule) -> Preset:
    return Preset(Architecture(down=(4,), up=(4,), skip=(2,)), Schedule(iterations, **schedule), scaling="global")


# ---------------------------------------------------------------- protocols


def test_doing_nothing_scores_what_the_paper_prints():
    """17.75 dB over the whole cube: the cube, its scaling, its enlargement and the mask are the paper's."""
    pytest.importorskip("tensorly", reason="tensorly, which carries Indian Pines, is missing")
    found = protocols.inpainting()
    assert found.clean.shape == (200, 192, 192)
    error = np.mean(np.square(found.clean - methods.simple("do nothing", found)), dtype=np.float64)
    assert -10 * np.log10(error) == pytest.approx(17.75, abs=0.005)


def test_stripes_are_the_papers_columns():
    hidden = ~protocols.stripe_mask((1, 4, 192))
    assert hidden[0, 0].sum() == 5 + 17 + 3 + 5 + 11 + 3
    assert hidden[0, 0, 21] and not hidden[0, 0, 20]  # column 22, counted from 1, is the first
    assert (hidden == hidden[:, :1]).all()


def test_a_part_is_of_the_same_place_on_both_grids():
    fine = np.arange(10 * 40 * 60, dtype=np.float32).reshape(10, 40, 60)
    whole = Problem("superresolve", fine, fine[:, ::2, ::2], np.ones((10, 20, 30), bool), factor=2)
    part = whole.part(16, 4)
    assert part.clean.shape == (4, 16, 16) and part.given.shape == part.observed.shape == (4, 8, 8)
    np.testing.assert_array_equal(part.clean[:, ::2, ::2], part.given)
    assert part.clean[0].min() > fine[0].min() and part.clean[-1].min() > fine[-1].min()  # first and last band, middle
    assert whole.part(0, 0).clean.shape == fine.shape


def test_bands_are_chosen_evenly():
    assert protocols.evenly(100, 31)[:3] == [0, 3, 7] and protocols.evenly(100, 31)[-1] == 99
    assert len(protocols.evenly(100, 31)) == 31
    assert protocols.evenly(3, 9) == [0, 1, 2]


def test_reno_protocols():
    data(protocols.RENO)
    noisy = protocols.denoising(clipped=False)
    assert np.std(noisy.given - noisy.clean) == pytest.approx(100 / 255, rel=0.005)
    assert noisy.clean.min(axis=(1, 2)).tolist() == [0] * 100
    clipped = protocols.denoising(clipped=True)
    np.testing.assert_array_equal(clipped.given, noisy.given.clip(0, 1))
    coarse = protocols.superresolution()
    assert coarse.clean.shape == (100, 144, 144) and coarse.given.shape == (100, 72, 72)
    learnt, test = protocols.cascade_parts()
    assert learnt.shape == (31, 100, 150) and test.shape == (31, 46, 150)
    np.testing.assert_array_equal(test, protocols.reno()[protocols.evenly(100, 31), 104:])  # four rows lie between


def test_hidden_pixels_are_scored_alone_and_zeros_have_no_angle(problem):
    image = np.where(problem.observed, problem.clean, problem.clean + 0.1)
    found = scoring.scores(image, problem)
    assert found["hidden_psnr"] == pytest.approx(20.0, abs=1e-3)
    assert found["psnr"] == pytest.approx(20.0 + 10 * np.log10(20 / 3), abs=1e-3)
    assert found["sam"] > 0
    assert scoring.scores(problem.given, problem)["sam"] is None
    assert scoring.scores(image, problem, similarity=False)["ssim"] is None


# ---------------------------------------------------------------- traces


def fitted(problem: Problem, chosen: Preset, energy_of):
    generator = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    noise = build.draw_network_input(chosen, SHAPE, "noise", generator)
    network = build.build_network(chosen, SHAPE[0], noise.shape[1])
    values = torch.from_numpy(problem.given)[None]
    energy = energy_of(MaskedFidelity(torch.from_numpy(problem.observed.astype(np.float32))[None]))
    return fit(network, noise, values, energy, chosen.schedule, generator=generator)


@pytest.mark.parametrize("average", [None, tracing.AVERAGE])
def test_watching_a_fit_does_not_change_it(problem, average):
    chosen, seen = small(12, average=average), []
    plain = fitted(problem, chosen, lambda energy: energy)
    watched = fitted(problem, chosen, lambda energy: tracing.Tracer(energy, {1, 7, 12, 99}, seen.append))
    assert watched.losses == plain.losses
    np.testing.assert_array_equal(watched.estimate, plain.estimate)
    assert [look.iteration for look in seen] == [1, 7, 12]
    assert [look.loss for look in seen] == [plain.losses[place] for place in (0, 6, 11)]
    # The last image seen is the fit's result, and the average is the loop's own.
    np.testing.assert_array_equal(seen[-1].image if average is None else seen[-1].average, plain.estimate)
    assert not np.array_equal(seen[-1].image, seen[-1].average)


def test_looks_are_copies(problem):
    seen = []
    fitted(problem, small(3), lambda energy: tracing.Tracer(energy, {1, 2, 3}, seen.append))
    assert len({look.average.tobytes() for look in seen}) == 3
    np.testing.assert_array_equal(seen[0].image, seen[0].average)


def test_an_image_that_the_loop_drops_is_not_averaged():
    class Rising:
        def predict(self, image):
            return image

        def loss(self, image, observation):
            return image.mean()

    seen = []
    tracer = tracing.Tracer(Rising(), {20, 22}, seen.append)
    for value in [1.0] * 20 + [1000.0, 1.0]:
        tracer.loss(torch.full((1, 1, 2, 2), value), torch.zeros(1))
    assert tracer.iterations == 22 and [look.iteration for look in seen] == [20, 22]
    np.testing.assert_allclose(seen[-1].average, 1.0)


def test_iterations_to_look_at():
    assert tracing.when(1800) == [100, 250, 400, 500, 750, 1000, 1500, 1800]
    assert tracing.when(3) == [3]
    assert tracing.when(1000) == [100, 250, 400, 500, 750, 1000]


def test_a_row_is_a_trace_of_the_presets_own_schedule(problem, tmp_path, monkeypatch):
    monkeypatch.setitem(PRESETS["inpaint"], "paper_2d", small(4))
    table = Table("t", "T", "Protocol.", ("psnr",), ("psnr",), ("paper_2d",))
    options = methods.Options(iterations=4, out=tmp_path, at=(2,))
    methods.row(table, "case", "paper_2d", problem, options)
    first = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [point["iteration"] for point in first[0]["points"]] == [2, 4]
    assert first[0]["schedule"] == 4 and first[0]["parameters"] > 0
    assert set(first[0]["points"][1]["images"]) == {"raw output", "observed put back", "averaged, observed put back"}
    methods.row(table, "case", "paper_2d+unperturbed", problem, options)
    both = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [row["row"] for row in both] == ["paper_2d", "paper_2d+unperturbed"]
    assert both[0]["points"][1]["loss"] != both[1]["points"][1]["loss"]


# ---------------------------------------------------------------- the cascade


def test_the_cascade_is_watched_on_the_test_part_and_judged_by_its_best_weights():
    rng = np.random.default_rng(0)
    fine = rng.random((2, 40, 36)).astype(np.float32)
    test = cascade.test_pairs(fine, 2, scale=2.0)
    np.testing.assert_array_equal(test.fine[0], fine / 2)
    assert test.enlarged.shape == test.fine.shape and test.enlarged.std() < 0.5 * test.fine.std()  # blurred
    patches = PatchPairs(*(array[:, :, :32, :32].repeat(4, axis=0) for array in (test.fine, test.enlarged)))
    trainer = Trainer(patches, patches, TrainingOptions(batch_size=2), 0, torch.device("cpu"))
    points = []
    facts = cascade.train(trainer, test, budget=1e-9, every=60.0, take=points.append)
    assert [point["iteration"] for point in points] == [1] and set(points[0]["images"]) == {"best"}
    assert points[0]["seconds"] > 0 and facts["epochs"] == 0 and len(facts["history"]) == 1
    trainer = Trainer(patches, patches, TrainingOptions(batch_size=2, epochs=2), 0, torch.device("cpu"))
    points.clear()
    cascade.train(trainer, test, budget=60.0, every=0.0, take=points.append)
    assert [set(point["images"]) for point in points] == [{"present"}] * 4 + [{"best"}]


# ---------------------------------------------------------------- tables


def row(name: str, psnr: float, **more) -> dict:
    point = {"iteration": None, "loss": None, "seconds": 1.0, "images": {"": {"psnr": psnr}}}
    key = {"case": "case", "row": name, "schedule": None, "seed": None, "device": None}
    return {**key, "points": [point], "machine": "M; quiet machine; today", "foreign_load": 0.0, "threads": 1, **more}


def test_a_row_takes_the_place_of_its_earlier_self_only():
    rows = [row("a", 1.0), row("b", 2.0, device="cpu", seed=0)]
    again = tables.merged(rows, row("b", 3.0, device="cpu", seed=0), ("b", "a"))
    assert [(item["row"], item["points"][0]["images"][""]["psnr"]) for item in again] == [("b", 3.0), ("a", 1.0)]
    for other in ({"device": "cuda:0", "seed": 0}, {"device": "cpu", "seed": 1}, {"device": "cpu", "schedule": 5}):
        assert len(tables.merged(rows, row("b", 3.0, **other), ("a", "b"))) == 3


def test_rows_of_an_earlier_run_stay_in_the_table(tmp_path):
    table = Table("t", "Title", "Protocol.", ("psnr",), ("psnr",), ("a", "b"), {"": [("theirs", {"psnr": 37.54})]})
    table.keep(tmp_path, row("b", 2.0))
    table.keep(tmp_path, row("a", 1.0))
    page = (tmp_path / "t.md").read_text()
    assert page.index("| a |") < page.index("| b |") < page.index("| *theirs, as printed* | – | 37.54 |")
    assert "Protocol. Measured on M (today)." in page


def test_a_run_that_is_cut_short_leaves_what_it_has_found(tmp_path):
    table = Table("t", "Title", "Protocol.", ("psnr",), ("psnr",), ("a",))

    def work(take):
        for iteration in (1, 2):
            point = {"iteration": iteration, "loss": 0.5, "seconds": 1.0, "images": {"raw": {"psnr": 10.0 * iteration}}}
            take(point)
        raise KeyboardInterrupt

    key = {"case": "case", "row": "a", "schedule": 100, "seed": 0, "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        tables.run_row(table, tmp_path, key, methods.common.Machine("cpu", 1), work)
    kept = json.loads((tmp_path / "t.json").read_text())["rows"]
    assert [point["iteration"] for point in kept[0]["points"]] == [1, 2]
    assert "| 2 | 0.5 | 1 | 20.00 |" in (tmp_path / "t.md").read_text()
