"""The registry: every record can be loaded, and the queries select the right experts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from core_scenes import ROOT, slanted_gaps
from gap_cases import observe, standard_scene

from dip_core.dip.presets import PRESETS
from dip_core.inpainting.experts.registry import GAP_EXPERTS, GapExpert, gap_expert_names


@pytest.mark.parametrize("name", GAP_EXPERTS)
def test_every_expert_can_be_loaded(name):
    record = GAP_EXPERTS[name]
    assert callable(record.function()) and record.label
    assert record.starts_from is None or record.starts_from in GAP_EXPERTS
    assert not record.network or name in PRESETS["inpaint"]


def test_names_by_properties():
    assert set(gap_expert_names(needs_guide=True)) >= {"guided", "similar"}
    without_torch = gap_expert_names(network=False, needs_device=False, needs_guide=False)
    assert set(without_torch) >= {"linear", "harmonic", "biharmonic", "kriging"}
    assert gap_expert_names() == tuple(GAP_EXPERTS)
    assert gap_expert_names(published=True) == ("paper_composite", "paper_per_band", "paper_2d", "paper_3d")


def test_variant_shares_sum_to_one():
    shares = [record.variant_share for record in GAP_EXPERTS.values() if record.variant_share is not None]
    assert len(shares) == 2 and sum(shares) == pytest.approx(1.0)


def test_an_expert_is_an_estimate_of_an_observation():
    """A record runs any function of its package."""
    observation = observe(standard_scene(1), slanted_gaps(48, 60))
    record = GapExpert("membrane", "Membrane", "laplace:harmonic")
    np.testing.assert_array_equal(record.estimate(observation), GAP_EXPERTS["harmonic"].estimate(observation))


def test_torch_is_loaded_only_by_experts_that_need_it():
    code = (
        "import sys; from dip_core.inpainting.experts.registry import GAP_EXPERTS\n"
        "for record in GAP_EXPERTS.values():\n"
        "    if not record.needs_device: record.function()\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
