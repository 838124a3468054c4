"""Tables with two sets of column names: stable ones for programs (CSV) and labels for people (the page)."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from .formatting import format_percent, plain
from .page import Table


@dataclass(frozen=True)
class Column:
    """A column: its name in the CSV file, its label on the page, and whether the page shows its shares as percent."""

    name: str
    label: str
    percent: bool = False


@dataclass(frozen=True)
class DataTable:
    """A table of METRICS, which the report shows too. Each row has one value per column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]

    def for_csv(self) -> Table:
        """The table with the columns' names and exact values."""
        return Table([column.name for column in self.columns], self.rows)

    def records(self) -> list[dict[str, object]]:
        """The rows as dictionaries."""
        return [dict(zip((column.name for column in self.columns), row)) for row in self.rows]

    def for_page(
        self, caption: str = "", rows: Iterable[Sequence[object]] | None = None, without: Collection[str] = ()
    ) -> Table:
        """The table with the columns' labels; ``rows``: other rows than all; ``without``: names of columns to omit."""
        places = [place for place, column in enumerate(self.columns) if column.name not in without]
        shown = [[self._shown(row, place) for place in places] for row in (self.rows if rows is None else rows)]
        return Table([self.columns[place].label for place in places], shown, caption)

    def _shown(self, row: Sequence[object], place: int) -> object:
        value = row[place]
        return format_percent(value) if self.columns[place].percent and isinstance(value, float) else value


def to_csv(table: Table) -> str:
    """The table as CSV with decimal points; undefined numbers are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_csv_cell(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def _csv_cell(value: object) -> object:
    value = plain(value)
    return "" if value is None else value
