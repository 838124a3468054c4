"""The model file: weights of a trained super-resolver, and the description of what they were trained for.

It is a safetensors file (tensors with a JSON header), so that opening it cannot execute code. The header's metadata
contain one item, DEEP_PRIOR_MODEL: the `ModelCard` as JSON.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
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

_MAX_BANDS, _MAX_FACTOR = 100_000, 100
_MIN_NUMBER, _MAX_NUMBER = 1e-300, 1e300  # of the scale and of wavelengths
_MAX_WEIGHT = 1e6  # trained weights are at most about 10, and they apply to bands with a deviation of 1

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
    fault = _description_fault(record)
    if not fault:
        record["wavelengths"] = tuple(record["wavelengths"])
        fault = _weights_fault(tensors, record["bands"])
    if fault:
        raise UnreadableModel(path=path, reason=fault)
    return {name: array.astype(np.float32) for name, array in tensors.items()}, ModelCard(**record)


def _description_fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with the record of a `ModelCard`, in words; None if it is complete and every entry has its type."""
    known = {field.name: field for field in fields(ModelCard)}
    missing = [name for name, field in known.items() if field.default_factory is MISSING and name not in record]
    if missing or set(record) - set(known):
        return "its description is incomplete"
    bands, factor, wavelengths, scale = (record[name] for name in ("bands", "factor", "wavelengths", "scale"))
    is_valid = (
        (type(bands) is int and 1 <= bands <= _MAX_BANDS)
        and (type(factor) is int and 2 <= factor <= _MAX_FACTOR)
        and (isinstance(wavelengths, list) and len(wavelengths) == bands)
        and all(wavelength is None or _is_positive(wavelength) for wavelength in wavelengths)
        and _is_positive(scale)
        and all(isinstance(record.get(name, {}), dict) for name in ("degradation", "loss", "figures", "made"))
    )
    return None if is_valid else "its description has values that no training gives"


def _is_positive(value: object) -> bool:
    return type(value) in (int, float) and _MIN_NUMBER <= value <= _MAX_NUMBER  # type: ignore[operator]


def _weights_fault(tensors: Tensors, bands: int) -> str | None:
    """What is wrong with the weights of the network for ``bands``, in words."""
    from .cascade import weight_shapes  # loads torch, which a job without a model does not need

    shapes = weight_shapes(bands)
    if {name: array.shape for name, array in tensors.items()} != shapes:
        return "its weights are those of another network"
    for name, array in tensors.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all() or np.abs(array).max() > _MAX_WEIGHT:
            return "its weights are damaged: some are not numbers or are too large"
        if name == "deviation" and not (array > 0).all():
            return "its weights are damaged: a standard deviation is not positive"
    return None


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
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableModel(path=path, reason="it is not a model that 'Train super-resolver' made") from error
