"""The data of a training: pairs of fine and enlarged patches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..arrays import Cube


@dataclass(frozen=True)
class PatchPairs:
    """Fine and enlarged patches, ``(patch, band, row, column)``, divided by the training rasters' scale."""

    fine: Cube
    enlarged: Cube

    def __len__(self) -> int:
        return len(self.fine)


@dataclass(frozen=True)
class TrainingData:
    """Training and validation pairs that share no pixel.

    ``wavelengths``: of the good bands, in micrometres. ``scale``: the highest absolute value of all rasters.
    """

    training: PatchPairs
    validation: PatchPairs
    wavelengths: tuple[float | None, ...]
    scale: float

    @property
    def bands(self) -> int:
        """Number of good bands."""
        return self.training.fine.shape[1]

    def fingerprint(self) -> str:
        """A digest of all fine patches, equal for equal data."""
        digest = hashlib.sha256()
        for pairs in (self.training, self.validation):
            for patch in pairs.fine:
                digest.update(patch.tobytes())
        return digest.hexdigest()
