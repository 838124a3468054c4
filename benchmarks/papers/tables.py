"""A table of rows: kept in JSON, merged with an earlier run's, shown as Markdown.

A row is a dictionary: its ``case`` (the problem), ``row`` (the method), ``schedule`` (iterations or minutes asked
for), ``seed`` and ``device`` are its key; ``points`` hold, for each look, the iteration, the loss, the seconds and the
scores of its images by name. The last point is the row's result, the others its curve.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from benchmarks import common
from dip_core.job import DENOISE_METHODS

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
Figures = Sequence[tuple[str, Mapping[str, Optional[float]]]]


@dataclass(frozen=True)
class Table:
    """One table: its file's name, heading, what its protocol is, the scores it shows, and the order of its rows.

    ``curve``: the scores shown of traces. ``printed``: the papers' figures by case ("": any), as names with scores.
    """

    name: str
    title: str
    protocol: str
    shown: tuple[str, ...]
    curve: tuple[str, ...]
    order: tuple[str, ...]
    printed: Mapping[str, Figures] = field(default_factory=dict)

    def earlier(self, folder: Path) -> list[Row]:
        """The rows that an earlier run has written."""
        path = folder / f"{self.name}.json"
        return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []

    def keep(self, folder: Path, row: Row) -> None:
        """Write the table with a row that is new, or that takes the place of its earlier self."""
        rows = merged(self.earlier(folder), row, self.order)
        common.save(folder, self.name, {"printed_in_the_papers": dict(self.printed), "rows": rows}, self.page(rows))

    def page(self, rows: Sequence[Row]) -> str:
        """The tables as Markdown, with all that must be known to read them."""
        parts = [f"# {self.title}", f"{self.protocol} {common.measured_on(rows)}"]
        cases = list(dict.fromkeys(row["case"] for row in rows))
        for case in cases:
            of_case = [row for row in rows if row["case"] == case]
            parts += [f"## {case}", self._results(case, of_case)]
            for row in of_case:
                if len(row["points"]) > 1:
                    parts += [f"### {label(row)}", _sentence(row), self._curve(row)]
        return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"

    def _results(self, case: str, rows: Sequence[Row]) -> str:
        """The last point of every row, a line for each of its images, and the papers' figures."""
        body = []
        for row in rows:
            point = row["points"][-1]
            for image, scores in point["images"].items():
                name = label(row) + (f", {image}" if image else "")
                done = point["iteration"]
                body.append(
                    (name, str(done) if done else None, *self._cells(scores), _time(row), _memory(row), _where(row))
                )
        for name, values in self.printed.get(case, self.printed.get("", ())):
            body.append((f"*{name}, as printed*", None, *self._cells(values), None, None, None))
        heads = ("Method", "Iterations", *(COLUMNS[score][0] for score in self.shown), "Seconds", "MiB", "Device")
        return common.markdown_table(heads, body)

    def _curve(self, row: Row) -> str:
        points = row["points"]
        images = list(dict.fromkeys(name for point in points for name in point["images"]))
        shown = [
            (image, score)
            for image in images
            for score in self.curve
            if any(point["images"].get(image, {}).get(score) is not None for point in points[:-1])
        ]
        heads = ["Iteration", "Loss", "Seconds", *(f"{image}, {COLUMNS[score][0]}" for image, score in shown)]
        body = [
            (
                str(point["iteration"]),
                None if point["loss"] is None else f"{point['loss']:.2g}",
                f"{point['seconds']:.0f}",
                *(_cell(score, point["images"].get(image, {}).get(score)) for image, score in shown),
            )
            for point in points
        ]
        return common.markdown_table(heads, body)

    def _cells(self, scores: Mapping[str, float | None]) -> tuple[str | None, ...]:
        return tuple(_cell(score, scores.get(score)) for score in self.shown)


def merged(rows: Sequence[Row], row: Row, order: Sequence[str]) -> list[Row]:
    """The rows with a new one, which takes the place of one with the same key; in the table's order."""
    kept = [other for other in rows if key(other) != key(row)] + [row]

    def place(other: Row) -> tuple:
        base = str(other["row"]).split("+")[0]
        known = order.index(base) if base in order else len(order)
        return str(other["case"]), known, str(other["row"]), other["schedule"] or 0, other["seed"] or 0

    return sorted(kept, key=place)


def key(row: Row) -> tuple:
    """What tells a row from all others."""
    return tuple(row[name] for name in KEY)


def label(row: Row) -> str:
    """The row's name as the table shows it: those of METHOD as code; seeds but the usual one are told."""
    name = str(row["row"])
    shown = f"`{name}`" if name.split("+")[0] in DENOISE_METHODS else name
    return f"{shown}, seed {row['seed']}" if row["seed"] else shown


def run_row(
    table: Table,
    folder: Path,
    identity: Row,
    machine: common.Machine,
    work: Callable[[Callable[[dict], None]], Row],
) -> Row:
    """Do the work of one row (``identity``: its key), and keep it after every point: a run cut short is not lost.

    ``work`` is given what takes a point, and returns further facts of the row.
    """
    row: Row = {**identity, "points": []}

    def take(point: dict) -> None:
        row["points"].append(point)
        row.update(machine=machine.describe(), foreign_load=machine.foreign_load(), threads=machine.threads)
        table.keep(folder, row)
        print(table.name, row["case"], row["row"], json.dumps(point, default=float), flush=True)

    facts = work(take)
    if facts:
        row.update(facts)
        table.keep(folder, row)
    return row


def _cell(score: str, value: float | None) -> str | None:
    return None if value is None else f"{value:.{COLUMNS[score][1]}f}"


def _time(row: Row) -> str:
    seconds = row["points"][-1]["seconds"]
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:.0f}"


def _memory(row: Row) -> str | None:
    """Peak resident memory; rows of earlier versions do not know it."""
    peak = row["points"][-1].get("peak_mib")
    return None if peak is None else f"{peak:.0f}"


def _where(row: Row) -> str | None:
    device = row["device"]
    if device is None:
        return None
    return f"{device}, {row['threads']} thread{'s' if row['threads'] != 1 else ''}" if device == "cpu" else str(device)


def _sentence(row: Row) -> str:
    """Parameters, speed and seed of a traced row."""
    last = row["points"][-1]
    parts = [f"Seed {row['seed']}", f"device {_where(row)}"]
    if row.get("parameters"):
        parts.append(f"{row['parameters']:,} parameters")
    parts.append(f"{last['seconds'] / max(last['iteration'], 1):.3g} s an iteration")
    parts += [str(row["note"])] if row.get("note") else []
    return f"{'; '.join(parts)}."
