"""The report of a run: one HTML page for people, with the same content as JSON for machines.

A `Report` is plain content: a title, one sentence that says what happened, key numbers, warnings,
sections and settings; a *section* is a heading over paragraphs (strings), tables and figures. The page
stands alone: style and pictures are inside it, it needs no script and no network, and everything that
comes from outside (file and band names, messages) is escaped.

The style avoids what old HTML views lack (the one of QGIS 3.22 is from 2016): no custom properties and
no grid, and dark colours only where the view asks for them.
"""

from __future__ import annotations

import base64
import csv
import errno
import html
import io
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .. import __version__
from ..errors import DiskFull, UnwritableOutput
from ..job import Outputs
from ..raster import atomic


@dataclass(frozen=True)
class Table:
    """Columns and rows; cells are text or numbers, None and NaN show as a dash.

    ``emphasis``: the number (from 0) of a row to set in bold, such as the method that was used.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    emphasis: int | None = None


@dataclass(frozen=True)
class Figure:
    """A PNG picture and the sentence under it."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Figures side by side, such as before and after."""

    figures: Sequence[Figure]


@dataclass(frozen=True)
class KeyNumber:
    """A number that deserves large type, what it is, and a short remark."""

    label: str
    value: object
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A heading over paragraphs, tables and figures."""

    title: str
    parts: Sequence[str | Table | Figure | Gallery]


@dataclass(frozen=True)
class Report:
    """What a run has to say; ``data`` is the record for machines, anything that JSON can hold."""

    title: str
    summary: str
    key_numbers: Sequence[KeyNumber] = ()
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)


def write_html(report: Report, path: str) -> None:
    """Write the page; it appears at ``path`` when `partial.commit` is called.

    Raises UnwritableOutput and DiskFull.
    """
    _write(path, to_html(report))


def write_csv(table: Table, path: str) -> None:
    """Write a table as CSV (UTF-8, comma, point), undefined numbers empty; otherwise as `write_html`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_machine_cell(cell) for cell in row] for row in table.rows)
    _write(path, text.getvalue())


def write_wanted(outputs: Outputs, table: Callable[[], Table], page: Callable[[], Report]) -> None:
    """Make and write METRICS and REPORT, each only where the job wants it."""
    if outputs.metrics:
        write_csv(table(), outputs.metrics)
    if outputs.report:
        write_html(page(), outputs.report)


def to_json(report: Report) -> str:
    """The report for machines; numbers that JSON lacks (NaN, infinities) become null."""
    record = {
        "title": report.title,
        "summary": report.summary,
        "key_numbers": {number.label: number.value for number in report.key_numbers},
        "warnings": list(report.warnings),
        "settings": dict(report.settings),
        "data": dict(report.data),
        "version": __version__,
    }
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False)


def to_html(report: Report) -> str:
    """The whole page."""
    # A '<' could end the script element early; as an escape it is the same JSON.
    record = to_json(report).replace("<", "\\u003c")
    body = [
        f'<header><p class="brand">Deep Prior</p><h1>{_text(report.title)}</h1>',
        f'<p class="summary">{_text(report.summary)}</p></header>',
        _key_numbers(report.key_numbers),
        _warnings(report.warnings),
        *(_section(section) for section in report.sections),
    ]
    if report.settings:
        rows = [(name, value) for name, value in report.settings.items()]
        body.append(_section(Section("Settings", [Table(("Setting", "Value"), rows)])))
    body.append(f"<footer>Made by Deep Prior {_text(__version__)}.</footer>")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in body if part)
        + f'\n</main>\n<script type="application/json" id="deep-prior-report">{record}</script>\n</body>\n</html>\n'
    )


def format_number(value: float, digits: int = 4) -> str:
    """A number for people: ``digits`` significant ones, thousands apart by a thin space; NaN is a dash."""
    if math.isnan(value):
        return "\u2013"
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


def _write(path: str, text: str) -> None:
    target = atomic.create_temporary(path)
    try:
        with open(target, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(path=path, reason="the disk filled up while writing") from error
        raise UnwritableOutput(path=path, reason=os.strerror(error.errno or errno.EIO).lower()) from error


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _is_number(value: object) -> bool:
    """True for Python's and numpy's numbers, which need no numpy to be recognised."""
    return hasattr(value, "__float__") and not isinstance(value, (bool, str, bytes))


def _number(value: object) -> int | float:
    return int(value) if hasattr(value, "__index__") else float(value)  # type: ignore[arg-type]


def _shown(value: object) -> str:
    if value is None or value == "":
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _is_number(value):
        return _text(format_number(_number(value)))
    if isinstance(value, (list, tuple)):
        return "<br>".join(_text(item) for item in value) or "\u2013"
    return _text(value)


def _machine_cell(value: object) -> object:
    value = _plain(value)
    return "" if value is None else value


def _plain(value: object) -> object:
    """``value`` in terms of JSON."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if hasattr(value, "tolist"):  # a numpy array or scalar
        return _plain(value.tolist())
    if _is_number(value):
        number = _number(value)
        return number if math.isfinite(number) else None
    return str(value)


def _key_numbers(numbers: Sequence[KeyNumber]) -> str:
    if not numbers:
        return ""
    tiles = "".join(
        f'<div class="tile"><div class="label">{_text(number.label)}</div>'
        f'<div class="value">{_shown(number.value)}</div><div class="note">{_text(number.note)}</div></div>'
        for number in numbers
    )
    return f'<div class="tiles">{tiles}</div>'


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{_text(warning)}</li>" for warning in warnings)
    return f'<div class="warnings"><strong>Please note</strong><ul>{items}</ul></div>'


def _section(section: Section) -> str:
    parts = "\n".join(_part(part) for part in section.parts)
    return f"<section>\n<h2>{_text(section.title)}</h2>\n{parts}\n</section>"


def _part(part: str | Table | Figure | Gallery) -> str:
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Figure):
        return _figure(part)
    if isinstance(part, Gallery):
        return f'<div class="gallery">{"".join(_figure(figure) for figure in part.figures)}</div>'
    return f"<p>{_text(part)}</p>"


def _figure(figure: Figure) -> str:
    data = base64.b64encode(figure.png).decode("ascii")
    caption = _text(figure.caption)
    # Plots have 130 dots an inch for sharpness, a page 96; the width is in a PNG's bytes 16 to 19.
    width = int.from_bytes(figure.png[16:20], "big") * 96 // 130
    image = f'<img alt="{caption}" width="{width}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _table(table: Table) -> str:
    numeric = [
        all(_is_number(row[place]) or row[place] is None for row in table.rows) for place in range(len(table.columns))
    ]
    classes = [' class="number"' if is_number else "" for is_number in numeric]
    head = "".join(f"<th{kind}>{_text(name)}</th>" for name, kind in zip(table.columns, classes))
    rows = []
    for number, row in enumerate(table.rows):
        cells = "".join(f"<td{kind}>{_shown(cell)}</td>" for cell, kind in zip(row, classes))
        rows.append(f'<tr class="emphasis">{cells}</tr>' if number == table.emphasis else f"<tr>{cells}</tr>")
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    content = f"{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table>{content}</table></div>'


_STYLE = """
body { margin: 0; background: #f4f6f8; color: #1c2733; line-height: 1.5;
  font-family: "Segoe UI", "Helvetica Neue", Roboto, "Noto Sans", "DejaVu Sans", Arial, sans-serif; font-size: 15px; }
main { max-width: 1020px; margin: 0 auto; padding: 28px 24px 40px; }
header { border-bottom: 3px solid #0b6e8f; padding-bottom: 14px; margin-bottom: 22px; }
.brand { margin: 0; color: #0b6e8f; font-size: 12px; font-weight: 600; letter-spacing: .12em;
  text-transform: uppercase; }
h1 { font-size: 27px; line-height: 1.25; margin: 2px 0 8px; font-weight: 650; }
h2 { font-size: 18px; margin: 0 0 12px; font-weight: 650; }
p { margin: 0 0 12px; max-width: 76ch; }
.summary { font-size: 17px; margin: 0; color: #3c4a58; }
.tiles { display: flex; flex-wrap: wrap; margin: 0 -6px 16px; }
.tile { display: inline-block; vertical-align: top; flex: 1 1 150px; background: #fff; border: 1px solid #dde3e9;
  border-radius: 8px; padding: 11px 14px 10px; margin: 6px; }
.tile .label { font-size: 12.5px; color: #5a6977; }
.tile .value { font-size: 24px; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile .note { font-size: 12.5px; color: #5a6977; }
.warnings { background: #fff6df; border: 1px solid #ecd9a0; border-left: 5px solid #d99a00; border-radius: 6px;
  padding: 11px 16px; margin: 0 0 22px; color: #493600; }
.warnings ul { margin: 4px 0 0; padding-left: 20px; }
section { background: #fff; border: 1px solid #dde3e9; border-radius: 8px; padding: 18px 20px 12px;
  margin: 0 0 18px; }
.scroll { overflow-x: auto; margin: 0 0 14px; }
table { border-collapse: collapse; font-size: 14px; min-width: 46%; }
caption { text-align: left; color: #5a6977; font-size: 13.5px; padding-bottom: 6px; }
th, td { text-align: left; vertical-align: top; padding: 5px 22px 5px 8px; border-bottom: 1px solid #e7ebef; }
th { color: #5a6977; font-weight: 600; font-size: 13px; border-bottom: 2px solid #cbd4dc; white-space: nowrap; }
td { overflow-wrap: anywhere; min-width: 6.5em; }
.number { text-align: right; padding: 5px 12px; font-variant-numeric: tabular-nums; white-space: nowrap;
  min-width: 0; }
.emphasis td { font-weight: 650; background: #e9f4f8; }
figure { margin: 0 0 16px; max-width: 700px; }
figure img { display: block; max-width: 100%; height: auto; border-radius: 4px; background: #fff; }
figcaption { font-size: 13px; color: #5a6977; margin-top: 6px; max-width: 90ch; }
.gallery { display: flex; flex-wrap: wrap; margin: 0 -7px; }
.gallery figure { display: inline-block; vertical-align: top; flex: 1 1 380px; max-width: 480px; margin: 0 7px 14px;
  box-sizing: border-box; }
.gallery img { width: 100%; }
footer { font-size: 12.5px; color: #5a6977; margin-top: 22px; }
@media (max-width: 620px) { main { padding: 16px 10px; } section { padding: 14px 12px 8px; } }
@media (prefers-color-scheme: dark) {
  body { background: #12181e; color: #dde5ec; }
  header { border-color: #4fb3d3; } .brand { color: #4fb3d3; }
  .summary { color: #b3c0cc; }
  .tile, section { background: #1a222a; border-color: #2c3843; }
  .tile .label, .tile .note, th, caption, figcaption, footer { color: #94a3b1; }
  th { border-color: #3c4a57; } th, td { border-bottom-color: #2c3843; }
  .emphasis td { background: #173643; }
  .warnings { background: #2f2710; border-color: #5c4a17; border-left-color: #d99a00; color: #f0dfb0; }
}
@media print {
  body { background: #fff; color: #000; font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  section, .tile, .warnings { border-color: #bbb; background: #fff; color: #000; }
  .tile .label, .tile .note, th, caption, figcaption, footer, .summary { color: #333; }
  .emphasis td { background: none; }
  .scroll { overflow: visible; }
  figure, tr, .tile, .warnings { page-break-inside: avoid; break-inside: avoid; }
  h2 { page-break-after: avoid; break-after: avoid; }
}
"""
