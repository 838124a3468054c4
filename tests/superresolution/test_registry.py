"""The records of super-resolution experts and METHODs agree with the contract and with the networks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from fine_scenes import random_model, scene

from dip_core.dip.presets import PRESETS
from dip_core.imaging.psf import Psf
from dip_core.restoration_jobs import SUPERRESOLVE_METHODS
from dip_core.runtime.progress import SILENT
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.model_file import read_model
from dip_core.superresolution.options import EnlargeOptions, TrainedModel
from dip_core.superresolution.registry import ENLARGEMENT_EXPERTS, ENLARGEMENT_METHODS, default_weights, label
from dip_core.superresolution.scale_statistics import fit_scale_statistics
from dip_core.superresolution.window import CoarseWindow


def test_methods_are_those_of_the_contract():
    assert tuple(ENLARGEMENT_METHODS) == SUPERRESOLVE_METHODS
    assert {name for name, method in ENLARGEMENT_METHODS.items() if method.with_guide} == {"best", "fast"}
    assert {name for method in ENLARGEMENT_METHODS.values() for name in method.experts + method.with_guide} == set(
        ENLARGEMENT_EXPERTS
    )


def test_networks_have_a_preset_and_the_cascade_its_margin():
    assert all(name in PRESETS["superresolve"] for name, record in ENLARGEMENT_EXPERTS.items() if record.fits_network)
    assert ENLARGEMENT_EXPERTS["paper_cascade"].radius == Cascade.radius
    assert [ENLARGEMENT_EXPERTS["paper_cascade"].margin(factor) for factor in (2, 3, 4)] == [21, 14, 11]


@pytest.mark.parametrize("name", ENLARGEMENT_EXPERTS)
def test_experts_have_one_signature(tmp_path, name):
    values = scene(2, 12, 10)
    observed = np.ones(values.shape, bool)
    psf, (low, high) = Psf(2), (values.min(axis=(1, 2)), values.max(axis=(1, 2)))
    model = TrainedModel(*read_model(random_model(tmp_path, 2)))
    statistics = fit_scale_statistics([(values, observed)], psf)
    options = EnlargeOptions(psf, low, high, iterations=1, model=model, statistics=statistics)
    guide = np.random.default_rng(0).normal(size=(1, 24, 20)).astype(np.float32)
    image = ENLARGEMENT_EXPERTS[name].function()(CoarseWindow(values, observed, options, guide), 3, SILENT)
    assert image.shape == (2, 24, 20) and image.dtype == np.float32
    assert np.abs(psf.operator((24, 20)).apply(image) - values).max() < 1e-2 * values.std()
    assert label(name) == ENLARGEMENT_EXPERTS[name].label


def test_weights_without_validation():
    experts = ENLARGEMENT_METHODS["fast"].experts
    assert default_weights(experts) == {"back_projection": 0.0, "vectorial_tv": 0.5, "steered_ridge": 0.5}
    assert default_weights(["paper_2d"]) == {"paper_2d": 1.0}


def test_reading_the_registry_does_not_load_torch():
    code = "import sys, dip_core.superresolution.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
