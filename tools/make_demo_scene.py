"""Writes the demo scene: six Landsat-like bands of the Indian Pines cube as a georeferenced GeoTIFF.

Usage: make_demo_scene.py OUTPUT.tif. The cube (145 x 145 pixels of 20 m, 200 AVIRIS bands, June 1992) is part of the
package tensorly; nothing is downloaded. Each Landsat-like band is the mean of the AVIRIS bands in its range.
"""

from __future__ import annotations

import sys

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from tensorly.datasets import load_indian_pines

# The wavelengths (micrometres) of the sensor's 220 bands are almost evenly spaced in this range. The cube does not
# contain the bands that water vapour absorbs: 104-108, 150-163 and 220, counted from 1.
AVIRIS_RANGE = (0.40, 2.50)
ABSORBED_BANDS = {*range(104, 109), *range(150, 164), 220}

# Wavelength ranges of Landsat 7 ETM+ in micrometres.
LANDSAT_BANDS = {
    "Blue": (0.45, 0.52),
    "Green": (0.53, 0.61),
    "Red": (0.63, 0.69),
    "NIR": (0.78, 0.90),
    "SWIR 1": (1.55, 1.75),
    "SWIR 2": (2.09, 2.35),
}
# Near West Lafayette, Indiana, where the scene was recorded; nominal, because the cube has no georeference.
EPSG_CODE = 32616
UPPER_LEFT = (490_000.0, 4_481_000.0)
PIXEL_SIZE = 20.0
NODATA = 0  # the lowest value of the cube is 955


def aviris_wavelengths() -> NDArray[np.float64]:
    """Centre wavelengths of the cube's 200 bands, in micrometres."""
    sensor = np.linspace(*AVIRIS_RANGE, 220)
    in_cube = [number not in ABSORBED_BANDS for number in range(1, 221)]
    return sensor[in_cube]


def landsat_bands(cube: NDArray[np.float64]) -> NDArray[np.uint16]:
    """Six Landsat-like bands ``(band, row, column)`` from a cube ``(row, column, 200)``."""
    wavelengths = aviris_wavelengths()
    bands = []
    for low, high in LANDSAT_BANDS.values():
        inside = (wavelengths >= low) & (wavelengths <= high)
        bands.append(cube[:, :, inside].mean(axis=2))
    return np.rint(bands).astype(np.uint16)


def main(path: str) -> None:
    """Write the scene with band names and wavelengths."""
    pixels = landsat_bands(load_indian_pines().tensor)
    count, height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=count,
        dtype="uint16",
        nodata=NODATA,
        crs=CRS.from_epsg(EPSG_CODE),
        transform=from_origin(*UPPER_LEFT, PIXEL_SIZE, PIXEL_SIZE),
        compress="deflate",
        photometric="minisblack",
    ) as scene:
        scene.write(pixels)
        for number, (name, (low, high)) in enumerate(LANDSAT_BANDS.items(), start=1):
            scene.set_band_description(number, name)
            centre = (low + high) / 2
            scene.update_tags(number, wavelength=f"{centre:.3f}", wavelength_units="Micrometers")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
