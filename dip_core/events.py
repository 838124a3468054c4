"""Events of the worker: one JSON object per line on its standard output.

There are four kinds: progress, message (information or warning), result (the last line of a successful run) and error
(the last line of a failed run). Other lines, such as prints of libraries, are ignored.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Union


@dataclass(frozen=True)
class Progress:
    """The completed fraction of the run (0 to 1), the present step, and the estimated seconds that remain."""

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
    """Paths of the written files by output name, and the output numbers by name."""

    outputs: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Error:
    """The sentence of the error that ended the run, its class name in `errors`, and the values in the sentence."""

    text: str
    kind: str
    facts: dict[str, str] = field(default_factory=dict)


Event = Union[Progress, Message, Result, Error]
_KINDS: dict[str, Any] = {"progress": Progress, "message": Message, "result": Result, "error": Error}


def to_line(event: Event) -> str:
    """The event as one line of JSON without a line break; NaN and infinity become null."""
    record = {"event": type(event).__name__.lower(), **asdict(event)}
    return json.dumps(_finite(record), ensure_ascii=True, allow_nan=False)


def from_line(line: str) -> Event | None:
    """The event in a line, or None if the line is not an event."""
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
