"""Lines that resampling repeated or interpolated are not dead; copied lines of the sensor are."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.warp import Resampling, reproject
from striped_scenes import cube, lines

from dip_core.stripes.detection import find_stripes
from dip_core.stripes.notes import stripe_notes


def scene(bands: int = 6, seed: int = 0, dtype: str = "uint16") -> np.ndarray:
    """A textured scene of 90 x 100 pixels."""
    values = cube(bands, 90, 100, seed, sigma=4.0)
    return values if dtype == "float32" else np.clip(np.rint(values), 1, np.iinfo(dtype).max).astype(dtype)


def repeated(image: np.ndarray, rows: float, columns: float) -> np.ndarray:
    """Nearest-neighbour enlargement by the factors ``rows`` and ``columns``."""
    places = []
    for size, factor in zip(image.shape[-2:], (rows, columns)):
        at = (np.arange(int(size * factor)) + 0.5) / factor
        places.append(np.minimum(at.astype(int), size - 1))
    return image[..., places[0][:, None], places[1][None]]


def warped(image: np.ndarray, factor: float, method: str, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The image resampled to pixels smaller by ``factor``, on a grid rotated by ``angle`` degrees; valid pixels."""
    rows, columns = image.shape[1:]
    source = Affine(30, 0, 500000, 0, -30, 3000000)
    turn = (
        Affine.translation(columns / 2, rows / 2) * Affine.rotation(angle) * Affine.translation(-columns / 2, -rows / 2)
    )
    grid = {
        "src_transform": source,
        "dst_transform": source * turn * Affine.scale(1 / factor),
        "src_crs": "EPSG:32620",
        "dst_crs": "EPSG:32620",
    }
    out = np.zeros((len(image), int(rows * factor), int(columns * factor)), image.dtype)
    for band, target in zip(image, out):
        reproject(band, target, resampling=Resampling[method], **grid)
    valid = np.zeros(out.shape[1:], np.uint8)
    reproject(np.ones((rows, columns), np.uint8), valid, resampling=Resampling.nearest, **grid)
    return out, valid > 0


@pytest.mark.parametrize("bands", [1, pytest.param(4, marks=pytest.mark.slow), 6])
@pytest.mark.parametrize(
    "rows, columns",
    [
        (28.5 / 27, 28.5 / 27),
        (1.1, 1.1),
        (1.25, 1.25),
        (1.02, 1.02),
        pytest.param(6, 6, marks=pytest.mark.slow),
        (1.1, 1),
    ],
)
def test_repeated_rows_and_columns_are_not_dead(bands, rows, columns):
    found = find_stripes(repeated(scene(bands), rows, columns))
    assert not found.dead.any() and (found.lines == () or bands < 5)  # few bands: the scene's road looks like a stripe


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize("factor, angle", [(0.8, 0.3), (1.06, 0), (2.5, 0.3), (3, 0), (4, 0)])
def test_warped_scenes_have_no_dead_lines(method, factor, angle):
    for dtype in ("uint16", "float32"):
        image, valid = warped(scene(dtype=dtype), factor, method, angle)
        assert find_stripes(image, valid).lines == ()
        if method != "cubic":
            assert not find_stripes(image[:1], valid).dead.any()


def test_the_user_is_told():
    found = find_stripes(repeated(scene(), 28.5 / 27, 28.5 / 27))
    (note,) = stripe_notes(found)
    assert found.resampled == tuple(range(6)) and "bands 1-6" in note and "not taken for dead" in note
    assert stripe_notes(find_stripes(scene())) == []


def test_bands_of_which_one_was_resampled():
    """A thermal band, brought to the grid of the others."""
    image = repeated(scene(), 1.1, 1.1)
    other = repeated(scene(seed=5), 1, 1)
    stacked = np.concatenate([cube(5, *image.shape[1:], sigma=4.0).astype(np.uint16), image[:1]])
    found = find_stripes(stacked)
    assert found.lines == () and found.resampled == (5,)
    assert find_stripes(other).resampled == ()


@pytest.mark.parametrize("bands", [1, 6])
def test_a_copied_line_of_a_resampled_raster_is_found(bands):
    image = repeated(scene(bands), 28.5 / 27, 28.5 / 27)
    image[0, 50] = image[0, 49]
    found = find_stripes(image)
    assert found.resampled == tuple(range(bands))
    assert [key[:2] for key in lines(found, "dead")] == [(0, "rows")] and {key[2] for key in lines(found, "dead")} <= {
        49,
        50,
    }


def test_a_line_that_was_copied_in_all_bands_is_found():
    """The ground segment replaced a lost scan line by the one before it."""
    image = scene()
    image[:, 40] = image[:, 39]
    found = find_stripes(image)
    assert found.resampled == () and {key[1] for key in lines(found, "dead")} == {"rows"}
    assert {key[0] for key in lines(found, "dead")} == set(range(6))


def test_every_sixteenth_line_of_one_band_is_a_dead_detector():
    image = scene()
    image[2, 8::16] = image[2, 7::16][: len(image[2, 8::16])]
    found = find_stripes(image)
    assert found.resampled == () and len(lines(found, "dead")) == len(image[2, 8::16])
