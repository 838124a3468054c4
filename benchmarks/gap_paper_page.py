"""The page of `gap_paper`: tables of r2, RMSE, R2 and seconds, and the figures that the paper prints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks import pages, peers
from benchmarks.machine import measured_on

LABELS = {
    peers.FILL_NODATA: "GDAL fill-nodata (baseline)",
    "plug_and_play": "Plug and play",
    "plug_and_play_fine": "Plug and play, small patches",
    "fast": "`fast`",
    "best": "`best`",
    "deep_prior": "`deep_prior`",
    "paper_composite": "`paper_composite`",
    "paper_per_band": "`paper_per_band`",
}

# The GAP paper, Table 1 and section 3, all at 55 %: r2 and RMSE per band, then the means that its text gives.
PRINTED_PERCENTAGE = 55
PRINTED = {
    "Kriging": ((0.610, 0.627, 0.728, 0.690), (0.010, 0.015, 0.023, 0.063), None),
    "WLR": ((0.622, 0.694, 0.742, 0.765), (0.010, 0.014, 0.023, 0.055), None),
    "DS": ((0.685, 0.755, 0.792, 0.780), (0.009, 0.012, 0.020, 0.052), None),
    "DIP, band by band": ((0.812, 0.853, 0.874, 0.832), (0.020, 0.024, 0.043, 0.052), (0.842, 0.034)),
    "DIP, composite": (None, None, (0.880, 0.030)),
}

Line = tuple[str, "int | None"]  # method and schedule: one line of a table


def page(record: dict) -> str:
    """The tables as Markdown, with the protocol."""
    rows, bands, crop = record["rows"], record["settings"]["bands"], record["settings"]["crop"]
    percentages = sorted({row["percentage"] for row in rows})
    hidden = {row["percentage"]: row["hidden_percent"] for row in rows}
    actual = ", ".join(f"{hidden[percentage]:.1f}" for percentage in percentages)
    return pages.join(
        [
            "# The GAP paper's table",
            f"Landsat-7 ETM+ over Olinda, bands {bands[0]} to {bands[-1]}, central {crop[0]} x {crop[1]} pixels, the "
            f"same mask for all bands; percentages that are actually hidden: {actual}. Scores are means over the bands "
            "on the hidden pixels only. The paper's own scene (California, 24 July 2002) is not available, so its "
            "figures show the order of magnitude and cannot be compared directly.",
            f"{measured_on(rows)} `fast` and `best` are complete runs of the worker (start, validation, filling and "
            "report); the other rows are the fill alone. Iterations are those that were run, per network; the paper's "
            "presets publish 1500.",
            "## Pearson r2, the measure of the paper (higher is better)",
            _table(rows, percentages, "pearson_r2", 3),
            "## RMSE of data scaled to 0..1 per band (lower is better)",
            "The paper does not give the unit; its magnitudes fit data between 0 and 1.",
            _table(rows, percentages, "rmse", 4),
            "## R2, coefficient of determination (sensitive to bias)",
            _table(rows, percentages, "r2", 3),
            "## Seconds",
            _table(rows, percentages, "seconds", 1),
            f"## Each band at {PRINTED_PERCENTAGE} %, and the paper's Table 1",
            "The last two columns are of the whole image, with the observed pixels in place. The paper does not say "
            "which pixels it scores. It explains its RMSE by the error of the observed pixels, so it may score the "
            "whole image.",
            _band_table(rows, bands),
        ]
    )


def row_key(row: dict) -> tuple[int, str, int | None]:
    """Percentage, method and schedule: what distinguishes a row from all others of the same settings."""
    return row["percentage"], row["method"], row["schedule"]


def _table(rows: Sequence[dict], percentages: Sequence[int], score: str, digits: int) -> str:
    values = {row_key(row): f"{row[score]:.{digits}f}" for row in rows}
    labels = {(row["method"], row["schedule"]): _label(row) for row in rows}
    body = [
        (label, _iterations(rows, line), *(values.get((percentage, *line)) for percentage in percentages))
        for line, label in labels.items()
    ]
    return pages.markdown_table(("Method", "Iterations", *(f"{percentage} %" for percentage in percentages)), body)


def _band_table(rows: Sequence[dict], bands: Sequence[int]) -> str:
    body: list[tuple[str | None, ...]] = []
    for name, (r2, rmse, means) in PRINTED.items():
        mean_r2, mean_rmse = means or (float(np.mean(r2 or ())), float(np.mean(rmse or ())))
        cells = tuple(f"{value:.3f}" for value in r2) if r2 else (None,) * len(bands)
        body.append((f"*{name}, as printed*", None, *cells, f"{mean_r2:.3f}", f"{mean_rmse:.3f}", None, None))
    for row in rows:
        if row["percentage"] == PRINTED_PERCENTAGE:
            cells = tuple(f"{value:.3f}" for value in row["band_pearson_r2"])
            hidden = (f"{row['pearson_r2']:.3f}", f"{row['rmse']:.4f}")
            whole = (f"{row['whole_image_pearson_r2']:.3f}", f"{row['whole_image_rmse']:.4f}")
            body.append((_label(row), str(row["iterations"] or "–"), *cells, *hidden, *whole))
    columns = ("Method", "Iterations", *(f"r2 band {band}" for band in bands), "r2", "RMSE", "whole r2", "whole RMSE")
    return pages.markdown_table(columns, body)


def _label(row: dict) -> str:
    return LABELS.get(row["method"], row["method"].capitalize())


def _iterations(rows: Sequence[dict], line: Line) -> str | None:
    """The iterations of a line, or their range; None for a method without iterations."""
    counts = sorted({row["iterations"] for row in rows if row_key(row)[1:] == line and row["iterations"]})
    if not counts:
        return None
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
