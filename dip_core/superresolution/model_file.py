"""The model file: weights of a trained super-resolver, and the description of what they were trained for.

It is a safetensors file (tensors with a JSON header), so that opening it cannot execute code. The header's metadata
contain one item, DEEP_PRIOR_MODEL: the `ModelCard` as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

from ..errors import ModelMismatch, UnreadableModel, output_error

FORMAT = 2
MODEL_ITEM = "DEEP_PRIOR_MODEL"
NETWORK = "cascade"
# Micrometres by which the wavelengths of equal bands may differ: half of the finest spectral sampling of sensors.
_MAX_WAVELENGTH_DIFFERENCE = 0.002

Tensors = dict[str, NDArray]


@dataclass(frozen=True)
class ModelCard:
    """What a model is for and how it was trained. The field names are part of the file format.

    ``wavelengths``: micrometres, None if unknown. ``scale``: divisor of the stored pixels. ``degradation``: how
    training images were downsampled. ``loss``: its settings. ``figures``: scores that training reached. ``made``: seed
    and versions.
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
        """Raise ModelMismatch if the model, read from ``path``, does not fit a raster and a factor."""
        if factor != self.factor:
            raise ModelMismatch(path=path, reason=f"it enlarges {self.factor} times, not {factor} times")
        difference = band_difference(self.bands, self.wavelengths, bands, wavelengths)
        if difference:
            raise ModelMismatch(path=path, reason=difference)


def band_difference(
    expected: int, expected_wavelengths: Sequence[float | None], count: int, wavelengths: Sequence[float | None]
) -> str | None:
    """How the good bands of a raster differ from the expected ones, in words; None if they are the same."""
    if count != expected:
        return f"{expected} good bands are expected, but the raster has {count}"
    for number, (one, other) in enumerate(zip(expected_wavelengths, wavelengths), start=1):
        if one is not None and other is not None and abs(one - other) > _MAX_WAVELENGTH_DIFFERENCE:
            return f"good band {number} is at {1000 * other:.0f} nm in the raster instead of {1000 * one:.0f} nm"
    return None


def write_model(path: str, tensors: Mapping[str, NDArray], card: ModelCard) -> None:
    """Write a model to the temporary file ``path``. Raises UnwritableOutput and DiskFull."""
    save_tensors(path, tensors, MODEL_ITEM, {"format": FORMAT, "network": NETWORK, **asdict(card)})


def read_model(path: str) -> tuple[Tensors, ModelCard]:
    """The weights and the card of a model. Raises UnreadableModel."""
    tensors, record = load_tensors(path, MODEL_ITEM)
    if record.pop("format", None) != FORMAT or record.pop("network", None) != NETWORK:
        raise UnreadableModel(path=path, reason="it was made by another version of Deep Prior")
    try:
        record["wavelengths"] = tuple(record["wavelengths"])
        return tensors, ModelCard(**record)
    except (KeyError, TypeError) as error:
        raise UnreadableModel(path=path, reason="its description is incomplete") from error


def save_tensors(path: str, tensors: Mapping[str, NDArray], item: str, record: Mapping[str, Any]) -> None:
    """Write tensors, and a record as JSON in the header's ``item``. Raises UnwritableOutput and DiskFull."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    content = serialise(contiguous, metadata={item: json.dumps(record)})
    try:
        with open(path, "wb") as file:  # the library's own writer creates a file that only its owner can read
            file.write(content)
    except OSError as error:
        raise output_error(path, error) from error


def load_tensors(path: str, item: str) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the record of a file that `save_tensors` wrote. Raises UnreadableModel."""
    if not os.path.isfile(path):
        raise UnreadableModel(path=path, reason="there is no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            record = json.loads((file.metadata() or {})[item])
            return {name: file.get_tensor(name) for name in file.keys()}, dict(record)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise UnreadableModel(path=path, reason="it is not a model that 'Train super-resolver' made") from error
