"""Scores of a comparison equal hand-computed values and scikit-image, and satisfy the identities of the metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from dip_core.comparison import Comparison, compare, similarity_map


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A reference of 3 bands with different levels, and a noisy, biased restoration."""
    generator = np.random.default_rng(0)
    row, column = np.mgrid[0:48, 0:60] / 48.0
    smooth = np.stack([0.2 + 0.3 * row, 0.5 + 0.2 * np.sin(9 * column), 0.9 * row * column])
    reference = np.clip(smooth + generator.normal(0, 0.02, smooth.shape), 0, 1).astype(np.float32)
    restored = reference + 0.01 + generator.normal(0, 0.03, smooth.shape).astype(np.float32)
    return restored.astype(np.float32), reference


def test_hand_computed_values():
    """x = 1 2 3 4 and y = 2 2 3 5: e = 1 0 0 1, sum e^2 = 2, sum (x - 2.5)^2 = 5."""
    x = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    y = np.array([[[2.0, 2.0], [3.0, 5.0]]])
    scores = compare(y, x)
    assert scores["rmse"] == pytest.approx(math.sqrt(0.5))
    assert scores["bias"] == pytest.approx(0.5)
    assert scores["r2"] == pytest.approx(1 - 2 / 5)
    # sum (x - 2.5)(y - 3) = 1.5 + .5 + 0 + 3 = 5, sum (y - 3)^2 = 6
    assert scores["pearson_r2"] == pytest.approx(25 / (5 * 6))
    assert scores["psnr"] == pytest.approx(10 * math.log10(16 / 0.5))
    assert scores["ergas"] == pytest.approx(100 * math.sqrt(0.5) / 2.5)
    assert scores.peak == 4.0
    assert math.isnan(scores["sam"]) and math.isnan(scores["mssim"])  # one band; under 11 pixels


def test_spectral_angle_in_degrees():
    """The spectra (1, 0) and (1, 1) differ by 45 degrees, (0, 2) and (3, 0) at 90; a dark pixel is skipped."""
    x = np.array([[[1.0, 0.0, 0.0]], [[0.0, 2.0, 0.0]]])
    y = np.array([[[1.0, 3.0, 5.0]], [[1.0, 0.0, 5.0]]])
    assert compare(y, x)["sam"] == pytest.approx((45 + 90) / 2)


def test_psnr_and_ssim_equal_scikit_image(pair):
    restored, reference = (values.astype(np.float64) for values in pair)
    scores = compare(*pair, peak=1.0)
    assert scores["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, restored, data_range=1.0))
    for band in range(3):
        assert scores.bands[band]["psnr"] == pytest.approx(
            peak_signal_noise_ratio(reference[band], restored[band], data_range=1.0)
        )
        assert scores.bands[band]["ssim"] == pytest.approx(
            structural_similarity(
                reference[band],
                restored[band],
                data_range=1.0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )
    assert scores["mssim"] == pytest.approx(np.mean([band["ssim"] for band in scores.bands]))
    assert scores["mpsnr"] == pytest.approx(np.mean([band["psnr"] for band in scores.bands]))


def test_pearson_equals_numpy_and_determination_its_definition(pair):
    restored, reference = (values.astype(np.float64) for values in pair)
    for band, scores in enumerate(compare(*pair).bands):
        x, y = reference[band].ravel(), restored[band].ravel()
        assert scores["pearson_r2"] == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
        assert scores["r2"] == pytest.approx(1 - ((y - x) ** 2).sum() / ((x - x.mean()) ** 2).sum())


def test_perfect_restoration(pair):
    _, reference = pair
    scores = compare(reference, reference)
    assert (scores["rmse"], scores["bias"], scores["ergas"]) == (0.0, 0.0, 0.0)
    assert (scores["r2"], scores["pearson_r2"], scores["mssim"]) == pytest.approx((1.0, 1.0, 1.0))
    assert scores["psnr"] == scores["mpsnr"] == math.inf
    assert scores["sam"] == pytest.approx(0.0, abs=1e-5)  # arccos near 1 keeps half the digits


def test_identities(pair):
    """Cube PSNR <= MPSNR for one peak (Jensen); R2 <= Pearson r2; RMSE^2 >= bias^2; SAM ignores brightness."""
    restored, reference = pair
    scores = compare(restored, reference, peak=1.0)
    assert scores["psnr"] <= scores["mpsnr"]
    assert scores["r2"] <= scores["pearson_r2"]
    assert scores["rmse"] > abs(scores["bias"])
    assert compare(3 * restored, reference)["sam"] == pytest.approx(scores["sam"], rel=1e-4)
    assert compare(restored, reference, ratio=0.5)["ergas"] == pytest.approx(scores["ergas"] / 2)


def test_a_constant_bias_lowers_r2_but_not_pearson(pair):
    _, reference = pair
    scores = compare(reference + np.float32(0.3), reference)
    assert scores["pearson_r2"] == pytest.approx(1.0, abs=1e-6)
    assert scores["r2"] < 0.5
    assert scores["bias"] == pytest.approx(0.3, abs=1e-6)


def test_different_levels_of_the_bands_do_not_count_as_skill():
    """Noise around two levels: pooled over bands with one common mean, r2 would be close to 1."""
    generator = np.random.default_rng(1)
    levels = np.array([0.0, 100.0])[:, None, None]
    x, y = (levels + generator.normal(size=(2, 50, 50)) for _ in range(2))
    scores = compare(y, x)
    assert scores["pearson_r2"] < 0.01
    assert scores["r2"] == pytest.approx(-1.0, abs=0.1)  # two unit variances against one


def test_mask_counts_only_its_pixels(pair):
    restored, reference = pair
    mask = np.zeros(reference.shape[1:], bool)
    mask[20:30, 10:40] = True
    spoilt = np.where(mask, restored, 1e6).astype(np.float32)
    scores = compare(spoilt, reference, mask)
    inside = compare(restored[:, 20:30, 10:40], reference[:, 20:30, 10:40])
    assert scores.pixels == 3 * 300
    for name in ("rmse", "bias", "r2", "pearson_r2", "sam", "ergas"):
        assert scores[name] == pytest.approx(inside[name])
    assert scores.peak == pytest.approx(reference.max())  # the whole band's, so that regions can be compared


def test_mask_per_band():
    x = np.zeros((2, 3, 3)) + np.arange(9.0).reshape(3, 3) + 1
    y = x.copy()
    y[0, 0, 0] += 3.0
    y[1] += 7.0
    mask = np.zeros((2, 3, 3), bool)
    mask[0] = True
    scores = compare(y, x, mask)
    assert scores.pixels == 9
    assert scores["rmse"] == pytest.approx(1.0)
    assert math.isnan(scores.bands[1]["rmse"])
    assert scores["ergas"] == pytest.approx(100 / 5)  # the band without counted pixels is left out


def test_pixels_that_are_not_finite_are_not_counted(pair):
    restored, reference = (values.copy() for values in pair)
    keep = np.ones(reference.shape, bool)
    keep[0, 3, 4] = keep[1, 5, 6] = keep[2, 7, 8] = False
    expected = compare(restored, reference, keep)
    restored[0, 3, 4], restored[1, 5, 6], reference[2, 7, 8] = np.nan, np.inf, np.nan
    scores = compare(restored, reference)
    assert scores.pixels == reference.size - 3
    assert scores["rmse"] == pytest.approx(expected["rmse"])
    assert scores.bands[0]["ssim"] == pytest.approx(expected.bands[0]["ssim"], abs=0.01)
    assert math.isfinite(scores["mssim"]) and math.isfinite(scores["sam"])


def test_similarity_skips_windows_with_a_missing_pixel(pair):
    restored, reference = (values.copy() for values in pair)
    restored[0, 20, 20] = np.nan
    similarity = similarity_map(restored, reference, [1.0] * 3)
    assert np.isnan(similarity[0, 15:26, 15:26]).all()
    assert np.isfinite(similarity[0, 14, 20]) and np.isfinite(similarity[1, 20, 20])
    assert np.isnan(similarity[1, :5]).all() and np.isfinite(similarity[1, 5, 5])


def test_nothing_counted_gives_nan_everywhere(pair):
    scores = compare(*pair, mask=np.zeros((48, 60), bool))
    assert scores.pixels == 0
    assert all(math.isnan(value) for value in scores.values.values())


def test_constant_reference_has_no_r2():
    """0.1 is no binary fraction: the rounding error of its mean must not count as variation."""
    x = np.full((2, 20, 20), 0.1)
    y = x + np.random.default_rng(0).normal(0, 0.01, x.shape)
    scores = compare(y, x)
    assert math.isnan(scores["r2"]) and math.isnan(scores["pearson_r2"])
    assert scores["rmse"] == pytest.approx(0.01, rel=0.1)


def test_black_reference_is_undefined_not_an_error():
    scores = compare(np.ones((2, 20, 20)), np.zeros((2, 20, 20)))
    assert scores["rmse"] == 1.0
    assert all(math.isnan(scores[name]) for name in ("psnr", "mpsnr", "mssim", "sam", "ergas"))


def test_peak_of_negative_data_is_its_range():
    """Radar backscatter in dB has no positive maximum."""
    x = np.linspace(-25.0, -5.0, 400).reshape(1, 20, 20)
    assert compare(x + 1.0, x).peak == pytest.approx(20.0)


def test_windows_give_the_same_scores_as_the_whole(pair):
    restored, reference = (np.tile(values, (1, 25, 1)) for values in pair)  # 1200 rows: three strips
    whole = compare(restored, reference, peak=1.0)
    similarity = similarity_map(restored, reference, [1.0] * 3)
    comparison = Comparison([1.0] * 3)
    comparison.add(restored, reference, None, similarity)
    at_once = comparison.scores()
    assert whole.values == pytest.approx(at_once.values, rel=1e-9) and whole.pixels == at_once.pixels


def test_shapes_must_match(pair):
    restored, reference = pair
    with pytest.raises(ValueError, match="Cannot compare"):
        compare(restored[:2], reference)
    with pytest.raises(ValueError, match="does not fit"):
        compare(restored, reference, mask=np.ones((5, 5), bool))
