"""Values as text for people, and as plain data for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .page import is_number

DASH = "\u2013"


def format_number(value: float, digits: int = 4) -> str:
    """A number with ``digits`` significant digits and a thin space between thousands; NaN is a dash."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "\u221e" if value > 0 else "\u2212\u221e"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10**digits):
        text = f"{int(value):,}"
    elif value == 0:
        text = "0"
    else:
        exponent = math.floor(math.log10(abs(value)))
        if exponent < -digits or exponent >= 9:
            text = f"{value:.{digits - 1}e}"
        else:
            text = f"{value:,.{max(0, digits - 1 - exponent)}f}"
    return text.replace(",", "\u2009").replace("-", "\u2212")


def format_percent(share: float) -> str:
    """A share (0 to 1) as a percentage with one decimal; empty if it is not finite."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else ""


def format_count(number: int, noun: str) -> str:
    """A number of things, such as "1 band" or "2,688 pixels"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_cell(value: object) -> list[str]:
    """A table cell as lines of text."""
    if value is None or value == "":
        return [DASH]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if is_number(value):
        return [format_number(_number(value))]
    if isinstance(value, (list, tuple)):
        return [str(item) for item in value] or [DASH]
    return [str(value)]


def plain(value: object) -> object:
    """``value`` as JSON can hold it; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if hasattr(value, "tolist"):  # a NumPy array or scalar
        return plain(value.tolist())
    if is_number(value):
        number = _number(value)
        return number if math.isfinite(number) else None
    return str(value)


def _number(value: object) -> int | float:
    return int(value) if hasattr(value, "__index__") else float(value)  # type: ignore[arg-type]  # callers checked `is_number`
