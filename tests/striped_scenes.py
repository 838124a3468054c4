"""Synthetic and real striped cubes for the tests of stripe detection, and measures of what was found."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import data
from scipy import ndimage

SIGMA = 2.0


def cube(bands: int = 24, rows: int = 96, columns: int = 110, seed: int = 0, sigma: float = SIGMA) -> np.ndarray:
    """Five textured endmembers, mixed by smooth spectra, with a road and a field edge along columns; float32."""
    rng = np.random.default_rng(seed)
    maps = [ndimage.gaussian_filter(rng.normal(size=(rows, columns)), width) for width in (1, 2, 4, 8)]
    maps = [part / part.std() for part in maps]
    road = np.zeros((rows, columns))
    road[:, columns // 3 : columns // 3 + 2] = 2.0
    road[:, columns // 2 :] += 1.0
    maps.append(road)
    spectra = ndimage.gaussian_filter1d(rng.normal(size=(len(maps), bands)), 3, axis=1) * 60
    clean = 500 + np.einsum("kb,krc->brc", spectra, np.stack(maps))
    return (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)


def inject(image, noise, bands, orientation, rng, each=3, strength=3.0):
    """Add offsets of ``strength`` noise deviations or more to some lines; returns the cube and the offsets by line."""
    out, truth = image.astype(np.float32), {}
    count = image.shape[2] if orientation == "columns" else image.shape[1]
    for band in bands:
        for line in rng.choice(np.arange(2, count - 2), each, replace=False):
            offset = strength * noise[band] * rng.uniform(1, 1.5) * rng.choice([-1, 1])
            out[(band, slice(None), line) if orientation == "columns" else (band, line)] += offset
            truth[int(band), orientation, int(line)] = float(offset)
    return out, truth


def lines(found, attribute: str = "offset") -> set[tuple[int, str, int]]:
    """The found ``offset`` or ``dead`` lines as (band, orientation, line)."""
    return {
        (item.band, item.direction.name, int(line))
        for item in found.lines
        for line in np.flatnonzero(item.offset != 0 if attribute == "offset" else item.dead)
    }


def f1(found: set, truth: set) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * len(found & truth) / (len(found) + len(truth))


def indian_pines(bands: slice) -> np.ndarray:
    """Bands of the AVIRIS Indian Pines cube."""
    datasets = pytest.importorskip("tensorly.datasets", reason="tensorly, which provides Indian Pines, is missing")
    return np.ascontiguousarray(np.moveaxis(datasets.load_indian_pines().tensor, -1, 0)[bands])


def hyperspectral(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A raster of the data folder and its valid pixels."""
    with rasterio.open(data(f"hsi/{name}")) as file:
        return file.read(), file.read_masks() > 0
