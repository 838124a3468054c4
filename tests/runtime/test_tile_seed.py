"""Seeds of tiles do not depend on where and when a tile runs."""

from __future__ import annotations

from dip_core.runtime.tiling import tile_seed


def test_tile_seeds_are_stable_and_differ():
    seeds = {tile_seed(seed, row, column) for seed in range(3) for row in range(5) for column in range(5)}
    assert len(seeds) == 75 and all(0 <= seed < 2**32 for seed in seeds)
    assert tile_seed(1, 2, 3) == 3822189696
