"""The METHODs: the same as in the job, with the experts that they need."""

from __future__ import annotations

import pytest

from dip_core.inpainting.experts.registry import GAP_EXPERTS
from dip_core.inpainting.methods import FILL_METHODS, method_names
from dip_core.restoration_jobs import GAP_METHODS, STRIPE_METHODS, GapFillJob, InpaintStripesJob


@pytest.mark.parametrize("job, names", [(GapFillJob, GAP_METHODS), (InpaintStripesJob, STRIPE_METHODS)])
def test_methods_are_those_of_the_job(job, names):
    assert method_names(job.task) == names


@pytest.mark.parametrize("name", FILL_METHODS)
def test_experts_of_methods_are_registered(name):
    method = FILL_METHODS[name]
    assert {*method.experts, *method.affordable_experts} <= set(GAP_EXPERTS)
    assert method.published == name.startswith("paper_")
    assert not method.published or method.experts == (name,)  # a paper's method and nothing else


def test_fast_needs_no_torch():
    assert not any(GAP_EXPERTS[name].needs_device for name in FILL_METHODS["fast"].experts)
