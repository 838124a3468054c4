"""Compares two runs of a case: exit codes, results and all files.

Pixels and tensors are compared bit for bit, metadata and numbers exactly. Changed texts (messages, headings, error
sentences) are listed separately from differences.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from safetensors import safe_open

from .cases import Case
from .runner import Run

# Keys of the tag DEEP_PRIOR and of a model's metadata that contain sentences, names or versions.
TEXT_KEYS = ("rule", "versions", "square", "angle")
REPORT_DATA = re.compile(r'<script type="application/json"[^>]*>(.*?)</script>', re.S)


@dataclass
class Comparison:
    """Differences, each as a text, and the names of changed texts."""

    differences: list[str] = field(default_factory=list)
    changed_texts: list[str] = field(default_factory=list)


def compare_runs(case: Case, before: Run, after: Run) -> Comparison:
    """Compare two runs of a case. If one did not end as expected, only this is reported."""
    comparison = Comparison()
    for name, run in (("before", before), ("after", after)):
        end = run.unexpected_end(case)
        if end:
            comparison.differences.append(f"{name}: {end}")
    if comparison.differences:
        return comparison
    compare_values(before.events.get("result"), after.events.get("result"), "result", comparison)
    for event in ("error", "message"):
        if before.events.get(event) != after.events.get(event):
            comparison.changed_texts.append(event)
    expected = [] if case.error else sorted(case.outputs.values())
    for name, run in (("before", before), ("after", after)):
        files = sorted(str(path.relative_to(run.outputs)) for path in run.outputs.rglob("*"))
        if files != expected:
            comparison.differences.append(f"{name}: files {files} instead of {expected}")
    for name in expected:
        if (before.outputs / name).exists() and (after.outputs / name).exists():
            compare_files(before.outputs / name, after.outputs / name, comparison)
    return comparison


def compare_files(before: Path, after: Path, comparison: Comparison) -> None:
    """Compare two outputs with the same name."""
    compare = {
        ".tif": compare_rasters,
        ".csv": compare_tables,
        ".safetensors": compare_models,
        ".html": compare_reports,
    }
    compare[before.suffix](before, after, comparison)


def compare_values(before: Any, after: Any, place: str, comparison: Comparison) -> None:
    """Compare two JSON values; ``place`` names them in the differences. NaN equals NaN."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            if key in TEXT_KEYS:
                if before.get(key) != after.get(key):
                    comparison.changed_texts.append(f"{place}.{key}")
            elif key not in before or key not in after:
                comparison.differences.append(f"{place}.{key} only {'after' if key in after else 'before'}")
            else:
                compare_values(before[key], after[key], f"{place}.{key}", comparison)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (value, other) in enumerate(zip(before, after)):
            compare_values(value, other, f"{place}[{number}]", comparison)
    elif before != after and not (_is_nan(before) and _is_nan(after)):
        comparison.differences.append(f"{place}: {before!r} before, {after!r} after")


def compare_rasters(before: Path, after: Path, comparison: Comparison) -> None:
    """Compare the pixels, masks and metadata of two rasters."""
    name = before.name
    with rasterio.open(before) as first, rasterio.open(after) as second:
        metadata, other = _metadata(first, before.parent), _metadata(second, after.parent)
        compare_values(metadata, other, name, comparison)
        if all(metadata[key] == other[key] for key in ("shape", "dtypes")):
            compare_arrays(first.read(), second.read(), name, comparison)
            compare_arrays(first.read_masks(), second.read_masks(), f"{name} masks", comparison)


def _metadata(raster: rasterio.DatasetReader, folder: Path) -> dict[str, Any]:
    """The metadata of a raster as JSON values; ``folder`` is replaced in tags."""
    tags = []
    for number in (0, *raster.indexes):
        namespaces = [name for name in raster.tag_namespaces(number) if name and name != "DERIVED_SUBDATASETS"]
        tags.append({name: dict(raster.tags(number, ns=name or None)) for name in ("", *namespaces)})
    for items in tags[0].values():
        for key, text in items.items():
            items[key] = text.replace(str(folder), "OUTPUTS")
    provenance = tags[0][""].pop("DEEP_PRIOR", None)
    colour_tables = {}
    for number in raster.indexes:
        with contextlib.suppress(ValueError):  # the band has none
            colour_tables[str(number)] = str(raster.colormap(number))
    return {
        "shape": [raster.count, raster.height, raster.width],
        "dtypes": list(raster.dtypes),
        "nodata": list(raster.nodatavals),
        "transform": list(raster.transform),
        "crs": raster.crs.to_wkt() if raster.crs else None,
        "gcps": str(raster.gcps),
        "rpcs": str(raster.rpcs),
        "descriptions": list(raster.descriptions),
        "colour interpretation": [colour.name for colour in raster.colorinterp],
        "colour tables": colour_tables,
        "scales": list(raster.scales),
        "offsets": list(raster.offsets),
        "units": list(raster.units),
        "mask flags": str(raster.mask_flag_enums),
        "blocks": str(raster.block_shapes),
        "interleave": str(raster.profile.get("interleave")),
        "compression": str(raster.compression),
        "tags": tags,
        "DEEP_PRIOR": None if provenance is None else json.loads(provenance),
    }


def compare_arrays(before: NDArray, after: NDArray, name: str, comparison: Comparison) -> None:
    """Compare two arrays of equal shape and type bit for bit, but all NaN values as equal."""
    bits = np.dtype(f"u{before.dtype.itemsize}")
    differs = np.ascontiguousarray(before).view(bits) != np.ascontiguousarray(after).view(bits)
    if before.dtype.kind == "f":
        differs &= ~(np.isnan(before) & np.isnan(after))
    if differs.any():
        largest = np.abs(before[differs].astype(np.float64) - after[differs].astype(np.float64)).max()
        count = np.count_nonzero(differs)
        comparison.differences.append(f"{name}: {count} of {differs.size} values differ, by at most {largest:.3g}")


def compare_tables(before: Path, after: Path, comparison: Comparison) -> None:
    """Compare the cells of two CSV files: numbers by value, other cells as texts."""
    name = before.name
    first, second = _rows(before), _rows(after)
    if [len(row) for row in first] != [len(row) for row in second]:
        comparison.differences.append(f"{name}: the number of rows or columns differs")
        return
    text_changed = False
    for line, (row, other_row) in enumerate(zip(first, second), start=1):
        for column, cell, other in zip(first[0], row, other_row):
            numbers = _to_number(cell), _to_number(other)
            if numbers == (None, None):
                text_changed |= cell != other
            elif numbers[0] != numbers[1] and not all(map(_is_nan, numbers)):
                comparison.differences.append(f"{name}, line {line}, {column}: {cell!r} before, {other!r} after")
    if text_changed:
        comparison.changed_texts.append(name)


def _rows(table: Path) -> list[list[str]]:
    with open(table, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def compare_models(before: Path, after: Path, comparison: Comparison) -> None:
    """Compare the tensors and the metadata of two models."""
    name = before.name
    with safe_open(before, framework="numpy") as first, safe_open(after, framework="numpy") as second:
        compare_values(_decoded(first.metadata()), _decoded(second.metadata()), name, comparison)
        if sorted(first.keys()) != sorted(second.keys()):
            comparison.differences.append(f"{name}: the names of the tensors differ")
            return
        for key in sorted(first.keys()):
            tensor, other = np.atleast_1d(first.get_tensor(key)), np.atleast_1d(second.get_tensor(key))
            if tensor.shape != other.shape or tensor.dtype != other.dtype:
                comparison.differences.append(f"{name}, {key}: shape or type differs")
            else:
                compare_arrays(tensor, other, f"{name}, {key}", comparison)


def _decoded(metadata: dict[str, str] | None) -> dict[str, Any]:
    return {key: json.loads(text) for key, text in (metadata or {}).items()}


def compare_reports(before: Path, after: Path, comparison: Comparison) -> None:
    """Compare the numbers in the JSON data of two reports. Everything else in this data counts as text."""
    name = before.name
    first, second = _report_data(before), _report_data(after)
    numbers, other_numbers = dict(_numbers(first, "data")), dict(_numbers(second, "data"))
    count = len(comparison.differences)
    for place in sorted({*numbers} & {*other_numbers}):
        compare_values(numbers[place], other_numbers[place], f"{name} {place}", comparison)
    if len(comparison.differences) == count and json.dumps(first) != json.dumps(second):
        comparison.changed_texts.append(name)


def _report_data(report: Path) -> Any:
    found = REPORT_DATA.search(report.read_text(encoding="utf-8"))
    return json.loads(found[1]).get("data", {}) if found else {}


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """All numbers in a JSON value, each with its place."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(item, f"{place}.{key}")
    elif isinstance(value, int | float):
        yield place, value


def _to_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value
