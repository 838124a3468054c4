"""The content of a report: plain data, independent of how it is rendered (see `html`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union


@dataclass(frozen=True)
class Table:
    """Columns and rows; cells are text or numbers, None and NaN show as a dash.

    ``emphasis``: index of a row to set in bold, such as the method that was used.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    emphasis: int | None = None

    @property
    def numeric(self) -> list[bool]:
        """For each column, whether it holds only numbers and None."""
        places = range(len(self.columns))
        return [all(row[place] is None or is_number(row[place]) for row in self.rows) for place in places]


@dataclass(frozen=True)
class Figure:
    """A PNG picture and its caption."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Figures side by side, such as before and after."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class KeyNumber:
    """A number in large type, its label, and a short note."""

    label: str
    value: object
    note: str = ""


Part = Union[str, Table, Figure, Gallery]  # a string is a paragraph


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs, tables and figures."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Report:
    """Everything on the page; ``data`` is the record for programs and holds anything that JSON can hold."""

    title: str
    summary: str
    key_numbers: Sequence[KeyNumber] = ()
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)


def is_number(value: object) -> bool:
    """True for the numbers of Python and NumPy, but not for booleans."""
    return hasattr(value, "__float__") and not isinstance(value, (bool, str, bytes))
