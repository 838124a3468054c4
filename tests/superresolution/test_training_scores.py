"""Loss and scores of the training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dip_core.superresolution.training_data import PatchPairs
from dip_core.superresolution.training_scores import bicubic_scores, loss

ONE = torch.ones(1, 1)


def test_loss_is_half_square_and_one_minus_cosine():
    fine = torch.tensor([[[[3.0]], [[4.0]]]])
    orthogonal = torch.tensor([[[[-4.0]], [[3.0]]]])  # mean squared error (49 + 1) / 2
    assert float(loss(fine, fine, 0.5, ONE)) == pytest.approx(0.0, abs=1e-7)
    assert float(loss(orthogonal, fine, 0.5, ONE)) == pytest.approx(0.5 * 12.5 + 0.5 * 1.0)
    assert float(loss(2 * fine, fine, 0.0, ONE)) == pytest.approx(0.0, abs=1e-7)  # the angle ignores brightness


def test_errors_count_in_deviations_of_the_bands():
    deviation = torch.tensor([0.1, 0.5, 2.0])[:, None, None]
    error = torch.full((1, 3, 1, 1), 0.1)
    expected = float((0.1 / deviation).square().mean() / 2)
    assert float(loss(error, 0 * error, 1.0, deviation)) == pytest.approx(expected)


def test_scores_of_known_errors():
    fine = np.ones((2, 2, 4, 4), np.float32)
    enlarged = fine.copy()
    enlarged[:, 0] = 0  # spectra at 45 degrees, mean squared error 0.5
    scores = bicubic_scores(PatchPairs(fine, enlarged), 1.0, torch.ones(2, 1, 1))
    assert scores.psnr == pytest.approx(-10 * np.log10(0.5)) and scores.sam == pytest.approx(45, rel=1e-5)
    assert scores.loss == pytest.approx(2 * 0.25)
    perfect = bicubic_scores(PatchPairs(fine[:, :1], fine[:, :1]), 0.5, ONE)
    assert perfect.psnr == np.inf and np.isnan(perfect.sam)
    assert perfect.for_json() == {"loss": perfect.loss, "psnr": None, "sam": None}
