"""The papers' scores."""

from __future__ import annotations

import numpy as np
import pytest
from paper_problems import striped_problem

from benchmarks.papers import scoring


def test_hidden_pixels_are_also_scored_alone():
    problem = striped_problem()
    image = np.where(problem.observed, problem.clean, problem.clean + 0.1)
    scores = scoring.scores(image, problem)
    assert scores["hidden_psnr"] == pytest.approx(20.0, abs=1e-3)
    assert scores["psnr"] == pytest.approx(20.0 + 10 * np.log10(20 / 3), abs=1e-3)
    assert scores["sam"] > 0 and 0 < scores["ssim"] < 1


def test_undefined_and_omitted_scores_are_none():
    problem = striped_problem()
    assert scoring.scores(problem.given, problem)["sam"] is None  # zeros have no spectral angle
    assert scoring.scores(problem.clean, problem, similarity=False)["ssim"] is None
