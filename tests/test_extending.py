"""The examples of docs/extending.md run as they are printed."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from core_scenes import ROOT, fill, landscape, read, slanted_gaps, table, write

from dip_core import metrics
from dip_core.denoising import registry as denoising_registry
from dip_core.denoising.model import denoise
from dip_core.denoising.options import DenoiseOptions
from dip_core.inpainting import methods
from dip_core.inpainting.experts import registry as gap_registry

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture
def add_example(monkeypatch):
    """Makes the module that the page prints for a path importable."""

    def add(path: str):
        (code,) = re.findall(rf"```python\n# {re.escape(path)}\n(.*?)```", PAGE, re.DOTALL)
        name = path.removesuffix(".py").replace("/", ".")
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader=None))
        exec(compile(code, path, "exec"), module.__dict__)
        monkeypatch.setitem(sys.modules, name, module)

    return add


def record(registry, start: str):
    """The record that the page prints, which begins with ``start``."""
    (printed,) = re.findall(rf"({re.escape(start)}.*?\))[,`\n]", PAGE)
    return eval(printed, vars(registry))


def test_the_gap_expert_is_validated_and_used(add_example, monkeypatch, tmp_path):
    add_example("dip_core/inpainting/experts/nearest.py")
    expert = record(gap_registry, 'GapExpert("nearest"')
    monkeypatch.setitem(gap_registry.GAP_EXPERTS, "nearest", expert)
    method = methods.FillMethod("fast", ("gap_fill",), ("nearest",), validation=methods.ValidationScheme(1))
    monkeypatch.setitem(methods.FILL_METHODS, "fast", method)
    gap = slanted_gaps(96, 120)
    scene = landscape(2).round()
    path = write(tmp_path / "scene.tif", np.where(gap, 0, scene).astype("u1"), nodata=0)
    result, outputs, _ = fill(tmp_path / "run", path, method="fast")
    assert result.numbers["PIXELS_LEFT"] == 0 and result.numbers["HELDOUT_RMSE"] > 0
    filled = read(outputs["output"])
    assert set(np.unique(filled[:, gap])) <= set(np.unique(filled[:, ~gap]))
    assert "Nearest neighbour" in Path(outputs["report"]).read_text(encoding="utf-8")
    assert table(outputs["metrics"])


def test_the_denoiser_is_used(add_example, monkeypatch):
    add_example("dip_core/denoising/median.py")
    monkeypatch.setitem(denoising_registry.DENOISERS, "median", record(denoising_registry, 'Denoiser("median"'))
    method = denoising_registry.DenoiseMethod("fast", ("median",), max_tile=1024)
    monkeypatch.setitem(denoising_registry.DENOISING_METHODS, "fast", method)
    clean = landscape(24, 48, 48)
    noisy = (clean + np.random.default_rng(0).normal(0, 10, clean.shape)).astype(np.float32)
    estimate, deviation, model = denoise(noisy, np.ones(noisy.shape, bool), DenoiseOptions("fast"))
    assert np.abs(estimate - clean).mean() < np.abs(noisy - clean).mean()
    assert np.isfinite(deviation).all() and model.weights == {"median": 1.0}


def test_the_metric_is_computed_for_a_band():
    (code,) = re.findall(r"```python\n(def nrmse.*?)```", PAGE, re.DOTALL)
    names = vars(metrics).copy()
    exec(compile(code, "metrics.py", "exec"), names)
    (printed,) = re.findall(r"`(Metric\(.*?\))`", PAGE)
    metric = eval(printed, names)
    sums = metrics.Sums(peak=10.0)
    sums.add(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    assert metric.of_band(sums) == pytest.approx(10.0)
