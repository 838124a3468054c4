"""The papers' protocols."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import data

from benchmarks.papers import methods, protocols
from benchmarks.papers.protocols import Problem


def test_the_input_of_inpainting_has_the_score_that_the_paper_prints():
    """17.75 dB over the whole cube: cube, scaling, enlargement and mask are the paper's."""
    pytest.importorskip("tensorly", reason="tensorly, which contains Indian Pines, is missing")
    problem = protocols.inpainting()
    assert problem.clean.shape == (200, 192, 192)
    image = methods.run_simple_method("do nothing", problem)
    error = np.mean(np.square(problem.clean - image), dtype=np.float64)
    assert -10 * np.log10(error) == pytest.approx(17.75, abs=0.005)


def test_stripes_are_the_papers_columns():
    hidden = ~protocols.stripe_mask((1, 4, 192))
    assert hidden[0, 0].sum() == 5 + 17 + 3 + 5 + 11 + 3
    assert hidden[0, 0, 21] and not hidden[0, 0, 20]  # the first is column 22, counted from 1
    assert (hidden == hidden[:, :1]).all()


def test_a_crop_has_the_same_position_on_both_grids():
    fine = np.arange(10 * 40 * 60, dtype=np.float32).reshape(10, 40, 60)
    problem = Problem("superresolve", fine, fine[:, ::2, ::2], np.ones((10, 20, 30), bool), factor=2)
    crop = problem.crop(16, 4)
    assert crop.clean.shape == (4, 16, 16) and crop.given.shape == crop.observed.shape == (4, 8, 8)
    np.testing.assert_array_equal(crop.clean[:, ::2, ::2], crop.given)
    assert crop.clean[0].min() > fine[0].min() and crop.clean[-1].min() > fine[-1].min()  # central
    assert problem.crop(0, 0).clean.shape == fine.shape


def test_bands_are_evenly_spaced():
    numbers = protocols.evenly_spaced(100, 31)
    assert numbers[:3] == [0, 3, 7] and numbers[-1] == 99 and len(numbers) == 31
    assert protocols.evenly_spaced(3, 9) == [0, 1, 2]


def test_noise_is_added_to_reno_and_clipped_on_request():
    data(protocols.RENO)
    noisy = protocols.denoising(clipped=False)
    assert np.std(noisy.given - noisy.clean) == pytest.approx(100 / 255, rel=0.005)
    assert noisy.clean.min(axis=(1, 2)).tolist() == [0] * 100
    np.testing.assert_array_equal(protocols.denoising(clipped=True).given, noisy.given.clip(0, 1))


def test_reno_is_downsampled_by_two():
    data(protocols.RENO)
    problem = protocols.superresolution()
    assert problem.clean.shape == (100, 144, 144) and problem.given.shape == (100, 72, 72)


def test_the_cascade_is_trained_and_tested_on_different_rows():
    data(protocols.RENO)
    training, test = protocols.cascade_parts()
    assert training.shape == (31, 100, 150) and test.shape == (31, 46, 150)
    np.testing.assert_array_equal(test, protocols.reno()[protocols.evenly_spaced(100, 31), 104:])
