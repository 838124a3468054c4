"""The baseline of validation and benchmarks: GDAL's Fill nodata, the usual tool for the same task."""

from __future__ import annotations

import numpy as np
from rasterio.fill import fillnodata

from ..arrays import Cube
from ..imaging.observation import Observation

SEARCH_DISTANCE = 100.0  # pixels


def fill_nodata(observation: Observation) -> Cube:
    """GDALFillNodata for each band, with inverse distance weights and no smoothing; ``(band, row, column)``."""
    out = np.empty(observation.shape, np.float32)
    for band, (values, observed) in enumerate(zip(observation.values, observation.observed)):
        out[band] = fillnodata(
            values.copy(), mask=observed.astype(np.uint8), max_search_distance=SEARCH_DISTANCE, smoothing_iterations=0
        )
    return observation.keep_observed(out)
