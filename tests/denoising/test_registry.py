"""The records of denoisers and METHODs agree with the contract, and every denoiser has the common signature."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from dip_core.denoising.registry import DENOISERS, DENOISING_METHODS
from dip_core.dip.presets import PRESETS
from dip_core.restoration_jobs import DENOISE_METHODS
from dip_core.runtime.progress import SILENT


def test_methods_are_those_of_the_contract():
    assert tuple(DENOISING_METHODS) == DENOISE_METHODS
    assert {name for method in DENOISING_METHODS.values() for name in method.denoisers} == set(DENOISERS)


@pytest.mark.parametrize("name", DENOISERS)
def test_denoisers_have_one_signature(name):
    record = DENOISERS[name]
    images = np.random.default_rng(0).normal(size=(2, 12, 10)).astype(np.float32)
    observed = np.ones((12, 10) if record.on_eigen_images else images.shape, bool)
    result = record.function()(images, observed, seed=1, device=torch.device("cpu"), iterations=1, progress=SILENT)
    assert result.images.shape == images.shape and np.isfinite(result.images).all()
    assert (result.leverage is not None) == record.has_leverage


def test_published_methods_have_a_preset():
    for name in (name for name, method in DENOISING_METHODS.items() if method.published):
        assert name in PRESETS["denoise"] and not DENOISING_METHODS[name].on_eigen_images


def test_best_skips_the_deep_prior_on_large_scenes():
    best, deep_prior = DENOISING_METHODS["best"], DENOISING_METHODS["deep_prior"]
    assert best.select_denoisers(64 * 64, "cpu") == ("nl_ridge_pair", "deep_prior")
    assert best.select_denoisers(150 * 150, "cpu") == ("nl_ridge_pair",)
    assert deep_prior.select_denoisers(1000 * 1000, "cpu") == ("deep_prior",)


def test_reading_the_registry_does_not_load_torch():
    code = "import sys, dip_core.denoising.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
