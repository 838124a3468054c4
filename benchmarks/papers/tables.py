"""Tables of rows: stored as JSON, merged with the rows of earlier runs, shown as Markdown.

A row is a dictionary. Its key is ``case`` (the problem), ``row`` (the method), ``schedule`` (requested iterations or
minutes), ``seed`` and ``device``. ``points`` contain the iteration, the loss, the seconds, and the scores of the images
by name. The last point is the result of the row, the others are its curve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from benchmarks import pages
from benchmarks.machine import Machine, measured_on
from dip_core.restoration_jobs import DENOISE_METHODS

KEY = ("case", "row", "schedule", "seed", "device")
COLUMNS = {
    "psnr": ("PSNR", 2),
    "mpsnr": ("MPSNR", 2),
    "hidden_psnr": ("hidden PSNR", 2),
    "hidden_rmse": ("hidden RMSE", 4),
    "ssim": ("SSIM", 3),
    "sam": ("SAM", 2),
}
Row = dict[str, Any]
AddPoint = Callable[[dict], None]
Measurement = Callable[[AddPoint], Row]
Figures = Sequence[tuple[str, Mapping[str, Optional[float]]]]


@dataclass(frozen=True)
class Table:
    """One table: file name, title, protocol, the scores it shows, and the order of its rows.

    ``curve``: the scores shown in curves. ``printed``: the paper's figures (name and scores) by case; "": any case.
    """

    name: str
    title: str
    protocol: str
    shown: tuple[str, ...]
    curve: tuple[str, ...]
    order: tuple[str, ...]
    printed: Mapping[str, Figures] = field(default_factory=dict)

    def save_row(self, folder: Path, row: Row) -> None:
        """Write the table with a new row, which replaces an earlier row with the same key."""
        stored = pages.load(folder, self.name) or {"rows": []}
        rows = merge(stored["rows"], row, self.order)
        record = {"printed_in_the_papers": dict(self.printed), "rows": rows}
        pages.save(folder, self.name, record, self.page)

    def page(self, record: Mapping[str, Any]) -> str:
        """The tables as Markdown, with the protocol."""
        rows: Sequence[Row] = record["rows"]
        parts = [f"# {self.title}", f"{self.protocol} {measured_on(rows)}"]
        for case in dict.fromkeys(row["case"] for row in rows):
            case_rows = [row for row in rows if row["case"] == case]
            parts += [f"## {case}", self._results(case, case_rows)]
            for row in case_rows:
                if len(row["points"]) > 1:
                    parts += [f"### {label(row)}", _facts(row), self._curve(row)]
        return pages.join(parts)

    def _results(self, case: str, rows: Sequence[Row]) -> str:
        """The last point of every row, with one line per image, then the paper's figures."""
        body = []
        for row in rows:
            point = row["points"][-1]
            for image, scores in point["images"].items():
                name = label(row) + (f", {image}" if image else "")
                iteration = str(point["iteration"]) if point["iteration"] else None
                body.append((name, iteration, *self._cells(scores), _time(row), _memory(row), _device(row)))
        for name, values in self.printed.get(case, self.printed.get("", ())):
            body.append((f"*{name}, as printed*", None, *self._cells(values), None, None, None))
        columns = ("Method", "Iterations", *(COLUMNS[score][0] for score in self.shown), "Seconds", "MiB", "Device")
        return pages.markdown_table(columns, body)

    def _curve(self, row: Row) -> str:
        points = row["points"]
        images = list(dict.fromkeys(name for point in points for name in point["images"]))
        shown = [
            (image, score)
            for image in images
            for score in self.curve
            if any(point["images"].get(image, {}).get(score) is not None for point in points[:-1])
        ]
        columns = ["Iteration", "Loss", "Seconds", *(f"{image}, {COLUMNS[score][0]}" for image, score in shown)]
        body = [
            (
                str(point["iteration"]),
                None if point["loss"] is None else f"{point['loss']:.2g}",
                f"{point['seconds']:.0f}",
                *(_cell(score, point["images"].get(image, {}).get(score)) for image, score in shown),
            )
            for point in points
        ]
        return pages.markdown_table(columns, body)

    def _cells(self, scores: Mapping[str, float | None]) -> tuple[str | None, ...]:
        return tuple(_cell(score, scores.get(score)) for score in self.shown)


def merge(rows: Sequence[Row], row: Row, order: Sequence[str]) -> list[Row]:
    """The rows with a new one, which replaces one with the same key; in the order of the table."""
    merged = [other for other in rows if key(other) != key(row)] + [row]

    def position(other: Row) -> tuple:
        base = str(other["row"]).split("+")[0]
        index = order.index(base) if base in order else len(order)
        return str(other["case"]), index, str(other["row"]), other["schedule"] or 0, other["seed"] or 0

    return sorted(merged, key=position)


def key(row: Row) -> tuple:
    """The values that distinguish a row from all others."""
    return tuple(row[name] for name in KEY)


def label(row: Row) -> str:
    """The row's name as the table shows it: values of METHOD as code; with the seed if it is not 0."""
    name = str(row["row"])
    shown = f"`{name}`" if name.split("+")[0] in DENOISE_METHODS else name
    return f"{shown}, seed {row['seed']}" if row["seed"] else shown


def measure_row(table: Table, folder: Path, row_key: Row, machine: Machine, measure: Measurement) -> Row:
    """Measure one row and store it after every point, so that a run that is stopped early keeps its results.

    ``measure`` passes its points to the function that it gets, and returns further facts of the row.
    """
    row: Row = {**row_key, "points": []}

    def add_point(point: dict) -> None:
        row["points"].append(point)
        row.update(**machine.facts(), threads=machine.threads)
        table.save_row(folder, row)
        print(table.name, row["case"], row["row"], json.dumps(point, default=float), flush=True)

    facts = measure(add_point)
    if facts:
        row.update(facts)
        table.save_row(folder, row)
    return row


def _cell(score: str, value: float | None) -> str | None:
    return None if value is None else f"{value:.{COLUMNS[score][1]}f}"


def _time(row: Row) -> str:
    seconds = row["points"][-1]["seconds"]
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


def _memory(row: Row) -> str | None:
    """Peak resident memory; rows of earlier versions do not contain it."""
    peak = row["points"][-1].get("peak_mib")
    return None if peak is None else f"{peak:.0f}"


def _device(row: Row) -> str | None:
    device = row["device"]
    if device is None:
        return None
    return f"{device}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}" if device == "cpu" else str(device)


def _facts(row: Row) -> str:
    """Seed, device, number of parameters and speed of a traced row."""
    last = row["points"][-1]
    parts = [f"Seed {row['seed']}", f"device {_device(row)}"]
    if row.get("parameters"):
        parts.append(f"{row['parameters']:,} parameters")
    parts.append(f"{last['seconds'] / max(last['iteration'], 1):.3g} s per iteration")
    parts += [str(row["note"])] if row.get("note") else []
    return f"{'; '.join(parts)}."
