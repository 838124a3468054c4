"""Training patches: the paper's degradation, no shared pixel, no missing one."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import landscape, write

from dip_core.imaging.degradation import bicubic_enlargement, gaussian_decimation
from dip_core.raster.open_scene import open_scene
from dip_core.superresolution import training_patches
from dip_core.superresolution.training_patches import cut_patches


def cut(path, factor=2, max_patches=40):
    with open_scene([path]) as scene:
        return cut_patches([scene], factor, np.random.default_rng(0), max_patches)


def test_sizes_are_the_papers():
    assert training_patches.PATCH_SIDE == 32 and training_patches.BLUR_SIGMA == 3.0
    assert training_patches.MAX_PATCHES == 30_000


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarged_patches_are_the_papers_degradation(tmp_path, factor):
    whole = landscape(2, 70, 40).astype(np.float32)
    coarse = gaussian_decimation((70, 40), factor, 3.0).apply(whole)
    soft = bicubic_enlargement(coarse.shape[1:], factor).apply(coarse)[:, :70, :40]
    data = cut(write(tmp_path / "fine.tif", whole), factor, 8)
    for fine, enlarged in zip(data.training.fine, data.training.enlarged):
        row, column = next(
            (row, column)
            for row in range(39)
            for column in range(9)
            if np.allclose(whole[:, row : row + 32, column : column + 32] / data.scale, fine, atol=1e-6)
        )
        assert np.allclose(soft[:, row : row + 32, column : column + 32] / data.scale, enlarged, atol=1e-5)


def test_training_and_validation_share_no_pixel_and_no_missing_one(tmp_path):
    rows, columns = 100, 40
    numbers = np.arange(1, rows * columns + 1, dtype=np.float32).reshape(1, rows, columns)
    numbers[0, 5, :] = -1
    data = cut(write(tmp_path / "numbers.tif", numbers, nodata=-1))
    training, validation = (np.rint(pairs.fine * data.scale) for pairs in (data.training, data.validation))
    assert len(training) > 10 and len(validation) >= 1
    assert not np.intersect1d(training, validation).size
    assert training.min() > 6 * columns and validation.min() > 6 * columns  # patches lie below the missing row


@pytest.mark.parametrize("missing", [np.nan, None])
def test_zeros_are_data_if_something_else_marks_missing_pixels(tmp_path, missing):
    values = landscape(2, 100, 40).astype(np.float32)
    values[:, 25, 20] = 0
    if missing is not None:
        values[:, 5, 3] = missing
    data = cut(write(tmp_path / "fine.tif", values))
    assert np.isfinite(data.training.fine).all()
    # Without any other mark, 0 in all bands is fill.
    assert (data.training.fine == 0).any() == (missing is not None)


def test_bad_and_empty_bands_are_left_out(tmp_path):
    cube = landscape(4, 70, 40).astype(np.float32)
    cube[1] = -9
    path = write(tmp_path / "four.tif", cube, nodata=-9)
    with rasterio.open(path, "r+") as file:
        file.update_tags(3, bbl="0")
    assert cut(path, max_patches=4).bands == 2


def test_equal_data_have_equal_fingerprints(tmp_path):
    values = landscape(1, 70, 40).astype(np.float32)
    one, same = (cut(write(tmp_path / name, values), max_patches=4) for name in ("a.tif", "b.tif"))
    assert one.fingerprint() == same.fingerprint()
    assert one.fingerprint() != cut(write(tmp_path / "c.tif", values + 1), max_patches=4).fingerprint()
