"""Writing of METRICS and REPORT to temporary files; they appear when `atomic.commit` is called."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import output_error
from ..job_fields import Outputs
from ..raster import atomic
from .html import to_html
from .page import Report, Table
from .tables import to_csv


def write_html(report: Report, path: str) -> None:
    """Write the page. Raises UnwritableOutput and DiskFull."""
    _write(path, to_html(report))


def write_csv(table: Table, path: str) -> None:
    """Write a table as CSV (UTF-8). Raises UnwritableOutput and DiskFull."""
    _write(path, to_csv(table))


def write_requested(outputs: Outputs, table: Callable[[], Table], report: Callable[[], Report]) -> None:
    """Build and write METRICS and REPORT, each only if the job asks for it."""
    if outputs.metrics:
        write_csv(table(), outputs.metrics)
    if outputs.report:
        write_html(report(), outputs.report)


def _write(path: str, text: str) -> None:
    temporary = atomic.create_temporary(path)
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise output_error(path, error) from error
