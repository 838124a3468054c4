"""What a super-resolution run tells of itself: the output numbers, the METRICS table and the REPORT page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window
from scipy import ndimage

from .. import __version__
from ..imaging.psf import Psf
from ..imaging.resampling import fill_nearest
from ..job import SuperResolveJob
from ..raster import atomic, metadata
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..reporting import html as report
from ..runtime.context import Context
from .self_supervised import GUIDED
from .validation import BandScore, Trial

if TYPE_CHECKING:
    from .plan import Plan

_DETAIL = 120  # coarse rows and columns of the close-up
_BLOCK = 64  # coarse rows that are compared at a time
_LABELS = {
    "back_projection": "Bicubic and back-projection",
    "vectorial_tv": "Vectorial total variation",
    "steered_ridge": "Steered ridge (self-taught)",
    "guided": "Fusion with the guide",
    "deep_prior": "Deep prior (lean)",
    "paper_2d": "Deep hyperspectral prior, 2-D (DHP paper)",
    "paper_3d": "Deep hyperspectral prior, 3-D (DHP paper)",
    "paper_cascade": "Residual cascade (CASCADE paper)",
    "mixture": "Mixture",
    "bicubic": "Bicubic interpolation (baseline)",
}


@dataclass(frozen=True)
class Outcome:
    """All that a finished run knows. ``accord``: see `accord`."""

    job: SuperResolveJob
    known: SelectedScene
    plan: Plan
    trial: Trial
    accord: float
    changed: int
    left: int
    guide: Guide | None = None


def accord(known: SelectedScene, written: str, optics: Psf) -> float:
    """RMSE between the input and the written result made coarse again, in the data's units.

    Pixels near missing ones do not count, since what the optics saw of those is not known; NaN where none counts.
    """
    rows, columns = known.scene.grid.shape
    f, reach, total, count = optics.factor, optics.radius, 0.0, 0
    with rasterio.open(written) as file:
        for start in range(0, rows, _BLOCK):
            end = min(start + _BLOCK, rows)
            top, bottom = max(start - reach, 0), min(end + reach, rows)
            values, observed = known.read(Window(0, top, columns, bottom - top))
            fine_window = Window(0, top * f, columns * f, (bottom - top) * f)
            fine = file.read([band + 1 for band in known.bands], window=fine_window).astype(np.float64)
            seen = np.repeat(np.repeat(observed, f, axis=1), f, axis=2)
            again = optics.operator((fine.shape[1], fine.shape[2])).apply(fill_nearest(fine, seen))
            near = np.ones((1, 2 * reach + 1, 2 * reach + 1), bool)
            counted = ~ndimage.binary_dilation(~observed, near)
            counted[:, : start - top] = False
            counted[:, end - top :] = False
            total += float(np.square(again - values)[counted].sum())
            count += int(np.count_nonzero(counted))
    return float(np.sqrt(total / count)) if count else float("nan")


def numbers(outcome: Outcome) -> dict[str, float | None]:
    """The output numbers of the interface; those of the validation are None where there was none."""
    trial = outcome.trial
    validated = bool(trial.bands)
    return {
        "HELDOUT_RMSE": trial.rmse if validated else None,
        "HELDOUT_R2": trial.r2 if validated else None,
        "BASELINE_RMSE": trial.baseline_rmse if validated else None,
        "PIXELS_CHANGED": float(outcome.changed),
        "PIXELS_LEFT": float(outcome.left),
    }


def write(outcome: Outcome, context: Context) -> None:
    """Write METRICS and REPORT where the job wants them."""
    report.write_wanted(
        outcome.job.outputs, lambda: _band_table(outcome, machine=True), lambda: compose(outcome, context)
    )


def compose(outcome: Outcome, context: Context) -> report.Report:
    """The report page."""
    trial, job = outcome.trial, outcome.job
    keys = [
        report.KeyNumber("Pixels restored", outcome.changed, "on the fine grid"),
        report.KeyNumber("Accord", outcome.accord, "RMSE of the result made coarse again against the input"),
    ]
    if outcome.guide:
        share = f"{100 * trial.shares.get(GUIDED, 0.0):.0f} %"
        keys.append(report.KeyNumber("Guide's share", share, "of the mixture, chosen by the validation"))
    sections = []
    summary = f"{len(outcome.known.bands)} bands were enlarged {job.factor} times."
    if trial.bands:
        gain = 100 * (trial.rmse / trial.baseline_rmse - 1) if trial.baseline_rmse else float("nan")
        keys.append(report.KeyNumber("Held-out RMSE", trial.rmse, f"{gain:+.1f} % against bicubic interpolation"))
        keys.append(report.KeyNumber("Held-out R\u00b2", trial.r2, "mean over bands"))
        summary += (
            f" On the image's own coarser copy, the error (RMSE) is {report.format_number(trial.rmse)}; bicubic "
            f"interpolation makes {report.format_number(trial.baseline_rmse)} on the very same pixels."
        )
        sections.append(_validation(outcome))
    sections.append(_pictures(outcome))
    return report.Report(
        title="Super-resolve",
        summary=summary,
        key_numbers=keys,
        warnings=context.warnings,
        sections=sections,
        settings=_settings(outcome, context),
        data={"numbers": numbers(outcome), "scores": trial.scores or {}, "shares": trial.shares},
    )


def _validation(outcome: Outcome) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    trial = outcome.trial
    scores = {_LABELS[name]: value for name, value in (trial.scores or {}).items()}
    used = _LABELS["mixture" if len(trial.shares) > 1 else next(iter(trial.shares))]
    parts: list[str | report.Table | report.Figure | report.Gallery] = [
        "The input was made coarse once more by the same optics, enlarged again, and compared with the input itself. "
        "Detail one scale up is an indication of, not a proof for, detail at the new scale.",
        report.Figure(
            plots.score_bars(dict(sorted(scores.items(), key=lambda item: item[1])), used, "RMSE in band deviations"),
            "Error of each method; shorter is better.",
        ),
        _band_table(outcome),
    ]
    if len(trial.shares) > 1:
        rows = [(_LABELS[name], f"{100 * share:.0f} %") for name, share in trial.shares.items()]
        parts.append(report.Table(("Method", "Share"), rows, "What the validation chose."))
    for name, reason in outcome.plan.skipped.items():
        parts.append(f"{_LABELS[name]} did not stand for election: {reason}.")
    parts.append(
        "The uncertainty layer is the error that was found for pixels of the same band and the same local roughness."
    )
    return report.Section("How good is it?", parts)


def _band_table(outcome: Outcome, machine: bool = False) -> report.Table:
    known, trial = outcome.known, outcome.trial
    columns = (
        ("band", "name", "compared", "rmse", "r2", "baseline_rmse", "within_1sd", "within_2sd")
        if machine
        else ("Band", "Name", "Compared", "RMSE", "R\u00b2", "Bicubic RMSE", "\u2264 1 sd", "\u2264 2 sd")
    )
    nan = float("nan")
    scores = dict(zip(known.bands, trial.bands))
    rows = []
    for number, name in enumerate(known.scene.names):
        item = scores.get(number, BandScore(0, nan, nan, nan, nan, nan))
        within = (item.within_one, item.within_two)
        shares = within if machine else tuple(f"{100 * v:.1f} %" if np.isfinite(v) else "" for v in within)
        rows.append((number + 1, name, item.pixels, item.rmse, item.r2, item.baseline_rmse, *shares))
    return report.Table(columns, rows, "Errors on the coarser copy, in the data's units.")


def _pictures(outcome: Outcome) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    known, f = outcome.known, outcome.job.factor
    waves = [metadata.read_spectral_info(known.scene)[number].wavelength for number in known.bands]
    nanometres = [1000.0 * value for value in waves if value is not None]
    chosen = plots.composite_bands(len(known.bands), nanometres if len(nanometres) == len(known.bands) else None)
    bands = [known.bands[place] for place in chosen]
    rows, columns = known.scene.grid.shape
    tall, wide = min(_DETAIL, rows), min(_DETAIL, columns)
    window = Window((columns - wide) // 2, (rows - tall) // 2, wide, tall)
    before = np.repeat(np.repeat(known.scene.read(window, bands).astype(np.float32), f, axis=1), f, axis=2)
    seen = np.repeat(np.repeat(known.scene.valid(window, bands), f, axis=1), f, axis=2)
    with rasterio.open(atomic.temporary_path(outcome.job.outputs.output or "")) as file:
        fine = Window(window.col_off * f, window.row_off * f, wide * f, tall * f)
        after: NDArray = file.read([number + 1 for number in bands], window=fine).astype(np.float32)
    stretch = plots.stretch_of(before, seen)
    outside = ~np.asarray(seen.any(axis=0))
    gallery = report.Gallery(
        [
            report.Figure(plots.picture(before, stretch, exterior=outside), "Before: a close-up of the middle."),
            report.Figure(plots.picture(after, stretch, exterior=outside), "After: the same."),
        ]
    )
    return report.Section("Before and after", [gallery])


def _settings(outcome: Outcome, context: Context) -> dict[str, object]:
    job, scene, known, planned = outcome.job, outcome.known.scene, outcome.known, outcome.plan
    settings: dict[str, object] = {
        "Input": job.input,
        "Size": f"{scene.grid.width} x {scene.grid.height} pixels, {scene.count} bands, {scene.dtype}",
        "Bands": f"{len(known.bands)} restored, {len(known.skipped)} enlarged by repeating their pixels",
        "Factor": job.factor,
        "Point spread function": job.psf,
        "Method": job.method,
        "Device": job.compute.device,
        "Seed": job.compute.seed,
        "Time budget": f"{job.compute.time_budget:g} s" if job.compute.time_budget else "none",
        "Tiles": f"{planned.tile_size} pixels of the input, overlap {planned.overlap}, margin {planned.margin}",
        "Time": f"{context.seconds_spent:.0f} s",
        "Version": f"Deep Prior {__version__}, numpy {np.__version__}, rasterio {rasterio.__version__}",
    }
    if job.psf == "gaussian":
        settings["Sigma"] = f"{Psf(job.factor, job.psf, job.psf_sigma).gaussian_sigma:g} output pixels"
    if outcome.guide:
        settings["Guide"] = f"{outcome.guide.path}, which covers {100 * outcome.guide.coverage:.0f} % of the raster"
    if job.method == "paper_cascade":
        settings["Model"] = job.model
    return settings
