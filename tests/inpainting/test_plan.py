"""The plan of a job: candidates, validation windows and rounds, and tiles."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import slanted_gaps

from dip_core.dip import cost
from dip_core.errors import DeviceUnavailable, InvalidJob
from dip_core.inpainting.gap_mask import GapMask
from dip_core.inpainting.plan import plan_fill
from dip_core.job_fields import Compute, Outputs
from dip_core.restoration_jobs import GapFillJob, InpaintStripesJob

OUTPUTS = Outputs("o.tif")


def gaps_of(observed):
    return GapMask(observed, ~observed, len(observed), "test")


def every_nth_column_missing(side, period, bands=1):
    observed = np.ones((bands, side, side), bool)
    observed[:, :, ::period] = False
    return gaps_of(observed)


def plan(gaps, method="best", has_guide=False, stripes=False, **compute):
    compute = Compute(**{"device": "cpu", **compute})
    if stripes:
        job = InpaintStripesJob("s.tif", OUTPUTS, method=method, compute=compute)
    else:
        job = GapFillJob(("s.tif",), OUTPUTS, method=method, compute=compute)
    return plan_fill(job, gaps, gaps.observed.shape[1:], has_guide)


@pytest.fixture
def no_deep_prior(monkeypatch):
    monkeypatch.setitem(cost.MAX_COST, "cpu", 1.0)


@pytest.mark.parametrize(
    "method, side, period, rounds",
    [
        ("fast", 60, 10, 3),
        ("fast", 200, 10, 1),
        ("best", 60, 10, 9),
        ("best", 250, 10, 5),
        ("best", 400, 10, 3),
        ("best", 1000, 10, 1),
        ("best", 1000, 125, 2),
        ("fast", 1000, 125, 1),
    ],
)
def test_rounds_are_repeated_until_enough_pixels_are_hidden(no_deep_prior, method, side, period, rounds):
    """Up to nine times on small scenes, up to twice on scenes that are validated in several windows."""
    assert plan(every_nth_column_missing(side, period), method).rounds == rounds


def test_a_scene_without_gaps_is_not_validated():
    found = plan(gaps_of(np.ones((1, 60, 60), bool)))
    assert not found.windows and found.rounds == 0


def test_an_empty_first_band_does_not_exclude_a_window(no_deep_prior):
    target = np.stack([np.zeros((600, 600), bool), slanted_gaps(600, 600)])
    observed = np.stack([np.zeros((600, 600), bool), ~target[1]])
    assert len(plan(GapMask(observed, target, 2, "test"), "fast").windows) == 8


# Candidates


def test_the_deep_prior_is_a_candidate_if_all_rounds_are_affordable(monkeypatch):
    """The number of rounds does not depend on it."""
    gaps = gaps_of(np.broadcast_to(~slanted_gaps(90, 110), (3, 90, 110)))
    enough = cost.fit_cost("deep_prior", 90 * 110 * (plan(gaps).rounds + 1), 3)
    plans = []
    for limit in (enough, 0.99 * enough):
        monkeypatch.setitem(cost.MAX_COST, "cpu", limit)
        plans.append(plan(gaps))
    assert ["deep_prior" in each.experts for each in plans] == [True, False]
    assert list(plans[1].skipped) == ["deep_prior"] and "METHOD deep_prior" in plans[1].skipped["deep_prior"]
    assert plans[0].rounds == plans[1].rounds > 3 and plans[0].experts[:-1] == plans[1].experts


@pytest.mark.parametrize("side, extra", [(60, {"plug_and_play_fine"}), (800, set())])
def test_small_patches_are_a_candidate_in_the_gaps_of_small_scenes(no_deep_prior, side, extra):
    gaps = every_nth_column_missing(side, 20, bands=2)
    in_gaps, in_stripes = plan(gaps).experts, plan(gaps, stripes=True).experts
    assert set(in_gaps) - set(in_stripes) == extra
    assert "plug_and_play" in in_stripes and "plug_and_play_fine" not in in_stripes


def test_guided_experts_are_candidates_if_there_is_a_guide(no_deep_prior):
    gaps = every_nth_column_missing(60, 10)
    for method in ("best", "fast"):
        with_guide, without = plan(gaps, method, has_guide=True).experts, plan(gaps, method).experts
        assert set(with_guide) - set(without) == {"guided", "similar"}


@pytest.mark.parametrize("method", ["deep_prior", "paper_composite", "paper_per_band"])
def test_methods_with_a_network_have_one_candidate_and_one_round(method):
    found = plan(every_nth_column_missing(300, 10), method)
    assert found.experts == (method,) and found.rounds == 1 and len(found.windows) == 1


def test_an_unknown_device_is_an_error():
    with pytest.raises(DeviceUnavailable):
        plan(every_nth_column_missing(60, 10), "fast", device="cuda:63")


# Tiles


def test_tiles_have_room_for_a_large_overlap(no_deep_prior):
    gaps = every_nth_column_missing(600, 10)
    assert (plan(gaps, "fast").tile_size, plan(gaps, "fast").overlap) == (512, 64)
    assert (plan(gaps, "fast", overlap=200).tile_size, plan(gaps, "fast", overlap=200).overlap) == (600, 200)
    assert len(plan(gaps, "fast").tiles((600, 600))) == 2


def test_a_3d_network_takes_a_small_scene_of_many_bands_as_one_tile():
    """Memory is estimated for the scene, not for the largest tile: 256 x 256 pixels would be too many."""
    observed = np.ones((300, 60, 70), bool)
    observed[10, :, 20] = False
    gaps = gaps_of(observed)
    assert plan(gaps, "paper_3d", stripes=True).tile_size >= 70
    assert plan(gaps, "paper_3d", stripes=True, overlap=100).overlap == 100


def test_an_overlap_that_makes_tiles_too_large_for_a_network_is_an_error():
    observed = np.ones((60, 2000, 2000), bool)[:1]
    with pytest.raises(InvalidJob, match=r"OVERLAP 400 makes the tiles too large for METHOD paper_3d"):
        plan(GapMask(observed, ~observed, 60, "test"), "paper_3d", stripes=True, overlap=400)
