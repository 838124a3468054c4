"""The experts: each fills every target pixel, keeps every observed one, and does what its formula says."""

from __future__ import annotations

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps
from scipy import ndimage, special

from dip_core.dip import build
from dip_core.imaging.observation import Observation
from dip_core.inpainting.cross_band import borrow
from dip_core.inpainting.experts.kriging import Variogram, fit_variogram, kriging_weights, matern
from dip_core.inpainting.experts.kriging_neighbours import Neighbourhood, as_places
from dip_core.inpainting.experts.laplace import biharmonic, harmonic
from dip_core.inpainting.experts.linear import linear
from dip_core.inpainting.experts.registry import CLASSICAL, FILLERS, expert
from dip_core.runtime.progress import ProgressReporter

NETWORKS = ("deep_prior", "paper_composite", "paper_per_band")
# The fills are in single precision, and a weak pull to the mean (1e-6) keeps their systems solvable: on a gap of
# n pixels it costs about 1e-6 n^2 / 8 of the value, 3e-5 for 15 pixels.
TINY = 1e-4


def observe(values, gap, exterior=None):
    """Standardised ``values`` ``(band, row, column)`` with a gap and an exterior, each for all bands or one a band."""
    values = np.asarray(values, np.float32)
    gap = np.broadcast_to(gap, values.shape)
    outside = np.broadcast_to(False if exterior is None else exterior, values.shape)
    observed = ~gap & ~outside
    return Observation(np.where(observed, values, np.float32(0)), observed, gap & ~outside)


def scene(bands=3, rows=48, columns=60):
    """The standard scene, standardised."""
    values = landscape(bands, rows, columns)
    deviation = values.std(axis=(1, 2), keepdims=True)
    return ((values - values.mean(axis=(1, 2), keepdims=True)) / deviation).astype(np.float32)


def run(name, observation, **options):
    """An expert's estimate; networks get a few iterations only."""
    iterations = 1 if name.startswith("paper") else 4
    return expert(name, **{"iterations": iterations, **options})(observation)


def rmse(estimate, truth, where):
    return float(np.sqrt(np.mean((estimate - truth)[where] ** 2)))


# What all of them promise


@pytest.mark.parametrize("name", [*FILLERS, *NETWORKS])
def test_observed_pixels_stay_and_target_pixels_are_filled(name):
    values = scene(2)
    gap = np.stack([slanted_gaps(48, 60, shift=band) for band in range(2)])
    exterior = np.zeros((48, 60), bool)
    exterior[:, :9] = True
    observation = observe(values, gap, exterior)
    before = observation.values.copy()
    estimate = run(name, observation)
    assert estimate.dtype == np.float32 and estimate.shape == values.shape
    assert estimate[observation.observed].tobytes() == values[observation.observed].tobytes()
    assert np.isfinite(estimate).all()
    assert (estimate[observation.target] != 0).mean() > 0.99  # filled, not left
    assert (estimate[:, :, :9] == 0).all()
    assert observation.values.tobytes() == before.tobytes()  # experts share one observation


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [
        *((name, *size) for name in (*FILLERS, "deep_prior") for size in ((17, 23), (5, 7), (1, 40), (40, 1))),
        ("paper_composite", 5, 7),
        ("paper_per_band", 70, 1),  # more than the 64 pixels that the network needs one way, fewer the other
    ],
)
def test_small_and_odd_sizes(name, rows, columns):
    values = scene(2, rows, columns)
    gap = np.zeros((rows, columns), bool)
    gap[rows // 3 : rows // 3 + 1 + rows // 5, columns // 3 : columns // 3 + 1 + columns // 5] = True
    observation = observe(values, gap)
    estimate = run(name, observation, iterations=1)
    assert estimate.shape == values.shape and np.isfinite(estimate).all()
    np.testing.assert_array_equal(estimate[observation.observed], values[observation.observed])


@pytest.mark.parametrize("name", [*FILLERS, *NETWORKS])
def test_without_any_observed_pixel_the_mean_is_the_guess(name):
    """Standardised bands have mean 0: a window without an observed pixel gets 0."""
    estimate = run(name, observe(scene(), np.ones((48, 60), bool)))
    assert (estimate == 0).all()


@pytest.mark.parametrize("name", [*FILLERS, "deep_prior", "paper_composite"])
def test_a_band_that_is_not_seen_gets_the_mean_and_does_not_harm_the_others(name):
    values = scene()
    gap = np.broadcast_to(slanted_gaps(48, 60), values.shape).copy()
    gap[1] = True
    estimate = run(name, observe(values, gap))
    assert (estimate[1] == 0).all()
    assert np.isfinite(estimate).all() and (estimate[[0, 2]][gap[[0, 2]]] != 0).mean() > 0.99


@pytest.mark.parametrize("name", FILLERS)
@pytest.mark.parametrize("side", [127, 128, 129, 130])
def test_constants_come_back_in_large_holes_and_beside_the_exterior(name, side):
    """A gap of 90 pixels that opens to the exterior, whose zeros must not leak in (a coarse grid is used there)."""
    x = np.broadcast_to(np.arange(160), (100, 160))
    observation = observe(np.full((1, 100, 160), 5.0), (x >= 40) & (x < side), x >= side)
    estimate = run(name, observation)
    # The pull to 0 acts on up to 90 pixels from one side: at most 5 * 1e-6 * 90^2 / 2 without the coarse grid.
    np.testing.assert_allclose(estimate[observation.target], 5.0, atol=0.02)


@pytest.mark.parametrize("name", FILLERS)
def test_a_large_hole_is_filled_within_the_range_of_the_data(name):
    values = scene(2, 140, 150)
    y, x = np.mgrid[:140, :150]
    gap = (abs(y - 70) < 50) & (abs(x - 75) < 55)
    estimate = run(name, observe(values, gap))
    # Kriging and the plate may overshoot a little; nothing may run away.
    assert np.abs(estimate).max() <= 1.2 * np.abs(values[:, ~gap]).max()


@pytest.mark.parametrize("name", FILLERS)
def test_adding_a_constant_adds_it_to_the_fill(name):
    """Kriging weights sum to 1, and so do the implicit weights of the others."""
    values, gap = scene(1), slanted_gaps(48, 60)
    fill = run(name, observe(values, gap))
    shifted = run(name, observe(values + 2, gap))
    np.testing.assert_allclose(shifted[0][gap], fill[0][gap] + 2, atol=10 * TINY)


# Harmonic


def mean_of_neighbours(image):
    """The mean of the up to four neighbours that are not NaN."""
    padded = np.pad(image, 1, constant_values=np.nan)
    neighbours = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    return np.nansum(neighbours, axis=0) / np.maximum(np.isfinite(neighbours).sum(axis=0), 1)


def test_harmonic_is_the_mean_of_its_neighbours():
    """The discrete mean-value property; at the raster's border only the neighbours that exist count."""
    values, gap = scene(1), slanted_gaps(48, 60, thick=9, period=24)
    estimate = harmonic(observe(values, gap))[0].astype(np.float64)
    np.testing.assert_allclose(estimate[gap], mean_of_neighbours(estimate)[gap], atol=1e-5)
    # A membrane has no extremum inside the gap.
    observed = values[0][~gap]
    assert observed.min() <= estimate[gap].min() and estimate[gap].max() <= observed.max()


def test_harmonic_ignores_the_exterior():
    """The same mean-value property with neighbours inside the scene only."""
    values, gap = scene(1), slanted_gaps(48, 60, thick=9, period=24)
    exterior = np.zeros((48, 60), bool)
    exterior[:, 40:] = True
    estimate = harmonic(observe(values, gap, exterior))[0].astype(np.float64)
    estimate[exterior] = np.nan
    inside = gap & ~exterior
    np.testing.assert_allclose(estimate[inside], mean_of_neighbours(estimate)[inside], atol=1e-5)


@pytest.mark.parametrize("function", [harmonic, biharmonic])
def test_a_plane_is_reproduced(function):
    y, x = np.mgrid[:40, :50]
    plane = 0.03 * x - 0.02 * y + 0.5
    hole = (abs(y - 20) < 8) & (abs(x - 25) < 8)
    np.testing.assert_allclose(function(observe(plane[None], hole))[0], plane, atol=TINY)


def test_harmonic_between_two_points_is_the_straight_line():
    values = np.zeros((1, 1, 12))
    values[0, 0, -1] = 11.0
    gap = np.ones((1, 12), bool)
    gap[0, [0, -1]] = False
    np.testing.assert_allclose(harmonic(observe(values, gap))[0, 0], np.arange(12), atol=1e-3)


# Biharmonic


@pytest.mark.parametrize(
    "surface", [lambda y, x: x * x - 2 * y * y + x * y, lambda y, x: x**3 - 3 * x * y * y + y**3 + x * x]
)
def test_biharmonic_continues_slope_and_curvature(surface):
    """Polynomials up to degree 3 have no bi-Laplacian, discrete or not, so the plate reproduces them."""
    y, x = (axis / 20.0 for axis in np.mgrid[-20:20, -25:25])
    values = surface(y, x)
    hole = (abs(y) < 0.3) & (abs(x) < 0.3)
    observation = observe(values[None], hole)
    error = np.abs(biharmonic(observation)[0] - values)[hole].max()
    assert error < TINY
    assert error < np.abs(harmonic(observation)[0] - values)[hole].max() / 20


def test_biharmonic_stays_within_the_range_of_the_data():
    """Steep slopes on both sides of a gap would carry the plate far above them."""
    values = np.zeros((1, 40, 30))
    values[0, :10] = np.arange(10)[:, None]
    values[0, 30:] = np.arange(10)[::-1, None]
    gap = np.zeros((40, 30), bool)
    gap[10:30] = True
    observation = observe(values, gap)
    assert biharmonic(observation).max() <= 9.0
    # 9 at the rims, slopes of 1: without the limit the middle would be at 9 + 20 / 4 = 14.
    np.testing.assert_allclose(biharmonic(observation)[0, 12:28], 9.0, atol=1e-3)


# Linear


def test_linear_takes_the_shorter_way():
    """The ramp along x is exact across a gap that is 4 wide and 20 high; along the long way it is not."""
    y, x = np.mgrid[:40, :40]
    values = 0.1 * x + np.where(y < 20, 0.0, 5.0)
    gap = (abs(y - 20) < 10) & (x >= 18) & (x < 22)
    np.testing.assert_allclose(linear(observe(values[None], gap))[0], values, atol=1e-6)


def test_linear_continues_the_only_side():
    values = np.broadcast_to(np.arange(10.0)[:, None], (10, 3))
    gap = np.zeros((10, 3), bool)
    gap[6:] = True
    assert (linear(observe(values[None], gap))[0, 6:] == 5).all()


def test_linear_falls_back_to_the_membrane():
    """Pixels whose row and column hold nothing observed take what the filled pixels around them say."""
    values = np.full((1, 20, 20), 3.0)
    gap = np.ones((20, 20), bool)
    gap[0, 0] = False
    np.testing.assert_allclose(linear(observe(values, gap)), 3.0, atol=0.01)


# Kriging


def gaussian_field(reach, nugget, size=256, seed=0):
    """A random field with covariance ``(1 - nugget) exp(-h / reach)`` plus white noise, by the Fourier transform."""
    rng = np.random.default_rng(seed)
    lag = np.minimum(np.arange(size), size - np.arange(size))
    power = np.fft.fft2(np.exp(-np.hypot(lag[:, None], lag) / reach)).real.clip(0)
    white = np.fft.fft2(rng.normal(size=(size, size)))
    field = np.fft.ifft2(np.sqrt(power) * white).real
    return np.sqrt(1 - nugget) * field + np.sqrt(nugget) * rng.normal(size=(size, size))


@pytest.mark.parametrize(("reach", "nugget"), [(4.0, 0.0), (10.0, 0.0), (6.0, 0.2)])
def test_the_variogram_is_recovered(reach, nugget):
    fitted = fit_variogram(gaussian_field(reach, nugget)[None], np.ones((256, 256), bool))
    # One realisation of 256 x 256 pixels: the range scatters by a fifth, the fit's own grid is 14 % wide.
    assert fitted.range == pytest.approx(reach, rel=0.4)
    assert fitted.nugget == pytest.approx(nugget, abs=0.06)
    assert fitted.smoothness == 0.5


def test_a_smooth_surface_gets_a_smooth_covariance():
    field = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(256, 256)), 4, mode="wrap")
    assert fit_variogram(field[None] / field.std(), np.ones((256, 256), bool)).smoothness > 0.5


@pytest.mark.parametrize("smoothness", [0.5, 1.0, 1.5])
def test_matern_is_the_textbooks(smoothness):
    """``2^(1-s) / Gamma(s) h^s K_s(h)``, of which the code has the closed forms."""
    h = np.array([0.3, 1.0, 4.0])
    expected = 2 ** (1 - smoothness) / special.gamma(smoothness) * h**smoothness * special.kv(smoothness, h)
    np.testing.assert_allclose(matern(h, smoothness), expected)
    assert matern(np.zeros(1), smoothness)[0] == 1.0


def test_the_variogram_needs_no_complete_rows():
    field = gaussian_field(6.0, 0.0)[None]
    whole = fit_variogram(field, np.ones((256, 256), bool))
    gapped = fit_variogram(field, ~slanted_gaps(256, 256, 12, 40))
    assert gapped.range == pytest.approx(whole.range, rel=0.3)


def test_too_few_pixels_get_the_standing_variogram():
    assert fit_variogram(np.zeros((1, 3, 3)), np.ones((3, 3), bool)) == Variogram(10.0, 0.02)


def test_kriging_weights_sum_to_one_and_are_exact_at_a_datum():
    offsets = np.array([[[0, 1], [0, -1], [3, 0], [-2, 5]], [[0, 0], [1, 0], [2, 2], [9, 9]]])
    used = np.ones((2, 4), bool)
    used[0, 3] = False

    def found(nugget):
        return kriging_weights(as_places(offsets, used), [Variogram(8.0, nugget)])[0]

    weights = found(0.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-9)
    assert weights[0, 3] == 0.0  # no such neighbour
    assert weights[0, 0] == pytest.approx(weights[0, 1]) and weights[0, 0] > weights[0, 2]
    # A datum at the very place takes all the weight where there is no nugget.
    np.testing.assert_allclose(weights[1], [1, 0, 0, 0], atol=1e-4)
    smoothed = found(0.3)
    assert smoothed[1, 0] < 0.9  # and shares it where there is noise


def test_kriging_is_near_the_best_on_the_field_it_is_made_for():
    """Exponential covariance with noise: with all neighbours kriging is the optimum, with 16 it comes near it."""
    field = gaussian_field(8.0, 0.1, size=160, seed=3)
    gap = slanted_gaps(160, 160, thick=8, period=30)
    observation = observe(field[None], gap)
    errors = {name: rmse(run(name, observation)[0], field, gap) for name in CLASSICAL}
    assert errors["kriging"] < 1.02 * min(errors.values())
    # What noise and a wrong covariance cost the others; the field's own deviation is 1.
    assert errors["kriging"] < 0.95 * errors["linear"] and errors["kriging"] < 0.95 * errors["biharmonic"]


def test_kriging_gives_each_principal_component_its_own_covariance():
    """Two bands that mix a smooth and a rough surface are filled as if the surfaces themselves were observed."""
    smooth, rough = gaussian_field(30.0, 0.0, 128, 1), gaussian_field(2.0, 0.3, 128, 2)
    gap = slanted_gaps(128, 128, thick=8, period=30)
    mixed = np.stack([2 * smooth + rough, 2 * smooth - rough])
    truth = np.stack([smooth, rough])
    apart = np.concatenate([run("kriging", observe(one[None], gap)) for one in truth])
    expected = np.stack([2 * apart[0] + apart[1], 2 * apart[0] - apart[1]])
    together = run("kriging", observe(mixed, gap))
    everywhere = np.broadcast_to(gap, mixed.shape)
    assert rmse(together, expected, everywhere) < 0.1 * rmse(together, mixed, everywhere)


def test_pixels_with_like_neighbours_share_their_weights():
    gap = slanted_gaps(64, 64, thick=4, period=16)
    places = Neighbourhood(~gap, gap)
    assert len(places.settings) < 0.3 * np.count_nonzero(gap) and places.reached.all()
    (weights,) = kriging_weights(places.settings, [Variogram(5.0, 0.1, 1.0)])
    flat = places.apply(np.full((2, 64, 64), 7.0), weights)
    np.testing.assert_allclose(flat, 7.0, atol=1e-6)


# Values borrowed from the bands that see a pixel


def offset_gaps(bands, rows, columns, thick=8, period=24, step=5):
    """Gaps that differ by ``step`` rows from band to band, as Landsat's do at their ends."""
    return np.stack([slanted_gaps(rows, columns, thick, period, shift=step * band) for band in range(bands)])


def test_borrowing_beats_the_membrane_where_bands_are_alike():
    values = scene(3, 96, 100)
    gap = offset_gaps(3, 96, 100)
    observation = observe(values, gap)
    helped, borrowed = borrow(observation)
    assert borrowed.any() and not (borrowed & ~observation.target).any()
    assert (borrowed & observation.observed).sum() == 0
    np.testing.assert_array_equal(helped.observed, observation.observed | borrowed)
    np.testing.assert_array_equal(helped.values[observation.observed], values[observation.observed])
    assert rmse(helped.values, values, borrowed) < 0.7 * rmse(harmonic(observation), values, borrowed)
    # Experts that start from the helped observation win at the other pixels too, or lose nothing.
    rest = observation.target & ~borrowed
    if rest.any():
        assert rmse(harmonic(helped), values, rest) < 1.05 * rmse(harmonic(observation), values, rest)


def test_unlike_bands_lend_nothing():
    rng = np.random.default_rng(1)
    fields = np.stack([gaussian_field(5.0, 0.0, 128, seed) for seed in rng.integers(0, 1000, 3)])
    observation = observe(fields, offset_gaps(3, 128, 128))
    helped, borrowed = borrow(observation)
    assert not borrowed.any()
    np.testing.assert_array_equal(helped.values, observation.values)


def test_an_odd_band_out_lends_and_borrows_nothing():
    values = scene(3, 96, 128)
    values[1] = gaussian_field(5.0, 0.0, 128)[:96]
    observation = observe(values, offset_gaps(3, 96, 128))
    _, borrowed = borrow(observation)
    assert borrowed[0].any() and borrowed[2].any() and not borrowed[1].any()


def test_common_gaps_and_dead_bands_leave_nothing_to_borrow():
    values = scene()
    same = observe(values, slanted_gaps(48, 60))
    assert borrow(same)[0] is same
    dead = np.broadcast_to(slanted_gaps(48, 60), values.shape).copy()
    dead[1] = True
    assert not borrow(observe(values, dead))[1].any()


def test_bands_of_which_no_pixel_is_seen_by_all():
    """Each pixel misses one of three bands: departures are taken from the mean, and still beat the mean itself."""
    values = scene(3, 64, 64)
    x = np.broadcast_to(np.arange(64), (64, 64))
    gap = np.stack([(x // 4) % 3 == band for band in range(3)])
    helped, borrowed = borrow(observe(values, gap))
    assert borrowed.any()
    assert rmse(helped.values, values, borrowed) < 0.5  # the values' own deviation is 1


def test_borrowing_leaves_the_exterior_alone():
    values = scene(3, 96, 100)
    exterior = np.zeros((96, 100), bool)
    exterior[:, 60:] = True
    _, borrowed = borrow(observe(values, offset_gaps(3, 96, 100), exterior))
    assert borrowed.any() and not borrowed[:, :, 60:].any()


# Networks


def test_the_same_seed_gives_the_same_fill():
    observation = observe(scene(2, 24, 30), slanted_gaps(24, 30))
    first, again, other = (run("deep_prior", observation, seed=seed, iterations=3) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_the_seed_does_not_depend_on_what_ran_before():
    import torch

    observation = observe(scene(1, 24, 30), slanted_gaps(24, 30))
    first = run("deep_prior", observation, iterations=2)
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    assert run("deep_prior", observation, iterations=2).tobytes() == first.tobytes()
    assert torch.equal(torch.random.get_rng_state(), state)  # and leaves the caller's generator alone


def test_the_lean_prior_learns_and_meets_the_rim():
    values, gap = scene(1, 32, 40), slanted_gaps(32, 40, thick=5)
    observation = observe(values, gap)
    estimate = run("deep_prior", observation, iterations=40)
    # Better by far than the mean, whose error is 1; the membrane's on this scene is about 0.15.
    assert rmse(estimate, values, observation.target) < 0.35
    # No step at the rim: jumps between a filled and an observed neighbour are like those among observed ones.
    step = np.abs(np.diff(estimate, axis=1))
    rim = gap[1:] != gap[:-1]
    inner = ~gap[1:] & ~gap[:-1]
    assert np.mean(step[:, rim]) < 1.5 * np.mean(step[:, inner])


@pytest.mark.parametrize(("bands", "alike", "images"), [(24, True, 3), (24, False, 24), (4, True, 4)])
def test_the_lean_prior_fits_principal_images_of_many_bands_with_one_mask(monkeypatch, bands, alike, images):
    """24 bands of three materials are three images; bands with masks of their own, and few bands, stay as they are."""
    made = []
    network = build.build_network
    monkeypatch.setattr(
        build, "network", lambda preset, count, inputs: made.append(count) or network(preset, count, inputs)
    )
    mixing = np.random.default_rng(0).normal(size=(bands, 3)).astype(np.float32)
    truth = np.tensordot(mixing, (landscape(3, 48, 60) - 125) / 40, axes=1).astype(np.float32)
    gap = np.broadcast_to(slanted_gaps(48, 60), truth.shape).copy()
    if not alike:
        gap[0] = slanted_gaps(48, 60, shift=7)
    observation = observe(truth, gap)
    fill = run("deep_prior", observation, seed=0, iterations=30)
    assert made == [images]
    np.testing.assert_array_equal(fill[~gap], truth[~gap])
    # After 30 iterations the network knows little: what it leaves over is carried in from the rim.
    assert rmse(fill, truth, gap) < 0.6 * truth[gap].std()


def test_the_papers_networks_stay_within_the_range_of_the_data():
    """Their last layer is a sigmoid on data scaled to 0..1 by band."""
    values = scene(2) * np.array([1.0, 30.0])[:, None, None] + np.array([5.0, -200.0])[:, None, None]
    observation = observe(values, slanted_gaps(48, 60))
    estimate = run("paper_composite", observation)
    for band in range(2):
        seen = observation.values[band][observation.observed[band]]
        filled = estimate[band][observation.target[band]]
        assert seen.min() <= filled.min() and filled.max() <= seen.max()


def test_network_inputs_differ():
    observation = observe(scene(1), slanted_gaps(48, 60))
    noise, grid = (run("paper_composite", observation, network_input=kind) for kind in ("noise", "meshgrid"))
    assert noise.tobytes() != grid.tobytes()


def test_follow_sees_the_progress_and_ends_the_fit():
    observation = observe(scene(2, 20, 30), slanted_gaps(20, 30))
    told = []
    run(
        "paper_per_band", observation, iterations=2, progress=ProgressReporter(lambda share: told.append(share) or True)
    )
    assert told == [0.0, 0.25, 0.5, 0.5, 0.75, 1.0]  # two bands: may it begin, and after each of two iterations
    told.clear()
    estimate = run(
        "deep_prior",
        observation,
        iterations=500,
        progress=ProgressReporter(lambda share: told.append(share) or len(told) < 4),
    )
    assert told == [0.0, 1 / 500, 2 / 500, 3 / 500]
    assert np.isfinite(estimate).all()


@pytest.mark.parametrize("name", ["deep_prior", "paper_composite", "paper_per_band"])
def test_a_fit_that_has_no_time_to_begin_leaves_the_harmonic_surface(name):
    observation = observe(scene(2, 20, 30), slanted_gaps(20, 30))
    estimate = run(name, observation, progress=ProgressReporter(lambda share: False))
    np.testing.assert_allclose(estimate, harmonic(observation), atol=1e-5)
