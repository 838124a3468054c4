"""What is seen around a missing pixel: classes, variances near and far and at the rim, and their layout."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from dip_core.imaging.observation import Observation
from dip_core.inpainting.features import CLASSES, TERMS, classes, layout, rim, roughness, surroundings


def test_classes_go_by_distance():
    observed = np.zeros((1, 1, 30), bool)
    observed[0, 0, 0] = True
    observation = Observation(np.zeros((1, 1, 30), np.float32), observed, ~observed)
    borrowed = np.zeros_like(observed)
    borrowed[0, 0, 25] = True
    kind = classes(observation, borrowed)[0, 0]
    # 1 pixel; 2 to 3; 4 to 6; 7 and more; and 0 for what other bands see.
    assert kind[1:9].tolist() == [1, 2, 2, 3, 3, 3, 4, 4] and kind[25] == 0 and kind[29] == 4
    deep = dataclasses.replace(observation, observed=np.ones_like(observed), assumed=~observed)
    assert classes(deep, np.zeros_like(observed))[0, 0, 5] == CLASSES - 1


def layout_map(observed):
    """The layout of all pixels that are not observed, as a map."""
    scene = Observation(np.zeros(observed.shape, np.float32), observed, ~observed)
    out = np.zeros(scene.shape, np.float32)
    out[~observed] = layout(scene, np.zeros_like(observed), ~observed)
    return out


def test_the_layout_grows_with_distance_width_and_openness():
    observed = np.ones((1, 90, 60), bool)
    observed[0, 20:25] = False  # narrow
    observed[0, 50:65] = False  # wide
    observed[0, 80:] = False  # open to one side
    found = layout_map(observed)[0, :, 30]
    assert found[20] < found[21] < found[22] and found[20] == pytest.approx(found[24], rel=1e-5)
    assert found[20] < found[50] < found[80]  # beside the rim
    assert found[22] < found[52] < found[82]  # the third pixel from it
    assert 0 < found[~observed[0, :, 30]].min() and found.max() < 1


def test_the_layout_of_a_line_is_what_the_equations_say():
    """Pixels seen alike to each side: variance 1 - 2 w . c0 + w' C w with equal weights, by hand."""
    observed = np.zeros((1, 1, 60), bool)
    observed[0, 0, [0, 2]] = True
    found = layout_map(observed)[0, 0]
    assert found[1] == pytest.approx(1 - 2 * np.exp(-1 / 30) + (1 + np.exp(-2 / 30)) / 2, rel=1e-3)
    assert found[22] < 1 and (found[23:] == 1.0).all()  # nothing within 20 pixels
    observed = np.zeros((1, 3, 3), bool)
    observed[0, [0, 0, 2, 2], [0, 2, 0, 2]] = True
    away = np.sqrt([2.0, 2.0, 2.0, 2.0])
    near = np.exp(-away / 30)
    between = np.exp(-np.array([[0, 2, 2, 8**0.5], [2, 0, 8**0.5, 2], [2, 8**0.5, 0, 2], [8**0.5, 2, 2, 0]]) / 30)
    # By symmetry each weighs 1/4.
    by_hand = 1 - 2 * near.mean() + between.mean()
    assert layout_map(observed)[0, 1, 1] == pytest.approx(by_hand, rel=1e-3)


def test_what_is_seen_in_one_quadrant_counts():
    """At the corner of a gap that is open to the scene's border."""
    observed = np.ones((1, 40, 40), bool)
    observed[0, :, :6] = False
    found = layout_map(observed)[0]
    np.testing.assert_allclose(found[:, :6], found[::-1, :6], rtol=0.2)  # quadrants own one axis each, so not quite
    assert found[0, 5] < 2 * found[20, 5] and (np.diff(found[0, :6]) < 0).all()


def test_the_layout_does_not_see_what_is_borrowed():
    observed = np.ones((1, 40, 40), bool)
    observed[0, 18:22] = False
    borrowed = np.zeros_like(observed)
    borrowed[0, 19] = True
    helped = observed | borrowed
    scene = Observation(np.zeros(helped.shape, np.float32), helped, ~helped)
    found = layout(scene, borrowed, ~observed)
    np.testing.assert_array_equal(found, layout_map(observed)[~observed])


def test_the_layout_is_of_the_pixels_wanted():
    """Bands of one mask of which other pixels are wanted, or none: each has its own."""
    observed = np.ones((3, 20, 30), bool)
    observed[:, :, 10:14] = False
    scene = Observation(np.zeros(observed.shape, np.float32), observed, ~observed)
    nothing = np.zeros_like(observed)
    whole = np.zeros(observed.shape, np.float32)
    whole[~observed] = layout(scene, nothing, ~observed)
    some = ~observed
    some[1] = False
    some[2, 7:] = False
    np.testing.assert_array_equal(layout(scene, nothing, some), whole[some])
    assert layout(scene, nothing, nothing).shape == (0,)


def test_roughness_is_the_variance_around():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1, 100, 120)).astype(np.float32)
    values[:, :, 60:] *= 3
    observed = np.ones(values.shape, bool)
    observed[:, 45:50] = False
    observed[:, :30, :30] = False
    found = roughness(Observation(np.where(observed, values, 0).astype(np.float32), observed, ~observed))[0]
    # 15 x 15 pixels know a variance to some 10 %; their mean over the area is far better known.
    assert found[60:90, 10:50].mean() == pytest.approx(1.0, rel=0.1)
    assert found[60:90, 70:110].mean() == pytest.approx(9.0, rel=0.1)
    assert found[5, 5] == pytest.approx(values[observed].var(), rel=0.5)  # nothing around: the mean of all
    nothing = np.zeros_like(observed)
    assert (roughness(Observation(np.zeros_like(values), nothing, ~nothing)) == 1).all()


def test_a_wider_window_sees_farther():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(1, 80, 100)).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[:, 30:50] = False  # the middle of the gap is 10 pixels from either side
    scene = Observation(np.where(observed, values, 0).astype(np.float32), observed, ~observed)
    overall = roughness(scene)[0, 40, 50]
    wide = roughness(scene, 31)[0, 40]
    assert overall == pytest.approx(1.0, rel=0.05) and np.ptp(roughness(scene)[0, 40]) < 1e-6  # nothing in 15 x 15
    assert np.ptp(wide) > 0.01 and wide.mean() == pytest.approx(1.0, rel=0.1)


def rim_map(scene, borrowed, wanted):
    """The rim of the pixels wanted as a map, 9 where too few are seen, and 0 elsewhere."""
    out = np.zeros(scene.shape, np.float32)
    out[wanted] = rim(scene, borrowed, wanted, np.full(np.count_nonzero(wanted), 9.0))
    return out


def test_the_rim_is_the_variance_of_the_nearest_pixels():
    values = np.zeros((2, 9, 9), np.float32)
    values[:, 6:] = 4.0  # an edge runs along the gap
    observed = np.ones(values.shape, bool)
    observed[:, 3:6] = False
    observed[1, :, 4] = False
    scene = Observation(np.where(observed, values, 0).astype(np.float32), observed, ~observed)
    found = rim_map(scene, np.zeros_like(observed), ~observed)
    # Up and down, at distances 1 and 3, 2 and 2, 3 and 1: 16 w (1 - w) with the share w of one of them.
    np.testing.assert_allclose(found[0, 3:6, 2], [3.0, 4.0, 3.0], rtol=1e-5)
    # Row 7 of the second band sees 4 left and right; the crossing of its two gaps sees nothing in its row and column.
    assert found[1, 7, 4] == 0
    assert found[1, 4, 4] == 9.0
    np.testing.assert_allclose(found[1, 4, 2], 4.0, rtol=1e-5)


def test_the_rim_weighs_the_near_more():
    values = np.zeros((1, 5, 12), np.float32)
    values[0, :, 0], values[0, :, 11] = 1.0, 3.0
    observed = np.zeros(values.shape, bool)
    observed[0, :, [0, 11]] = True
    scene = Observation(values, observed, ~observed)
    found = rim_map(scene, np.zeros_like(observed), ~observed)
    # Distances 2 and 9: weights 9/11 and 2/11, so the variance is 4 x 9/11 x 2/11.
    np.testing.assert_allclose(found[0, :, 2], 4.0 * 18.0 / 121.0, rtol=1e-5)
    # What is borrowed is not seen: the last column is not, so the gap has one side only.
    borrowed = np.zeros_like(observed)
    borrowed[0, :, 11] = True
    assert (rim_map(scene, borrowed, borrowed | ~observed)[0, :, 1:] == 9.0).all()


def test_the_rim_is_of_the_pixels_wanted():
    """Bands of one mask of which other pixels are wanted: each has its own."""
    values = np.random.default_rng(5).normal(size=(3, 20, 30)).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[:, :, 10:14] = False
    scene = Observation(np.where(observed, values, 0).astype(np.float32), observed, ~observed)
    everywhere = rim_map(scene, np.zeros_like(observed), ~observed)
    some = ~observed
    some[1, :7] = some[2, 7:] = False
    np.testing.assert_array_equal(rim_map(scene, np.zeros_like(observed), some)[some], everywhere[some])


def test_the_border_is_no_safe_place():
    """A gap at the scene's end is seen from one side: its rim would be 0, as if nothing could be wrong there."""
    values = np.random.default_rng(3).normal(size=(1, 40, 60)).astype(np.float32)
    observed = np.ones(values.shape, bool)
    observed[0, :3] = observed[0, 20:23] = False
    scene = Observation(np.where(observed, values, 0).astype(np.float32), observed, ~observed)
    found = surroundings(scene, np.zeros_like(observed), ~observed)
    border = np.nonzero(~observed)[1] < 3
    np.testing.assert_array_equal(found.rim[border], found.wide[border])
    assert found.rim[border].mean() > 0.5 * found.rim[~border].mean() > 0.1


def test_what_is_assumed_is_not_seen():
    """Deep inside a cloud values are only assumed: nothing there is smooth, near or certain."""
    values = np.random.default_rng(4).normal(size=(1, 80, 80)).astype(np.float32)
    assumed = np.zeros(values.shape, bool)
    assumed[0, 20:60, 20:60] = True
    scene = Observation(
        np.where(assumed, 0.5, values).astype(np.float32), np.ones_like(assumed), assumed, None, assumed
    )
    found = surroundings(scene, np.zeros_like(assumed), assumed)
    row, column = np.nonzero(assumed)[1:]
    middle, border = (row == 40) & (column == 40), row < 24
    for name in ("roughness", "wide", "rim", "layout"):
        term = getattr(found, name)
        assert term[middle] >= 0.5 * term[border].mean() > 0, name
    assert found.layout[middle] > 0.6


def test_surroundings_have_all_terms():
    observed = np.ones((1, 20, 20), bool)
    observed[0, 8:12] = False
    values = np.random.default_rng(2).normal(size=observed.shape).astype(np.float32) * observed
    scene = Observation(values, observed, ~observed)
    found = surroundings(scene, np.zeros_like(observed), ~observed)
    terms = found.terms(np.full(80, 7.0))
    assert len(terms) == TERMS and all(np.isfinite(term).all() and term.shape == (80,) for term in terms)
    # The first stands for the variance without validation.
    np.testing.assert_array_equal(terms[0], roughness(scene)[~observed])
    np.testing.assert_array_equal(terms[3], roughness(scene, 31)[~observed])
    np.testing.assert_array_equal(terms[4], rim(scene, np.zeros_like(observed), ~observed, terms[3]))
