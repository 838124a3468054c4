"""The page of `gap_scenes`: errors on reference pixels and on hidden test pixels, uncertainty, time and memory."""

from __future__ import annotations

from benchmarks import pages, peers, single_methods
from benchmarks.machine import measured_on

COVERAGE = {"one": 1, "two": 2}  # predicted standard deviations, by key of the record
BASELINE = peers.FILL_NODATA
PRODUCT = ("fast", "best")
COMPARISON = "`best` compared with its best expert"


def page(results: dict[str, dict]) -> str:
    """The tables as Markdown."""
    return pages.join(
        [
            "# Scenes",
            "The real scenes are Landsat-7 SLC-off scenes over New South Wales (3 bands). Each is also filled with the "
            "other date, from another season, as a guide. Olinda is a clean Landsat-7 scene (6 bands) with simulated "
            "gaps, whose ends differ by a few columns between bands, as Landsat's do. "
            + measured_on(list(results.values())),
            "## Error on the reference pixels",
            "RMSE in percent of that of GDAL's Fill nodata on the same pixels. Each band is divided by its standard "
            "deviation first, so that all bands count equally. The pixels were hidden from all methods. The last "
            "column compares `best` with the best single expert among its candidates.",
            _reference_table(results),
            "## Error on the hidden test pixels of the validation",
            "As in the product's report: RMSE in the data's units, in percent of that of Fill nodata, and the selected "
            "rule. Promised is an error at most 1 % above that of the best expert.",
            _validation_table(results),
            "## Uncertainty on the reference pixels",
            "Percentage of the errors within one and two predicted standard deviations; expected: 68.3 and 95.4 %.",
            _coverage_table(results),
            "## All methods",
            "RMSE as above, in percent; PSNR (mean of the bands; peak: the range of the true band) and SAM on the "
            "reference pixels; SSIM of the whole image, which is known only for the clean scene. Rows of `fast` and "
            "`best` are complete runs of the worker, with start, validation, uncertainty and report. The other rows "
            "are one fill of the array, and their memory is that of the benchmark's process, including data and "
            "libraries.",
            _methods_table(results),
            *(f"{name}: {method}: {note}." for name, result in results.items() for method, note in _notes(result)),
            "## Seconds and memory",
            "Complete runs of the worker with uncertainty and report; peak resident memory of its process.",
            pages.markdown_table(
                ("Scene", "Pixels x bands", "`fast` s", "`fast` MiB", "`best` s", "`best` MiB", "pixels left"),
                [_cost_row(name, result) for name, result in results.items()],
            ),
        ]
    )


def _candidates(result: dict) -> dict[str, float]:
    """Validation scores of the experts that were candidates in `best`, without the rules that combine them."""
    return {name: score for name, score in result["runs"]["best"]["heldout_scores"].items() if name in result["rmse"]}


def _reference_table(results: dict[str, dict]) -> str:
    names = list(dict.fromkeys(name for result in results.values() for name in result["rmse"]))
    experts = [name for name in names if name not in (*single_methods.OTHERS, *PRODUCT)]
    names = [*(name for name in single_methods.OTHERS if name in names), *experts, *PRODUCT]
    body = []
    for name, result in results.items():
        rmse = result["rmse"]
        percentages = [f"{100 * rmse[key] / rmse[BASELINE]:.1f}" if key in rmse else None for key in names]
        best_expert = min(_candidates(result), key=rmse.__getitem__)
        difference = 100 * (rmse["best"] / rmse[best_expert] - 1)
        body.append((name, f"{result['missing_percent']:.1f}", *percentages, f"{difference:+.2f} % ({best_expert})"))
    columns = ("Scene", "Missing %", *(f"`{name}`" for name in names), COMPARISON)
    return pages.markdown_table(columns, body)


def _validation_table(results: dict[str, dict]) -> str:
    body = []
    for name, result in results.items():
        cells: list[str | None] = [name]
        for method in PRODUCT:
            numbers, scores = result["runs"][method]["numbers"], result["runs"][method]["heldout_scores"]
            cells.append(f"{100 * numbers['HELDOUT_RMSE'] / numbers['BASELINE_RMSE']:.1f}")
            cells.append(min(scores, key=scores.__getitem__))
        scores, candidates = result["runs"]["best"]["heldout_scores"], _candidates(result)
        best_expert = min(candidates, key=candidates.__getitem__)
        difference = 100 * (min(scores.values()) / candidates[best_expert] - 1)
        cells.append(f"{difference:+.2f} % ({best_expert})")
        body.append(cells)
    columns = ("Scene", "`fast` %", "rule of `fast`", "`best` %", "rule of `best`", COMPARISON)
    return pages.markdown_table(columns, body)


def _coverage_table(results: dict[str, dict]) -> str:
    body = [
        (
            name,
            *(f"{100 * result['runs'][method]['coverage'][key]:.1f}" for method in PRODUCT for key in COVERAGE),
        )
        for name, result in results.items()
    ]
    return pages.markdown_table(
        ("Scene", *(f"`{method}`, {key} sd" for method in PRODUCT for key in COVERAGE)),
        body,
    )


def _methods_table(results: dict[str, dict]) -> str:
    digits = {"mpsnr": 2, "ssim": 3, "sam": 2, "seconds": 1, "peak_mib": 0}
    body = []
    for name, result in results.items():
        for method, row in result.get("rows", {}).items():
            cells = [None if row[key] is None else f"{row[key]:.{places}f}" for key, places in digits.items()]
            percentage = 100 * result["rmse"][method] / result["rmse"][BASELINE]
            body.append((name, f"`{method}`", f"{percentage:.1f}", *cells))
    return pages.markdown_table(("Scene", "Method", "RMSE %", "PSNR", "SSIM", "SAM", "Seconds", "MiB"), body)


def _notes(result: dict) -> list[tuple[str, str]]:
    return list(result.get("notes", {}).items())


def _cost_row(name: str, result: dict) -> tuple[str, ...]:
    bands, rows, columns = result["shape"]
    cells = [name, f"{columns} x {rows} x {bands}"]
    for method in PRODUCT:
        run = result["runs"][method]
        cells += [f"{run['seconds']:.0f}", f"{run['peak_mib']:.0f}"]
    return (*cells, f"{result['runs']['best']['numbers']['PIXELS_LEFT']:.0f}")
