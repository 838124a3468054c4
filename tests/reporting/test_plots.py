"""Plots draw something, and the same data give the same bytes."""

from __future__ import annotations

import io
import math

import numpy as np
from matplotlib.image import imread

from dip_core.reporting import plots


def pixels(png: bytes) -> np.ndarray:
    return np.rint(255 * imread(io.BytesIO(png), format="png")).astype(int)


def test_plots_are_png_and_repeatable():
    curves = {"best": ([1, 2, 3], [1.0, 1.5, 2.0]), "fast": ([1, 2], [1.2, 1.9])}
    drawings = [
        lambda: plots.error_by_distance(curves, "best", "DN"),
        lambda: plots.score_bars({"best": 1.0, "fast": 2.0, "broken": math.nan}, "best", "RMSE"),
        lambda: plots.calibration([0.5, 0.9], [0.4, 0.8]),
        lambda: plots.map_plot(np.random.default_rng(0).normal(size=(30, 40)), "error", diverging=True),
        lambda: plots.map_plot(np.full((30, 40), np.nan), "nothing"),
    ]
    for draw in drawings:
        png = draw()
        shown = pixels(png)
        assert shown.shape[1] > 300 and shown[..., :3].std() > 1  # something is drawn
        assert png == draw()


def test_score_bars_draw_the_method_in_use_in_another_colour():
    plain = pixels(plots.score_bars({"a": 1.0, "b": 2.0}, "", "RMSE"))
    used = pixels(plots.score_bars({"a": 1.0, "b": 2.0}, "b", "RMSE"))
    accent = np.array([0x0B, 0x6E, 0x8F])
    assert not (plain[..., :3] == accent).all(axis=-1).any()
    assert (used[..., :3] == accent).all(axis=-1).sum() > 1000
