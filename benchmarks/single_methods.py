"""Fills a whole scene with one method: a gap expert of the product, or a method of another library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import grass, peers
from dip_core.arrays import Cube
from dip_core.imaging.observation import Observation
from dip_core.inpainting import gdal_baseline
from dip_core.inpainting.cross_band import predict_from_other_bands
from dip_core.inpainting.plan import DEFAULT_TILE
from dip_core.inpainting.run_experts import ExpertOptions, concurrent_windows, run_gap_experts
from dip_core.runtime.concurrency import map_in_order
from dip_core.runtime.tiling import Mosaic, Tile, split_into_tiles, tile_seed

OTHERS = (peers.FILL_NODATA, "biharmonic (scikit-image)", grass.NAME)
_OVERLAP = 64  # of tiles in pixels, as in the product

Fill = Callable[[], NDArray]


def other_fills(observation: Observation, folder: Path, scene: Path) -> dict[str, Fill]:
    """Functions that fill the scene with methods of other libraries; ``folder``: for temporary files."""
    fills: tuple[Fill, ...] = (
        lambda: gdal_baseline.fill_nodata(observation),
        lambda: _fill_biharmonic(observation),
        lambda: grass.fill(observation.values, observation.observed, folder, scene),
    )
    return dict(zip(OTHERS, fills))


def expert_fills(names: Sequence[str], observation: Observation, options: ExpertOptions, seed: int) -> dict[str, Fill]:
    """Functions that fill the scene with one gap expert each, in tiles like the product."""
    return {name: partial(_fill_with_expert, name, observation, options, seed) for name in names}


def _fill_with_expert(name: str, observation: Observation, options: ExpertOptions, seed: int) -> Cube:
    bands, rows, columns = observation.shape
    tiles = [
        (tile, tile_seed(seed, row_number, column_number))
        for row_number, row in enumerate(split_into_tiles(rows, columns, DEFAULT_TILE, _OVERLAP))
        for column_number, tile in enumerate(row)
    ]
    max_pixels = int(max(tile.window.width * tile.window.height for tile, _ in tiles))
    workers, worker_options = concurrent_windows([name], options, bands, max_pixels, len(tiles))

    def fill_tile(task: tuple[Tile, int]) -> Cube:
        tile, own_seed = task
        cut = (slice(None), *tile.window.toslices())
        guide = None if observation.guide is None else observation.guide[cut]
        window = Observation(observation.values[cut], observation.observed[cut], observation.target[cut], guide)
        return run_gap_experts([name], predict_from_other_bands(window)[0], worker_options, own_seed)[0]

    mosaic = Mosaic(bands, columns, 1)
    for (tile, _), estimate in zip(tiles, map_in_order(fill_tile, tiles, workers)):
        mosaic.add(tile, estimate)
    return np.concatenate([part for _, part in mosaic.take(rows)], axis=2)[0]


def _fill_biharmonic(observation: Observation) -> NDArray[np.float64]:
    # scikit-image has no pixels outside the scene: these get the value of the nearest observed pixel.
    values = observation.values.astype(np.float64)
    for band, observed, target in zip(values, observation.observed, observation.target):
        nearest = ndimage.distance_transform_edt(~observed, return_distances=False, return_indices=True)
        outside = ~observed & ~target
        band[outside] = band[tuple(nearest)][outside]
    return peers.inpaint_biharmonic(values, ~observation.target)
