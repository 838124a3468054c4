"""Rendering of a report as one HTML page, which also holds the report as JSON for programs.

The page is self-contained: styles and pictures are inside it, and it needs no script and no network. The templates
are in ``resources/templates``; Jinja2 escapes everything they insert. The styles avoid what the HTML view of QGIS 3.22
lacks: custom properties and grid layout.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__
from .formatting import format_cell, plain
from .page import Figure, Gallery, Report, Table

TEMPLATES = Path(__file__).resolve().parents[2] / "resources" / "templates"
_PLOT_DPI, _PAGE_DPI = 130, 96  # plots have more dots than the page, for sharpness


def to_html(report: Report) -> str:
    """The whole page."""
    page = _environment().get_template("report.html")
    return page.render(report=report, record=_record(report), version=__version__)


def to_json(report: Report) -> str:
    """The report for programs; numbers that JSON lacks (NaN, infinities) become null."""
    return json.dumps(_record(report), ensure_ascii=False, allow_nan=False)


def _record(report: Report) -> object:
    return plain(
        {
            "title": report.title,
            "summary": report.summary,
            "key_numbers": {number.label: number.value for number in report.key_numbers},
            "warnings": list(report.warnings),
            "settings": report.settings,
            "data": report.data,
            "version": __version__,
        }
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["lines"] = format_cell
    environment.filters["data_uri"] = _data_uri
    environment.filters["display_width"] = _display_width
    for name, kind in (("table", Table), ("figure", Figure), ("gallery", Gallery)):
        environment.tests[name] = _is_instance(kind)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False}
    return environment


def _is_instance(kind: type) -> Callable[[object], bool]:
    return lambda part: isinstance(part, kind)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _display_width(png: bytes) -> int:
    """The width on the page in pixels; a PNG holds its own width in the bytes 16 to 19."""
    return int.from_bytes(png[16:20], "big") * _PAGE_DPI // _PLOT_DPI
