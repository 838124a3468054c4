"""Denoising: noise levels and subspace are found, the error falls and is known, what is not to be touched is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import TRANSFORM, read, table, write
from scipy import ndimage

from dip_core import job
from dip_core.denoising import validation as trial
from dip_core.denoising.clipping import Limits, complete, find_limits, moments, no_limits, unclipped
from dip_core.denoising.deep_prior import denoise_eigen_images
from dip_core.denoising.model import Settings, experts_of
from dip_core.denoising.model import denoise as denoise_array
from dip_core.denoising.nl_ridge import LARGE, WEAK, Groups, _inverse, find_groups, nl_ridge, nl_ridge_pair
from dip_core.denoising.outliers import find_outliers
from dip_core.errors import InvalidJob, NothingObserved
from dip_core.imaging.subspace import find_subspace
from dip_core.job import Compute, DenoiseJob, Outputs
from dip_core.raster import atomic
from dip_core.raster.band_selection import select_bands
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context
from dip_core.tasks import denoise

RANK = 3


def cube(bands: int = 30, rows: int = 64, columns: int = 72, seed: int = 0) -> np.ndarray:
    """A noise-free cube of three materials, piecewise smooth, about 0 to 1; ``(band, row, column)``."""
    rng = np.random.default_rng(seed)
    fields = ndimage.gaussian_filter(rng.normal(size=(RANK, rows, columns)), (0, 6, 6))
    shares = np.stack([np.where(field > 0, 1.0, 0.2) for field in fields]) + 4.0 * fields
    spectra = ndimage.gaussian_filter1d(rng.random((bands, RANK)), 4 if bands > 8 else 1, axis=0)
    image = np.tensordot(spectra, shares, axes=1)
    return (image - image.min()) / (image.max() - image.min())


def noisy(clean: np.ndarray, sigma, seed: int = 1) -> np.ndarray:
    """With independent normal noise; ``sigma``: one level, or one a band."""
    level = np.broadcast_to(np.asarray(sigma, float), len(clean))[:, None, None]
    return clean + level * np.random.default_rng(seed).normal(size=clean.shape)


def everywhere(values: np.ndarray) -> np.ndarray:
    return np.ones(values.shape, bool)


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(a - b))))


def test_non_local_ridge_removes_most_of_the_noise():
    clean = cube(1)[0] * 20
    image = (clean + np.random.default_rng(0).normal(size=clean.shape))[None].astype(np.float32)
    assert (
        rmse(nl_ridge(image, np.ones(clean.shape, bool)).images[0], clean) < 0.65
    )  # edges of a signal four times the noise keep the most


@pytest.mark.parametrize("variance", [300.0, 900.0])
@pytest.mark.parametrize("shape", ["blob", "line"])
def test_non_local_ridge_bears_one_bright_object_in_a_flat_image(shape, variance):
    """The groups on it hold a signal far above the image's own variance: their matrices are nearly singular."""
    y, x = np.mgrid[:64, :64]
    clean = np.exp(-((y - 30) ** 2 + (x - 34) ** 2) / 16) if shape == "blob" else (abs(x - 30) <= 1).astype(float)
    clean = clean * np.sqrt(variance / clean.var())
    noisy = (clean + np.random.default_rng(0).normal(size=clean.shape)).astype(np.float32)[None]
    assert rmse(nl_ridge(noisy, np.ones(clean.shape, bool)).images[0], clean) < 0.4


@pytest.mark.parametrize("size", [5, 20, 21, 64])
def test_matrices_are_inverted_in_any_size(size):
    parts = torch.randn((7, size, 3), generator=torch.Generator().manual_seed(size))
    matrices = parts @ parts.transpose(-1, -2) * 100 + 49 * torch.eye(size)  # three strong directions
    expected = torch.linalg.inv(matrices.double())
    assert float((_inverse(matrices) - expected).abs().max()) < 1e-3 * float(expected.abs().max())
    torch.testing.assert_close(_inverse(matrices.double()), expected)


def test_non_local_ridge_leaves_a_strong_signal():
    """Where the noise is 1 part in 10,000 nothing may be lost, nor any number overflow."""
    clean = cube(2) * 1e4
    image = (clean + np.random.default_rng(0).normal(size=clean.shape)).astype(np.float32)
    assert rmse(nl_ridge(image, np.ones(clean.shape[1:], bool)).images, clean) < 1.1


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 40), (17, 23)])
def test_images_smaller_than_a_search_window(shape):
    image = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    estimate = nl_ridge(image, np.ones(shape, bool)).images
    assert estimate.shape == image.shape and np.isfinite(estimate).all()
    assert np.abs(estimate).max() <= np.abs(image).max() + 1e-5


def test_the_weaker_an_image_the_larger_its_patches():
    """A strong image of 20 noise variances and a weak one of a tenth: each has the error of the size that suits it."""
    clean = np.stack([cube(1)[0], cube(1)[0]])
    clean = (clean - clean.mean()) / clean.std() * np.sqrt([20.0, 0.1])[:, None, None]
    noisy = (clean + np.random.default_rng(0).normal(size=clean.shape)).astype(np.float32)
    seen = np.ones(clean.shape[1:], bool)
    both = (nl_ridge(noisy, seen, groups=size) for size in (WEAK, LARGE))
    pair, small, large = (found.images for found in (nl_ridge_pair(noisy, seen), *both))
    errors = [[rmse(found[channel], clean[channel]) for found in (pair, small, large)] for channel in (0, 1)]
    assert errors[0][1] < errors[0][2] and errors[1][1] > errors[1][2]  # small ones suit it only
    for pair_error, *others in errors:
        assert pair_error < 1.05 * min(others)
    assert (nl_ridge_pair(noisy, ~seen).images == 0).all()


def test_groups_found_in_every_second_pixel_are_as_alike():
    """Of a smooth image; without thinning the members are the nearest by definition."""
    image = torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(1, 64, 64)), (0, 2, 2)))
    image, mask = (image / image.std()).float(), torch.ones((64, 64), dtype=torch.bool)
    inside = (torch.arange(15)[:, None] * 64 + torch.arange(15)).reshape(-1)

    def difference(thin):
        groups = find_groups(image, mask, Groups(15, 20, 20, 12, 12, thin), 20)
        patches = image.reshape(-1)[groups[:, :, None] + inside]
        return float((patches - patches[:, :1]).square().mean())

    assert difference(1) <= difference(2) < 1.02 * difference(1) < 1.0


def test_unobserved_pixels_never_spread():
    clean = cube(1)[0] * 20
    seen = np.ones(clean.shape, bool)
    seen[20:40, 20:50] = False
    noise = np.random.default_rng(0).normal(size=clean.shape)
    first = np.where(seen, clean + noise, 1e6)[None].astype(np.float32)
    second = np.where(seen, clean + noise, -7.0)[None].astype(np.float32)
    estimate = nl_ridge(first, seen).images
    np.testing.assert_array_equal(estimate, nl_ridge(second, seen).images)
    assert (estimate[0][~seen] == 0).all()
    assert rmse(estimate[0][seen], clean[seen]) < 0.65


@pytest.mark.parametrize("bands", [1, 2, 30])
def test_error_falls_and_its_size_is_known(bands):
    """Given the noise level, the held-out error is within a third of the true one, and deviations cover their share."""
    clean = cube(bands, 128, 128)
    values = noisy(clean, 0.1)
    estimate, deviation, model = denoise_array(values, everywhere(values), Settings("fast", sigma=0.1))
    true = rmse(estimate, clean)
    assert true < 0.5 * 0.1
    assert model.score is not None and model.score.rmse == pytest.approx(true, rel=0.34)
    assert model.score.rmse < model.score.baseline_rmse
    ratio = np.abs(estimate - clean) / deviation
    assert 0.5 < np.mean(ratio <= 1) < 0.85 and np.mean(ratio <= 2) > 0.85


def test_given_level_overrides_the_estimate():
    values = noisy(cube(), 0.05)
    _, _, model = denoise_array(values, everywhere(values), Settings("fast", sigma=0.3))
    np.testing.assert_array_equal(model.subspace.sigma, np.full(30, 0.3))


def test_held_out_values_are_not_seen_by_the_denoiser():
    values = noisy(cube(), 0.1)
    space = find_subspace(values, everywhere(values))
    test = trial.hold_out(values, everywhere(values), space, np.random.default_rng(0))
    assert not (test.judged & test.observed).any()
    assert test.judged.mean() == pytest.approx(0.1, abs=0.01)


def test_shares_take_the_better_of_two_and_mix_where_both_err_apart():
    clean = cube()
    values = noisy(clean, 0.1)
    space = find_subspace(values, everywhere(values))
    test = trial.hold_out(values, everywhere(values), space, np.random.default_rng(0))
    rng = np.random.default_rng(5)
    apart = [clean + rng.normal(0, 0.05, clean.shape) for _ in range(2)]
    np.testing.assert_allclose(trial.best_shares(test, apart, no_limits(30)), 0.5, atol=0.1)
    np.testing.assert_allclose(trial.best_shares(test, [clean, clean + 0.3], no_limits(30)), [1, 0], atol=0.05)


def test_lean_deep_prior_denoises_and_repeats_itself():
    clean = cube(2, 40, 33) * 20
    seen = np.ones(clean.shape[1:], bool)
    seen[:4, :6] = False
    image = np.where(seen, clean + np.random.default_rng(0).normal(size=clean.shape), 0).astype(np.float32)
    first = denoise_eigen_images(image, seen, seed=1, iterations=150, seeds=1)
    assert rmse(first[:, seen], clean[:, seen]) < 0.8  # a fifth of the noise variance in few iterations, and more
    assert (first[:, ~seen] == 0).all()
    np.testing.assert_array_equal(first, denoise_eigen_images(image, seen, seed=1, iterations=150, seeds=1))


def test_mixture_is_never_much_worse_than_its_better_part():
    """A deep prior stopped far too early is no good; validation must tell and leave it out."""
    clean = cube(30, 48, 48)
    values = noisy(clean, 0.1)
    settings = Settings("best", iterations=20)
    mixed, deviation, model = denoise_array(values, everywhere(values), settings)
    alone, _, _ = denoise_array(values, everywhere(values), Settings("fast"))
    assert set(model.shares) == {"nl_ridge_pair", "deep_prior"} and sum(model.shares.values()) == pytest.approx(1)
    assert model.shares["deep_prior"] < 0.2
    assert rmse(mixed, clean) < 1.05 * rmse(alone, clean)
    assert (deviation > 0).all()


@pytest.mark.parametrize(("name", "iterations"), [("paper_2d", 25), ("paper_3d", 25)])
def test_papers_network_runs_on_the_bands_themselves(name, iterations):
    clean = cube(4, 24, 24)
    values = noisy(clean, 0.02)
    observed = everywhere(values)
    observed[:, :5, :5] = False
    errors = []
    for number in (2, iterations):
        settings = Settings(name, iterations=number)
        estimate, _, model = denoise_array(np.where(observed, values, np.nan), observed, settings)
        assert model.shares == {name: 1.0} and np.isfinite(estimate).all()
        errors.append(rmse(estimate[observed], clean[observed]))
    assert errors[1] < 0.7 * errors[0]


def test_best_leaves_the_deep_prior_out_of_large_scenes():
    assert experts_of(Settings("best"), 64 * 64) == ("nl_ridge_pair", "deep_prior")
    assert experts_of(Settings("best"), 150 * 150) == ("nl_ridge_pair",)
    assert experts_of(Settings("deep_prior"), 1000 * 1000) == ("deep_prior",)


# ---------------------------------------------------------------- clipped data


def test_clipping_is_found_where_it_is():
    values = noisy(cube(), 0.3)
    clipped = values.copy()
    clipped[:10] = clipped[:10].clip(0, None)
    clipped[5:] = clipped[5:].clip(None, 1)
    level = np.full(30, 0.3)
    limits = find_limits(clipped, everywhere(values), level)
    np.testing.assert_array_equal(limits.low, [0.0] * 10 + [-np.inf] * 20)
    np.testing.assert_array_equal(limits.high, [np.inf] * 5 + [1.0] * 25)
    assert not find_limits(values, everywhere(values), level).any
    # Many samples on each of some levels, and a saturated target far above its surroundings.
    assert not find_limits(np.rint(values * 200), everywhere(values), 200 * level).any
    values[:, 10:20, 10:20] = 9.0
    assert not find_limits(values, everywhere(values), level).any


def test_moments_of_clipped_samples_are_those_of_a_simulation():
    truth = np.array([[-0.2, 0.0, 0.3, 0.9, 1.3]])
    limits = Limits(np.array([0.0]), np.array([1.0]))
    samples = noisy(np.repeat(truth, 400_000, axis=0)[None], 0.3)[0].clip(0, 1)
    mean, variance, slope = moments(truth, np.array([0.3]), limits)
    # Means of 400,000 samples are right to 0.0005 (one standard deviation); slopes of differences over 0.02 to less.
    np.testing.assert_allclose(mean[0], samples.mean(axis=0), atol=0.002)
    np.testing.assert_allclose(variance[0], samples.var(axis=0), atol=0.002)
    steps = moments(truth + 1e-4, np.array([0.3]), limits)[0] - mean
    np.testing.assert_allclose(slope, steps / 1e-4, atol=1e-3)
    np.testing.assert_allclose(unclipped(mean[None], np.array([0.3]), limits)[0], truth, atol=0.01)


def test_without_limits_nothing_changes():
    truth = np.array([[-0.2, 0.3, 5.0]])
    mean, variance, slope = moments(truth, np.array([0.3]), no_limits(1))
    np.testing.assert_allclose(mean, truth)
    np.testing.assert_allclose(variance, 0.09)
    np.testing.assert_array_equal(slope, 1.0)


def test_clipped_samples_are_replaced_by_their_expectation():
    limits = Limits(np.array([0.0]), np.array([np.inf]))
    truth = np.full((1, 1, 1_000_000), 0.1)
    full = noisy(truth, 0.3)
    clipped = full.clip(0, None)
    completed, level = complete(clipped, everywhere(full), truth, np.array([0.3]), limits)
    # A third of 1,000,000 samples: the mean is right to 0.0003, the level to 0.0003.
    assert completed[clipped == 0].mean() == pytest.approx(full[full < 0].mean(), abs=0.002)
    assert level[0] == pytest.approx(0.3, abs=0.002)
    np.testing.assert_allclose(completed[clipped > 0], clipped[clipped > 0], rtol=1e-6)


def test_clipped_scene_is_denoised_to_the_truth_and_not_to_its_clipped_mean():
    clean = cube(30, 72, 72)
    values = noisy(clean, 0.4).clip(0, 1)
    naive, _, _ = denoise_array(values, everywhere(values), Settings("fast", "gaussian"))
    aware, deviation, model = denoise_array(values, everywhere(values), Settings("fast", "auto"))
    ceiling = rmse(moments(clean, np.full(30, 0.4), model.limits)[0], clean)
    assert rmse(naive, clean) > 0.8 * ceiling
    assert rmse(aware, clean) < 0.75 * ceiling
    np.testing.assert_allclose(model.subspace.sigma, 0.4, rtol=0.1)
    assert np.isfinite(deviation).all()


# ---------------------------------------------------------------- mixed noise


def test_mixed_noise_is_denoised_nearly_as_well_as_normal_noise():
    clean = cube(30, 72, 72)
    values = noisy(clean, 0.05)
    rng = np.random.default_rng(3)
    damaged = values.copy()
    impulses = rng.random(values.shape) < 0.02
    damaged[impulses] = rng.choice([-0.5, 1.5], impulses.sum())
    damaged[4, :, 20] = 0.0
    damaged[9, 33] = 0.0
    damaged[15, :, 50:52] += 0.12
    seen = everywhere(values)
    good, _, _ = denoise_array(values, seen, Settings("fast"))
    naive, _, _ = denoise_array(damaged, seen, Settings("fast"))
    mixed, _, model = denoise_array(damaged, seen, Settings("fast", "mixed"))
    assert rmse(mixed, clean) < 1.25 * rmse(good, clean)
    assert rmse(mixed, clean) < 0.6 * rmse(naive, clean)
    for cut in (np.s_[4, :, 20], np.s_[9, 33], np.s_[15, :, 50:52]):
        assert rmse(mixed[cut], clean[cut]) < 0.05  # less than the noise of whole lines
    np.testing.assert_allclose(model.subspace.sigma, 0.05, rtol=0.15)


def test_normal_noise_has_no_outliers():
    values = noisy(cube(30), 0.1)
    found = find_outliers(values, everywhere(values), find_subspace(values, everywhere(values)))
    assert found.mean() < 1e-4  # 7 in a million expected, and a rare extreme of the median filter


# ---------------------------------------------------------------- from a job to its files


def run(tmp_path, source, **options):
    """Run a denoising job with all outputs; the result and their paths."""
    names = {"output": "o.tif", "uncertainty": "u.tif", "filled": "f.tif", "report": "r.html", "metrics": "m.csv"}
    compute = {name: options.pop(name) for name in list(options) if name in Compute.__dataclass_fields__}
    paths = {name: str(tmp_path / file) for name, file in names.items()}
    options.setdefault("method", "fast")
    try:
        result = denoise.run(
            DenoiseJob(str(source), Outputs(**paths), compute=Compute(**compute), **options), Context()
        )
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    return result, paths


@pytest.fixture
def scene(tmp_path):
    """A raster of 24 bands with nodata, a bad band, an empty one and wavelengths; its path and the clean cube."""
    clean = cube(24) * 4000 + 500
    values = np.rint(noisy(clean, 200.0)).astype(np.int16)
    values[:, :8, :20] = -999
    values[3, 30:34, 30:40] = -999
    values[7] = -999
    path = write(tmp_path / "scene.tif", values, nodata=-999)
    with rasterio.open(path, "r+") as file:
        file.scales = (0.0001,) * 24
        for band in range(1, 25):
            file.update_tags(
                band, wavelength=str(400 + 10 * band), wavelength_units="nm", bbl="0" if band == 5 else "1"
            )
    return path, clean, values


def test_bad_bands_and_unobserved_pixels_come_back_bit_for_bit(tmp_path, scene):
    path, clean, values = scene
    result, paths = run(tmp_path, path)
    output, filled = read(paths["output"]), read(paths["filled"])
    untouched = values == -999
    untouched[4] = True
    np.testing.assert_array_equal(output[untouched], values[untouched])
    np.testing.assert_array_equal(filled == 0, untouched)
    assert not (output[~untouched] == -999).any()
    good = ~untouched
    assert rmse(output[good], clean[good]) < 0.5 * 200
    assert result.numbers["PIXELS_CHANGED"] == 64 * 72 - 8 * 20 and result.numbers["PIXELS_LEFT"] == 0
    assert result.numbers["HELDOUT_RMSE"] < result.numbers["BASELINE_RMSE"]
    assert 0.9 < result.numbers["HELDOUT_R2"] <= 1
    deviation = read(paths["uncertainty"])
    assert np.isnan(deviation[untouched]).all() and (deviation[good] > 0).all()


def test_metadata_provenance_and_report(tmp_path, scene):
    path, _, _ = scene
    _, paths = run(tmp_path, path, seed=3)
    with rasterio.open(paths["output"]) as file:
        assert file.dtypes[0] == "int16" and file.nodata == -999 and file.transform == TRANSFORM
        assert file.scales[0] == 0.0001 and file.tags(6)["wavelength"] == "460"
        made = json.loads(file.tags()["DEEP_PRIOR"])
    assert made["task"] == "denoise" and made["method"] == "fast" and made["seed"] == 3 and made["rank"] >= 1
    rows = table(paths["metrics"])
    assert [row["passed_through"] for row in rows if row["passed_through"]] == ["flagged bad", "no observed pixel"]
    levels_found = [float(row["sigma"]) for row in rows if row["sigma"]]
    np.testing.assert_allclose(levels_found, 200, rtol=0.15)
    page = Path(paths["report"]).read_text(encoding="utf-8")
    assert "Noise and subspace" in page and "principal components" in page


def test_same_seed_same_file_and_tiles_leave_no_seam(tmp_path):
    clean = cube(20, 150, 160) * 100
    path = write(tmp_path / "scene.tif", noisy(clean, 10.0).astype(np.float32))
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir(), (tmp_path / "c").mkdir()
    whole = read(run(tmp_path / "a", path)[1]["output"])
    np.testing.assert_array_equal(whole, read(run(tmp_path / "b", path)[1]["output"]))
    tiled = read(run(tmp_path / "c", path, tile_size=96, overlap=24)[1]["output"])
    # One noise level and one subspace for the scene: tiles differ by what their search windows reach.
    assert rmse(tiled, whole) < 0.25 * rmse(whole, clean)


def test_pixels_of_zero_in_all_bands_are_fill_where_there_is_no_nodata(tmp_path):
    values = (noisy(cube(20), 0.05) * 1000 + 500).astype(np.uint16)
    values[:, :10] = 0
    path = write(tmp_path / "scene.tif", values)
    result, paths = run(tmp_path, path)
    assert (read(paths["output"])[:, :10] == 0).all()
    assert result.numbers["PIXELS_CHANGED"] == 54 * 72


def test_zeros_are_data_where_nan_marks_what_is_missing(tmp_path):
    values = noisy(cube(20), 0.05).astype(np.float32)
    values[:, :10] = np.nan
    values[:, 40:44, 20:40] = 0
    result, paths = run(tmp_path, write(tmp_path / "scene.tif", values))
    output = read(paths["output"])
    assert np.array_equal(np.isnan(output), np.isnan(values))
    assert result.numbers["PIXELS_CHANGED"] == 54 * 72 and read(paths["filled"])[:, 40:44, 20:40].all()


def test_nothing_to_denoise_is_one_sentence(tmp_path):
    path = write(tmp_path / "flat.tif", np.full((2, 20, 20), 7, np.uint8))
    with pytest.raises(NothingObserved, match="empty or constant"):
        run(tmp_path, path)


@pytest.mark.parametrize("wrong", [{"sigma": 0.0}, {"sigma": -1.0}, {"method": "magic"}, {"input": ""}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(InvalidJob):
        DenoiseJob(**{"input": "a.tif", "outputs": Outputs(output="b.tif"), **wrong})


def test_3d_says_why_one_band_is_not_enough(tmp_path):
    source = write(tmp_path / "one.tif", noisy(cube(1), 0.1).astype(np.float32))
    asked = DenoiseJob(source, Outputs(output=str(tmp_path / "out.tif")), method="paper_3d")
    with pytest.raises(InvalidJob, match="at least 2 of them; this raster has 1"):
        denoise.run(asked, Context())
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(("bands", "side", "overlap"), [(100, 256, 48), (224, 128, 32)])
def test_3d_tiles_shrink_with_the_number_of_bands(tmp_path, bands, side, overlap):
    """All layers of a volume are kept for the backward pass: 200 x 200 pixels of 224 bands would take 5 GB."""
    scene = np.random.default_rng(0).random((bands, 200, 200), np.float32)
    with Scene([write(tmp_path / "in.tif", scene)]) as opened:
        asked = DenoiseJob("in.tif", Outputs(output="out.tif"), method="paper_3d")
        assert denoise._tiles(asked, select_bands(opened, Context())) == (side, overlap)


def test_job_survives_json():
    asked = DenoiseJob("a.tif", Outputs(output="b.tif"), sigma=2.5, compute=Compute(seed=4))
    assert job.from_json(job.to_json(asked)) == asked
