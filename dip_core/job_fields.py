"""What all jobs share: output paths, compute options, and the checks of their values.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass

from .errors import InvalidJob

MAX_SEED = 2**53  # larger whole numbers are not exact in JSON
MIN_TILE_SIZE = 64  # pixels
MAX_THREADS = 4096
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class Outputs:
    """Paths of the output files; None for an output that is not requested."""

    output: str | None = None
    uncertainty: str | None = None
    filled: str | None = None
    mask: str | None = None
    report: str | None = None
    metrics: str | None = None
    model: str | None = None

    def requested(self) -> dict[str, str]:
        """The requested paths by output name in capital letters."""
        return {name.upper(): path for name, path in asdict(self).items() if path}


@dataclass(frozen=True)
class Compute:
    """How to compute.

    ``device``: auto, cpu, cuda:N or mps. ``time_budget``: seconds, None for no limit. ``tile_size``, ``overlap``:
    pixels, 0 for automatic. ``scheduler``: address of a Dask scheduler, None for this machine. ``threads``: 0 for all
    cores but one (all cores if there are one or two).
    """

    device: str = "auto"
    seed: int = 0
    time_budget: float | None = None
    tile_size: int = 0
    overlap: int = 0
    scheduler: str | None = None
    threads: int = 0

    def __post_init__(self) -> None:
        require(_DEVICE.fullmatch(self.device), f"DEVICE '{self.device}' is unknown: use auto, cpu, cuda:N or mps.")
        require(_is_count(self.seed), f"SEED is {self.seed}: give 0 or a positive whole number.")
        require(self.seed <= MAX_SEED, f"SEED is too large: give at most {MAX_SEED}.")
        require(
            _is_count(self.threads) and self.threads <= MAX_THREADS,
            f"threads is {self.threads}: give 0 (automatic) or a positive whole number up to {MAX_THREADS}.",
        )
        require(
            self.time_budget is None or 0 < self.time_budget < math.inf,
            f"TIME_BUDGET is {self.time_budget} s: give a positive number of seconds, or leave it empty.",
        )
        require(
            _is_count(self.tile_size) and (self.tile_size == 0 or self.tile_size >= MIN_TILE_SIZE),
            f"TILE_SIZE is {self.tile_size}: give at least {MIN_TILE_SIZE} pixels, or 0 for automatic.",
        )
        require(
            _is_count(self.overlap), f"OVERLAP is {self.overlap}: give 0 (automatic) or a positive number of pixels."
        )
        require(
            self.tile_size == 0 or 2 * self.overlap < self.tile_size,
            f"OVERLAP {self.overlap} is too large for TILE_SIZE {self.tile_size}: give less than half of it.",
        )


def require(condition: object, reason: str) -> None:
    """Raise InvalidJob with ``reason`` unless the condition holds."""
    if not condition:
        raise InvalidJob(reason=reason)


def require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Require one of the allowed values for a parameter."""
    require(value in allowed, f"{name} '{value}' is unknown: use {', '.join(allowed)}.")


def require_numbers(name: str, values: tuple[float, ...]) -> None:
    """Require a tuple of numbers; NaN is allowed."""
    given = values if isinstance(values, tuple) else (values,)
    wrong = next((value for value in given if type(value) not in (int, float)), None)
    is_valid = isinstance(values, tuple) and wrong is None
    require(is_valid, f"{name} '{wrong}' is not a number: give numbers separated by commas, such as -9999, 32767.")


def as_paths(value: object) -> object:
    """Lists as tuples, and one path as a tuple; other values unchanged, for the job to reject."""
    return (value,) if isinstance(value, str) else _as_tuple(value)


def as_words(value: object) -> object:
    """The words of a text that are separated by commas, semicolons or spaces; lists as tuples."""
    return tuple(_split(value)) if isinstance(value, str) else _as_tuple(value)


def as_numbers(value: object) -> object:
    """Numbers from a number, from a text (separated by commas, semicolons or spaces) or from a list of these.

    Texts that are no numbers stay as they are, for `require_numbers` to reject.
    """
    if value is None:
        return ()
    items = [item for part in (value if isinstance(value, (list, tuple)) else [value]) for item in _split_text(part)]
    return tuple(_number(item) for item in items)


def _split(text: str) -> list[str]:
    return [word for word in re.split(r"[,;\s]+", text) if word]


def _split_text(value: object) -> list[object]:
    return [*_split(value)] if isinstance(value, str) else [value]


def _number(item: object) -> object:
    if not isinstance(item, str):
        return item
    for number in (int, float):  # a float would round large integers
        try:
            return number(item)
        except ValueError:
            continue
    return item


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0
