"""A boolean mask of a whole scene in little memory: compressed blocks of rows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window


class PackedMask:
    """A mask ``(band, row, column)`` in compressed blocks of at most ``block_rows`` rows; False until it is set."""

    def __init__(self, shape: tuple[int, int, int], block_rows: int) -> None:
        self.shape = shape
        self.block_rows = block_rows
        self._blocks: dict[tuple[int, int], bytes] = {}

    @property
    def block_count(self) -> int:
        """Number of blocks from top to bottom."""
        return -(-self.shape[1] // self.block_rows)

    def set_block(self, band: int, block: int, mask: NDArray[np.bool_]) -> None:
        """Store the rows ``(row, column)`` of a block."""
        if mask.any():
            self._blocks[band, block] = zlib.compress(np.packbits(mask).tobytes(), 1)
        else:
            self._blocks.pop((band, block), None)

    def block(self, band: int, block: int) -> NDArray[np.bool_]:
        """The rows ``(row, column)`` of a block."""
        rows = min(self.block_rows, self.shape[1] - block * self.block_rows)
        packed = self._blocks.get((band, block))
        if packed is None:
            return np.zeros((rows, self.shape[2]), bool)
        bits = np.frombuffer(zlib.decompress(packed), np.uint8)
        return np.unpackbits(bits, count=rows * self.shape[2]).reshape(rows, self.shape[2]).astype(bool)

    def share(self) -> float:
        """Share of the mask's values that are True."""
        count = sum(int(np.count_nonzero(self.block(*key))) for key in self._blocks)
        return count / (self.shape[0] * self.shape[1] * self.shape[2])

    def has_block(self, band: int, block: int) -> bool:
        """True if any pixel of the block is set."""
        return (band, block) in self._blocks

    def window(self, window: Window | None = None, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """The mask of a window, ``(band, row, column)``; by default of the whole scene and all bands."""
        rows, columns = (slice(0, self.shape[1]), slice(0, self.shape[2])) if window is None else window.toslices()
        chosen = range(self.shape[0]) if bands is None else bands
        out = np.zeros((len(chosen), rows.stop - rows.start, columns.stop - columns.start), bool)
        for block in range(rows.start // self.block_rows, -(-rows.stop // self.block_rows)):
            top = block * self.block_rows
            first, last = max(rows.start, top), min(rows.stop, top + self.block_rows)
            for place, band in enumerate(chosen):
                if self.has_block(band, block):
                    part = self.block(band, block)[first - top : last - top, columns]
                    out[place, first - rows.start : last - rows.start] = part
        return out
