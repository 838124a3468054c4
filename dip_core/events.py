"""What is told: the worker's events, one JSON object a line on its standard output.

Four kinds: *progress* (how far, which step, how many seconds remain), *message* (information or
warning), *result* (outputs and numbers; the last line of a run that succeeded) and *error* (the last
line of a run that failed). Foreign lines, such as a library's own print, are not events.

Standard library only: the QGIS side reads events with this very module.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Union


@dataclass(frozen=True)
class Progress:
    """The share of the work that is done (0 to 1), what is under way, and the seconds that remain."""

    fraction: float
    step: str = ""
    remaining: float | None = None


@dataclass(frozen=True)
class Message:
    """A sentence for the log; ``level`` is ``info`` or ``warning``."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class Result:
    """Paths of the files that were written, by output name, and the output numbers, by name."""

    outputs: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Error:
    """The sentence of the error that ended the run, and its class name in `errors`."""

    text: str
    kind: str
    facts: dict[str, str] = field(default_factory=dict)


Event = Union[Progress, Message, Result, Error]
_KINDS: dict[str, Any] = {"progress": Progress, "message": Message, "result": Result, "error": Error}


def to_line(event: Event) -> str:
    """One line of JSON, without its line end; numbers that JSON lacks (nan, inf) become null."""
    record = {"event": type(event).__name__.lower(), **asdict(event)}
    return json.dumps(_finite(record), ensure_ascii=True, allow_nan=False)


def from_line(line: str) -> Event | None:
    """The event in a line, or None for a line that is not one."""
    line = line.strip()
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
        return _KINDS[record.pop("event")](**record)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
