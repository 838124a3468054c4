"""Experts that enlarge without a network: exact agreement, no preferred direction, nothing from missing pixels."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape
from scipy import ndimage

from dip_core.imaging.back_projection import ConsistencyProjection
from dip_core.imaging.psf import Psf, enlarge_bicubic
from dip_core.superresolution.self_supervised import EXPERTS, enlarge, learn
from dip_core.superresolution.steered_ridge import Teacher, steered_ridge, steering
from dip_core.superresolution.validation import unvalidated_shares
from dip_core.superresolution.vectorial_tv import vectorial_tv


def fine_scene(bands=3, rows=96, columns=112, seed=0):
    """Fields with straight edges in all directions, under a little texture."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:rows, :columns].astype(float)
    labels = np.zeros((rows, columns))
    for _ in range(12):
        angle, place = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8)
        labels += rng.normal() * (np.cos(angle) * (down - place * rows) + np.sin(angle) * (right - place * columns) > 0)
    smooth = landscape(bands, rows, columns)
    return smooth / smooth.std() + labels * rng.uniform(0.5, 2, (bands, 1, 1)) + rng.normal(0, 0.02, smooth.shape)


def made_coarse(fine, optics):
    """The observation and its pixels, all observed."""
    coarse = optics.operator(fine.shape[1:]).apply(fine)
    return coarse, np.ones(coarse.shape, bool)


def rmse(image, truth):
    return float(np.sqrt(np.mean((image - truth) ** 2)))


def test_total_variation_falls_and_the_observation_is_kept():
    optics = Psf(2)
    fine = fine_scene().astype(np.float32)
    coarse = made_coarse(fine, optics)[0].astype(np.float32)
    agreement = ConsistencyProjection(optics, fine.shape[1:])
    start = agreement.project(enlarge_bicubic(coarse, 2).astype(np.float32), agreement.transform(coarse))
    found = vectorial_tv(coarse, start, agreement)

    def variation(cube):
        return np.sqrt((np.diff(cube, axis=1)[:, :, :-1] ** 2 + np.diff(cube, axis=2)[:, :-1] ** 2).sum(axis=0)).sum()

    # Less than where it began, and than in any image beside it that agrees as well.
    assert variation(found) < 0.97 * variation(start)
    rng = np.random.default_rng(0)
    zero = agreement.transform(np.zeros_like(coarse))
    for _ in range(5):
        beside = found + agreement.project(rng.normal(0, 0.05, found.shape).astype(np.float32), zero)
        assert variation(beside) > variation(found)
    assert np.abs(optics.operator(fine.shape[1:]).apply(found) - coarse).max() < 1e-3 * coarse.std()
    flat = np.zeros_like(coarse)
    assert not vectorial_tv(flat, enlarge_bicubic(flat, 2).astype(np.float32), agreement).any()


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize(("psf", "bands"), [("bicubic", 3), ("gaussian", 1), ("lanczos", 2)])
def test_every_expert_agrees_and_the_steered_ridge_is_better_than_interpolation(factor, psf, bands):
    optics = Psf(factor, psf)
    fine = fine_scene(bands, 48 * factor, 48 * factor)
    coarse, seen = made_coarse(fine, optics)
    found = enlarge(EXPERTS, coarse, seen, learn([(coarse, seen)], optics), optics)
    operator = optics.operator(fine.shape[1:])
    for image in found.values():
        assert image.shape == fine.shape and rmse(operator.apply(image), coarse) < 1e-3 * coarse.std()
    base = rmse(enlarge_bicubic(coarse, factor), fine)
    errors = {name: rmse(image, fine) for name, image in found.items()}
    # Straight edges between flat areas are what total variation is made for; and 12 x 12 pixels teach little.
    assert errors["back_projection"] < base and errors["vectorial_tv"] < base
    assert errors["steered_ridge"] < (0.97 if factor == 2 else 1.01) * errors["back_projection"]


def test_no_direction_is_preferred():
    optics = Psf(2)
    coarse, seen = made_coarse(fine_scene(2, 80, 80), optics)

    def run(values):
        return enlarge(["steered_ridge"], values, seen, learn([(values, seen)], optics), optics)["steered_ridge"]

    straight = run(coarse)
    # The terms have no direction; the differences of total variation look down and right.
    for turned, back in (
        (coarse.transpose(0, 2, 1), lambda image: image.transpose(0, 2, 1)),
        (coarse[:, ::-1], lambda image: image[:, ::-1]),
        (np.rot90(coarse, axes=(1, 2)), lambda image: np.rot90(image, -1, axes=(1, 2))),
    ):
        assert rmse(back(run(np.ascontiguousarray(turned))), straight) < 0.02 * coarse.std()


def test_lessons_recover_filters_that_turn_with_the_image():
    """The truth is made of terms: sharp edges get back what a filter along them took away."""
    rng = np.random.default_rng(3)
    smooth = ndimage.gaussian_filter(rng.normal(size=(1, 64, 64)), (0, 1.5, 1.5)).astype(np.float32)
    sharp = (smooth + 0.1 * ndimage.gaussian_laplace(smooth, (0, 1, 1))).astype(np.float32)
    steer = steering(sharp, 2, 0.01)
    around = np.pad(smooth[0], 1, mode="symmetric")
    along = around[2:, 1:-1] + around[:-2, 1:-1] - around[1:-1, 2:] - around[1:-1, :-2]
    truth = (smooth + sharp) / 2 + 0.3 * steer.cosine * along + 0.2 * (sharp - smooth)
    teacher, other = Teacher(1), Teacher(1)
    teacher.add(truth, smooth, sharp, steer, np.ones((64, 64), bool))
    found = steered_ridge(smooth, sharp, steer, teacher.coefficients())
    before = rmse((smooth + sharp) / 2, truth)
    assert rmse(found, truth) < 0.1 * before
    assert not other.coefficients().any()  # nobody taught: the mean of the two
    assert np.array_equal(steered_ridge(smooth, sharp, steer, other.coefficients()), (smooth + sharp) / 2)


def test_missing_pixels_teach_nothing_and_reach_no_further_than_the_optics():
    optics = Psf(2)
    coarse, whole = made_coarse(fine_scene(2), optics)
    seen = whole.copy()
    seen[:, 20:24, 30:36] = False
    seen[1, 10, 10] = False
    one, two = np.where(seen, coarse, 0.0), np.where(seen, coarse, 1e6)
    lessons, same = (learn([(values, seen)], optics) for values in (one, two))
    assert np.array_equal(lessons.coefficients, same.coefficients)
    assert np.array_equal(*(enlarge(["steered_ridge"], v, seen, lessons, optics)["steered_ridge"] for v in (one, two)))
    far = ~ndimage.binary_dilation(np.repeat(np.repeat(~seen, 2, 1), 2, 2), np.ones((1, 33, 33), bool))
    with_hole = enlarge(["steered_ridge"], one, seen, lessons, optics)["steered_ridge"]
    without = enlarge(["steered_ridge"], coarse, whole, lessons, optics)["steered_ridge"]
    assert np.abs(with_hole - without)[far].max() < 0.05 * coarse.std()


def test_units_of_bands_do_not_matter_and_runs_repeat_themselves():
    optics = Psf(2)
    coarse, seen = made_coarse(fine_scene(3, 64, 64), optics)
    units = np.array([1.0, 1000.0, 0.01])[:, None, None]
    first, again, scaled = (
        enlarge(EXPERTS, values, seen, learn([(values, seen)], optics), optics)
        for values in (coarse, coarse, coarse * units + 7)
    )
    for name in EXPERTS:
        assert np.array_equal(first[name], again[name])
        assert rmse((scaled[name] - 7) / units, first[name]) < 1e-3 * coarse.std()


def test_a_scene_that_cannot_teach_is_enlarged_by_the_mean_of_the_two():
    optics = Psf(4)
    coarse, seen = made_coarse(fine_scene(1, 20, 24), optics)
    lessons = learn([(coarse, seen)], optics)
    assert not lessons.coefficients.any()
    found = enlarge(EXPERTS, coarse, seen, lessons, optics)
    mean = (found["back_projection"] + found["vectorial_tv"]) / 2
    assert np.abs(found["steered_ridge"] - mean).max() < 1e-3 * coarse.std()
    assert unvalidated_shares(EXPERTS) == {"back_projection": 0.0, "vectorial_tv": 0.5, "steered_ridge": 0.5}
    assert unvalidated_shares(["paper_2d"]) == {"paper_2d": 1.0}
