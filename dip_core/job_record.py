"""Converts the records of a job file to dataclasses, and checks the type of every entry by its annotation.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from .errors import InvalidJob

_MAX_PATH_LENGTH = 4096
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 120
_SHOWN.maxlong = 30


def parse_object(text: str) -> dict[str, Any]:
    """The object in a JSON text. Raises InvalidJob for other texts and for names that occur twice."""
    try:
        record = json.loads(text, object_pairs_hook=_without_duplicates)
    except RecursionError as error:
        raise InvalidJob(reason="The job file is not a Deep Prior job: its values are nested too deeply.") from error
    except ValueError as error:  # JSONDecodeError, or a number of thousands of digits
        reason = f"The job file is not a Deep Prior job: it is not JSON text ({error})."
        raise InvalidJob(reason=reason) from error
    if not isinstance(record, dict):
        raise InvalidJob(reason="The job file is not a Deep Prior job: it must contain one JSON object.")
    return record


def make(
    kind: type[Any],
    record: Mapping[str, Any],
    parts: Mapping[str, type[Any]],
    converters: Mapping[str, Callable[[object], object]],
) -> Any:
    """An object of the dataclass ``kind`` with the entries of ``record``.

    ``parts``: dataclasses of nested objects by annotation. ``converters``: functions by entry that convert other
    spellings of a list, such as a text with commas. Raises InvalidJob for unknown, missing and wrong entries, and what
    the dataclass raises.
    """
    known = {field.name: field for field in fields(kind)}
    unknown = next((name for name in record if name not in known), None)
    if unknown is not None:
        reason = f"The job file has an unknown entry {show(unknown)}: use {', '.join(known)}."
        raise InvalidJob(reason=reason)
    for field in known.values():
        if field.default is MISSING and field.default_factory is MISSING and field.name not in record:
            raise InvalidJob(reason=f"The job file has no entry '{field.name}': add it.")
    entries = {}
    for name, value in record.items():
        annotation = str(known[name].type)
        if annotation in parts:
            if not isinstance(value, dict):
                raise _wrong(name, value, "an object with named entries")
            entries[name] = make(parts[annotation], value, parts, converters)
        else:
            entries[name] = _checked(name, converters.get(name, _as_it_is)(value), annotation)
    return kind(**entries)


def show(value: object) -> str:
    """The value as text of limited length and depth."""
    return json.dumps(value) if value is None or isinstance(value, bool) else _SHOWN.repr(value)


def _checked(name: str, value: Any, annotation: str) -> Any:
    """The value if it has the annotated type; whole numbers are converted between int and float."""
    if annotation.endswith(" | None"):
        if value is None:
            return None
        annotation = annotation.removesuffix(" | None")
    if annotation.startswith("tuple["):
        item_type = annotation[len("tuple[") :].split(",")[0]
        if not isinstance(value, (list, tuple)):
            raise _wrong(name, value, f"a list of {_KINDS[item_type][1]}")
        return tuple(_checked(name, item, item_type) for item in value)
    convert, expected = _KINDS[annotation]
    try:
        return convert(value)
    except (TypeError, OverflowError) as error:
        raise _wrong(name, value, expected) from error


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > _MAX_PATH_LENGTH:
        raise TypeError
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise TypeError
    return value


def _whole_number(value: object) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if type(value) is not int:
        raise TypeError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    float(value)  # raises OverflowError for an int beyond the range of floats
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


_KINDS: dict[str, tuple[Callable[[object], object], str]] = {
    "str": (_text, f"text of at most {_MAX_PATH_LENGTH} characters that UTF-8 can encode"),
    "int": (_whole_number, "whole number"),
    "float": (_number, "number"),
    "bool": (_boolean, "true or false"),
}


def _as_it_is(value: object) -> object:
    return value


def _wrong(name: str, value: object, expected: str) -> InvalidJob:
    article = "" if expected.startswith(("true", "a list", "an ")) else "a "
    return InvalidJob(reason=f"{name.upper()} is {show(value)}: give {article}{expected}.")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, value in pairs:
        if name in record:
            raise InvalidJob(reason=f"The job file has the entry {show(name)} twice: remove one.")
        record[name] = value
    return record
