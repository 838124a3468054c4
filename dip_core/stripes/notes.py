"""Sentences for the user about resampled bands and dense striping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..reporting.formatting import format_count, format_number
from .found_stripes import DenseStriping, Stripes


def stripe_notes(stripes: Stripes) -> list[str]:
    """What the user has to know about a detection besides the lines that it found."""
    notes = []
    if stripes.resampled:
        notes.append(
            f"Rows and columns repeat or are interpolated at regular distances in {_bands(stripes.resampled)}: the "
            "raster was resampled. They are not taken for dead lines. Lines that are dead nevertheless can be marked "
            "in a stripe mask."
        )
    for orientation in ("columns", "rows"):
        dense = [item for item in stripes.dense if item.orientation == orientation]
        if dense:
            notes.append(_dense_note(dense, orientation, stripes))
    return notes


def _dense_note(dense: Sequence[DenseStriping], orientation: str, stripes: Stripes) -> str:
    bands = {item.band for item in dense}
    lines = sum(row.offset_lines for row in stripes.table() if row.band in bands and row.orientation == orientation)
    strengths = _range(item.strength for item in dense)
    ratios = _range((item.strength / item.noise for item in dense), digits=2)
    found = f"only {format_count(lines, 'line')} that stand out are found" if lines else "no line stands out"
    return (
        f"Striping is everywhere in {_bands(sorted(bands))}: most {orientation} have an offset of their own, with a "
        f"standard deviation of {strengths} in the data's units ({ratios} times the noise of a pixel), and {found}. "
        "Single stripes are corrected, striping everywhere is not, and Denoise HSI hardly reduces it: correct the "
        "calibration of the detectors first (flat field, or equal statistics of all lines)."
    )


def _bands(numbers: Sequence[int]) -> str:
    """Band numbers (from 0) as "band 3" or "bands 1-3, 7"."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    text = ", ".join(f"{part[0] + 1}-{part[-1] + 1}" if len(part) > 1 else str(part[0] + 1) for part in parts)
    return f"band {text}" if len(numbers) == 1 else f"bands {text}"


def _range(values: Iterable[float], digits: int = 3) -> str:
    ordered = sorted(values)
    low, high = format_number(ordered[0], digits), format_number(ordered[-1], digits)
    return low if low == high else f"{low} to {high}"
