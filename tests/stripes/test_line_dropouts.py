"""Drop-outs over a part of a line are found to the pixel; flat objects of a scene are not drop-outs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from striped_scenes import cube

from dip_core.stripes.detection import find_stripes

ROWS, COLUMNS = 90, 110


def scene(dtype: str = "uint8", bands: int = 4, seed: int = 0) -> np.ndarray:
    """A textured scene."""
    values = cube(bands, ROWS, COLUMNS, seed, sigma=4.0)
    if dtype == "float32":
        return values / 1000
    if dtype == "uint8":
        values = 110 + (values - values.mean()) / 4
    return np.clip(np.rint(values), 1, 250 if dtype == "uint8" else 60000).astype(dtype)


@pytest.mark.parametrize(
    "dtype, value",
    [
        ("uint8", "zero"),
        ("uint8", "type"),
        ("uint16", "band"),
        ("uint8", "last"),
        ("int16", "code"),
        ("float32", "code"),
    ],
)
@pytest.mark.parametrize("width, start, stop", [(1, 0, 28), (2, 40, 84), (3, 70, COLUMNS), (1, 30, COLUMNS)])
def test_dropouts_are_found_to_the_pixel(dtype, value, width, start, stop):
    bands = [1] if width < 3 else [0, 1, 2, 3]
    for transposed in (False, True) if width == 1 else (False,):
        image = scene(dtype)
        expected = np.zeros(image.shape, bool)
        for band in bands:
            limit = 1.0 if dtype == "float32" else np.iinfo(dtype).max
            values = {
                "zero": 0,
                "type": limit,
                "band": image[band].max(),
                "code": -1 if dtype in ("int16", "float32") else 7,
            }
            for row in range(50, 50 + width):
                image[band, row, start:stop] = values.get(value, image[band, row, start])
                expected[band, row, start:stop] = True
        if transposed:
            image, expected = image.transpose(0, 2, 1), expected.transpose(0, 2, 1)
        found = find_stripes(image)
        assert found.dead[expected].all() and (found.dead & ~expected).sum() <= 2 * len(bands) * width
        assert sum(row.dead_lines for row in found.table()) == len(bands) * width and found.resampled == ()


def flat_objects() -> dict[str, np.ndarray]:
    """Scenes with exactly constant areas."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    image = scene()
    lake, roof, mask, corner, swath = (image.copy() for _ in range(5))
    lake[:, np.hypot((rows - 40) / 12, (columns - 50) / 30) < 1] = 0
    lake[:, 70:78, 20:60] = 0
    roof[:, 20:28, 30:70] = 255
    mask[:, 40:60, 30:75] = 0
    mask[1, 70:78, 10:60] = 0
    corner[:, columns + 43 * rows < 100] = 0  # a scene that is turned by one degree, without a nodata value
    swath[:, np.abs(columns - 55 + 0.25 * (rows - 45)) > 30] = 0
    smooth = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=(2, ROWS, COLUMNS)), (0, 8, 8))
    smooth /= smooth.std()
    noise = np.random.default_rng(4).normal(0, 0.3, smooth.shape)
    classes = np.digitize(smooth, [-1, -0.3, 0.3, 1]).astype(np.uint8)
    classes[:, 45:47] = 9  # a road along a row
    quantised = np.clip(np.rint(40 + 4 * smooth + noise), 0, 255).astype(np.uint8)
    clipped = np.maximum(np.rint(10 * smooth + 10 * noise), 0).astype(np.int16)
    return {
        "lake": lake,
        "roof": roof,
        "mask": mask,
        "corner": corner,
        "swath": swath,
        "classes": classes,
        "quantised": quantised,
        "clipped": clipped,
    }


@pytest.mark.parametrize("name", list(flat_objects()))
def test_flat_objects_are_no_dropouts(name):
    image = flat_objects()[name]
    partial = [
        item for item in find_stripes(image).lines if item.dead.any() and item.stop - item.start < item.direction.length
    ]
    assert partial == []
    assert [item for item in find_stripes(image[:1]).lines if item.dead.any() and item.start > 0] == []


def test_a_dropout_over_a_flat_object_and_texture():
    image = scene()
    image[:, 40:60, 20:34] = 255  # a roof
    image[2, 48, 10:70] = 0
    found = find_stripes(image)
    assert found.dead[2, 48, 10:70].all() and found.dead.sum() == 60


def test_missing_pixels_are_no_dropouts():
    image = scene("float32")
    image[:, 30, 20:70] = np.nan
    observed = np.isfinite(image)
    observed[:, 60, 10:60] = False
    assert not find_stripes(image, observed).dead.any()
