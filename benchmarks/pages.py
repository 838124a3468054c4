"""Stores the results of a benchmark: a record as JSON, and a Markdown page made from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path


def save(folder: Path, name: str, record: dict, make_page: Callable[[dict], str]) -> str:
    """Write ``name.json``, and ``name.md`` made from it; returns the page. Numbers keep five significant digits."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_rounded(record), indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    # From the stored text, so that the page can be made again from the file.
    return write_page(folder, name, make_page(json.loads(text)))


def write_page(folder: Path, name: str, page: str) -> str:
    """Write ``name.md``; returns the page."""
    (folder / f"{name}.md").write_text(page, encoding="utf-8")
    return page


def load(folder: Path, name: str) -> dict | None:
    """The record in ``name.json``; None if there is no such file."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def join(parts: Iterable[str]) -> str:
    """Headings, paragraphs and tables as one page, separated by empty lines."""
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """A Markdown table; columns of numbers are aligned to the right, None is a dash."""
    cells = [["–" if value is None else value for value in row] for row in rows]
    lines = [columns, ["---:" if any(map(_is_number, column)) else "---" for column in zip(*cells)], *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdigit()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
