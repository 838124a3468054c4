"""The size of the blocks in which whole scenes are read, computed and written."""

from __future__ import annotations

MAX_BLOCK_VALUES = 1 << 23  # 64 MiB in float64; a step of the work has several such arrays
MAX_BLOCK_ROWS = 512
_ROW_MULTIPLE = 16


def block_rows(bands: int, columns: int) -> int:
    """Rows of a full-width block of at most `MAX_BLOCK_VALUES` values, but at least one row.

    A multiple of 16 where possible, which suits the blocks of files.
    """
    fitting = min(MAX_BLOCK_ROWS, MAX_BLOCK_VALUES // max(bands * columns, 1))
    return max(1, fitting // _ROW_MULTIPLE * _ROW_MULTIPLE or fitting)


def band_groups(bands: int, pixels: int) -> list[slice]:
    """Groups of bands of ``pixels`` pixels with at most `MAX_BLOCK_VALUES` values each, but at least one band."""
    size = max(1, MAX_BLOCK_VALUES // max(pixels, 1))
    return [slice(first, min(first + size, bands)) for first in range(0, bands, size)]
