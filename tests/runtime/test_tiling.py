"""Tiles: they cover every pixel, their weights sum to 1, and blending leaves no seam."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core.runtime.tiling import Mosaic, finished_rows, split_into_tiles

# Lengths around the sizes, primes, and long enough for more than thirty tiles in a row.
LENGTHS = (1, 2, 5, 63, 64, 65, 66, 97, 98, 127, 128, 129, 191, 257, 400, 997, 1500)
# No overlap, the automatic one (a quarter), and the largest that a job allows (less than a half).
SIZES = [(64, 0), (64, 16), (64, 31), (65, 32), (256, 64), (256, 100), (512, 64)]


def blend(rows, columns, size, overlap, tile_values):
    """The mosaic of ``tile_values(tile)``, ``(layer, row, column)``, assembled as in a run."""
    grid = split_into_tiles(rows, columns, size, overlap)
    mosaic = Mosaic(1, columns, 2)
    parts = []
    for number, row in enumerate(grid):
        for tile in row:
            values = tile_values(tile)[None].astype(np.float32)
            mosaic.add(tile, values, 2 * values)
        last = number + 1 == len(grid)
        until = rows if last else int(grid[number + 1][0].window.row_off)
        parts += [(int(window.row_off), layers[:, 0]) for window, layers in mosaic.take(until)]
    tops = [top for top, _ in parts]
    assert tops == list(np.cumsum([0] + [part.shape[1] for _, part in parts[:-1]]))  # rows in order, none twice
    return np.concatenate([part for _, part in parts], axis=1)


@pytest.mark.parametrize(("size", "overlap"), SIZES)
def test_weights_sum_to_one_everywhere(size, overlap):
    for length in LENGTHS:
        for rows, columns in ((length, 3), (3, length)):
            total = np.zeros((rows, columns))
            for row in split_into_tiles(rows, columns, size, overlap):
                for tile in row:
                    weight = tile.weight()
                    assert weight.shape == (tile.window.height, tile.window.width)
                    assert weight.min() >= 0 and max(weight.shape) <= size
                    total[tile.window.toslices()] += weight
            # Float32 weights: a few units in the last place.
            np.testing.assert_allclose(total, 1.0, atol=1e-6, err_msg=f"{rows} x {columns}")


@pytest.mark.parametrize(("size", "overlap"), SIZES)
def test_neighbours_have_the_requested_overlap(size, overlap):
    for length in LENGTHS:
        row = split_into_tiles(5, length, size, overlap)[0]
        ends = [int(tile.window.col_off + tile.window.width) for tile in row]
        starts = [int(tile.window.col_off) for tile in row]
        assert starts[0] == 0 and ends[-1] == length
        assert [end - start for end, start in zip(ends, starts[1:])] == [overlap] * (len(row) - 1)


def test_two_axes_at_once_and_a_smooth_field_without_a_seam():
    rows, columns = 203, 310
    y, x = np.mgrid[:rows, :columns]
    field = 3 + np.sin(x / 40.0) + y / 100.0
    whole = blend(rows, columns, 64, 16, lambda tile: field[tile.window.toslices()])
    # Values near 4 in float32, up to four tiles summed.
    np.testing.assert_allclose(whole[0], field, atol=3e-6)
    np.testing.assert_allclose(whole[1], 2 * field, atol=6e-6)


def test_a_step_between_tiles_is_spread_over_the_overlap():
    """Tiles that disagree by 1: no two neighbouring pixels differ by more than one part of the overlap."""
    numbers = {}

    def values(tile):
        numbers.setdefault(tile.window.col_off, len(numbers))
        return np.full((int(tile.window.height), int(tile.window.width)), float(numbers[tile.window.col_off]))

    whole = blend(10, 300, 64, 16, values)[0]
    assert len(numbers) > 3
    assert np.abs(np.diff(whole, axis=1)).max() <= 1 / 16 + 1e-5
    assert whole[0, 0] == 0 and whole[0, -1] == len(numbers) - 1


def test_small_rasters_are_one_tile():
    (tile,) = split_into_tiles(40, 512, 512, 64)[0]
    assert (tile.window.width, tile.window.height, tile.overlap) == (512, 40, (0, 0, 0, 0))
    assert len(split_into_tiles(40, 512, 512, 64)) == 1


@pytest.mark.parametrize("rows", [40, 512, 600, 2000])
def test_a_row_of_tiles_is_finished_where_the_next_begins(rows):
    grid = split_into_tiles(rows, 300, 128, 32)
    ends = [finished_rows(grid, number) for number in range(len(grid))]
    assert ends[-1] == rows
    assert ends[:-1] == [int(row[0].window.row_off) for row in grid[1:]]


def test_finished_rows_are_released_in_blocks():
    bands, columns, rows = 4, 2_000_000, 3
    mosaic = Mosaic(bands, columns, 1)
    tile = split_into_tiles(rows, columns, columns, 0)[0][0]
    mosaic.add(tile, np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], (bands, rows, columns)))
    released = [(int(window.row_off), layers.shape[2], float(layers.max())) for window, layers in mosaic.take(rows)]
    assert released == [(0, 1, 0.0), (1, 1, 1.0), (2, 1, 2.0)]
