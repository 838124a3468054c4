"""The *model file*: a trained super-resolver's weights, with what they were trained for.

It is a safetensors file: tensors behind a JSON header, so that opening one can run no code. The header's
metadata hold one item, DEEP_PRIOR_MODEL, the *card* as JSON.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from ..errors import DiskFull, ModelMismatch, UnreadableModel, UnwritableOutput

FORMAT = 2
ITEM = "DEEP_PRIOR_MODEL"
NETWORK = "cascade"
# Micrometres by which two bands may differ and still be the same one: half of the finest imaging spectrometers' step.
_SAME_WAVELENGTH = 0.002

Tensors = dict[str, NDArray]


@dataclass(frozen=True)
class Card:
    """What a model is for, and how it was made.

    ``wavelengths``: micrometres, None where unknown. ``scale``: the stored pixels were divided by it.
    ``degradation``: how training images were made coarse. ``loss``: its settings. ``figures``: what training
    reached. ``made``: seed, versions.
    """

    bands: int
    factor: int
    wavelengths: tuple[float | None, ...]
    scale: float
    degradation: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    made: Mapping[str, Any] = field(default_factory=dict)

    def check(self, path: str, bands: int, wavelengths: Sequence[float | None], factor: int) -> None:
        """Raise ModelMismatch where the model, read from ``path``, does not fit a raster and a factor."""
        if factor != self.factor:
            raise ModelMismatch(path=path, reason=f"it enlarges {self.factor} times, not {factor} times")
        difference = same_bands(self.bands, self.wavelengths, bands, wavelengths)
        if difference:
            raise ModelMismatch(path=path, reason=difference)


def same_bands(
    wanted: int, wanted_waves: Sequence[float | None], found: int, found_waves: Sequence[float | None]
) -> str | None:
    """What sets the good bands of a raster apart from those that are wanted, in words; None where they are the same."""
    if found != wanted:
        return f"{wanted} good bands are wanted and the raster has {found}"
    for number, (own, other) in enumerate(zip(wanted_waves, found_waves), start=1):
        if own is not None and other is not None and abs(own - other) > _SAME_WAVELENGTH:
            return f"good band {number} is at {1000 * other:.0f} nm in the raster instead of {1000 * own:.0f} nm"
    return None


def write(path: str, tensors: Mapping[str, NDArray], card: Card) -> None:
    """Write a model to ``path``, a file that is not yet in its final place. Raises UnwritableOutput and DiskFull."""
    save(path, tensors, ITEM, {"format": FORMAT, "network": NETWORK, **asdict(card)})


def read(path: str) -> tuple[Tensors, Card]:
    """The weights and the card of a model. Raises UnreadableModel."""
    tensors, record = load(path, ITEM)
    if record.pop("format", None) != FORMAT or record.pop("network", None) != NETWORK:
        raise UnreadableModel(path=path, reason="it was made by another version of Deep Prior")
    try:
        record["wavelengths"] = tuple(record["wavelengths"])
        return tensors, Card(**record)
    except (KeyError, TypeError) as error:
        raise UnreadableModel(path=path, reason="its description is incomplete") from error


def save(path: str, tensors: Mapping[str, NDArray], item: str, record: Mapping[str, Any]) -> None:
    """Write tensors and a record, which becomes a JSON item of the header."""
    whole = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = serialise(whole, metadata={item: json.dumps(record)})
    try:
        with open(path, "wb") as file:  # the library's own writer would make a file for its owner alone
            file.write(content)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(path=path, reason="the disk filled up while writing") from error
        raise UnwritableOutput(path=path, reason=os.strerror(error.errno or errno.EIO).lower()) from error


def load(path: str, item: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the record of a file that `save` wrote. Raises UnreadableModel."""
    if not os.path.isfile(path):
        raise UnreadableModel(path=path, reason="there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {})[item])
            return {name: file.get_tensor(name) for name in file.keys()}, dict(record)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise UnreadableModel(path=path, reason="it is not a model that 'Train super-resolver' made") from error
