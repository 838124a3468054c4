"""The registry of metrics: names, scopes, and what a good value is, and that a new entry shows up in all tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dip_core import comparison, metrics
from dip_core.comparison import compare
from dip_core.metrics import METRICS, Metric, Sums
from dip_core.reporting import assessment


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A reference, a good and a bad restoration of two bands."""
    generator = np.random.default_rng(0)
    row, column = np.mgrid[0:40, 0:50] / 40.0
    reference = np.stack([0.3 + 0.4 * row, 0.5 + 0.3 * np.sin(8 * column)])
    noise = generator.normal(0.05, 0.1, reference.shape)
    return reference, reference + 0.1 * noise, reference + noise


def test_names_are_unique_and_every_metric_is_defined_somewhere():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names) and len({metric.label for metric in METRICS}) == len(names)
    assert all(metric.of_band or metric.of_scene for metric in METRICS)
    assert all(metric.note for metric in METRICS)


def test_names_of_columns_and_numbers_are_stable():
    """METRICS columns and output numbers are part of the public interface."""
    of_band = [metric.name for metric in METRICS if metric.of_band]
    of_scene = [metric.name for metric in METRICS if metric.of_scene]
    assert of_band == ["rmse", "bias", "r2", "pearson_r2", "psnr", "ssim"]
    assert of_scene == ["rmse", "bias", "r2", "pearson_r2", "psnr", "mpsnr", "mssim", "sam", "ergas"]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_better_restoration_has_the_better_score(images, metric):
    reference, good, bad = images
    scores = [compare(image, reference) for image in (good, bad)]
    better, worse = (each[metric.name] if metric.of_scene else each.bands[0][metric.name] for each in scores)
    if metric.better == "higher":
        assert better > worse
    else:
        assert abs(better) < abs(worse)


def test_a_new_metric_needs_one_entry(images, monkeypatch):
    """Its function and its record are enough to have it in scores and tables."""
    reference, good, _ = images

    def mse(sums: Sums) -> float:
        return sums.squared_errors / sums.pixels

    extended = (*METRICS, Metric("mse", "MSE", "lower", "0 is perfect", mse, mse))
    for module in (comparison, assessment):
        monkeypatch.setattr(module, "METRICS", extended)
    scores = compare(good, reference)
    assert scores["mse"] == pytest.approx(scores["rmse"] ** 2)
    table = assessment.band_table({"everywhere": scores}, ["red", "green"])
    assert table.records()[0]["mse"] == pytest.approx(scores.bands[0]["rmse"] ** 2)
    assert "MSE \u2193" in table.for_page().columns


def test_without_counted_pixels_all_metrics_are_undefined():
    sums = metrics.SceneSums(math.nan, bands=[Sums(1.0), Sums(1.0)])
    assert all(math.isnan(metric.of_scene(sums)) for metric in METRICS if metric.of_scene)
    assert all(math.isnan(metric.of_band(Sums(1.0))) for metric in METRICS if metric.of_band)
