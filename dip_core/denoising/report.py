"""What a denoising run tells of itself: the output numbers, the METRICS table and the REPORT page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from .. import __version__
from ..job import DenoiseJob
from ..raster import atomic, metadata
from ..raster.band_selection import SelectedScene
from ..reporting import html as report
from ..runtime.context import Context
from .model import Model
from .validation import SIDE, Score

_DETAIL = 160  # rows and columns of the close-up
_LABELS = {
    "nl_ridge": "Non-local ridge",
    "nl_ridge_pair": "Non-local ridge, two patch sizes",
    "deep_prior": "Deep prior (lean)",
    "paper_2d": "Deep hyperspectral prior, 2-D (DHP paper)",
    "paper_3d": "Deep hyperspectral prior, 3-D (DHP paper)",
}


@dataclass(frozen=True)
class Outcome:
    """All that a finished run knows."""

    job: DenoiseJob
    known: SelectedScene
    model: Model
    changed: int
    left: int


def numbers(outcome: Outcome) -> dict[str, float | None]:
    """The output numbers of the interface; the hold-out ones are None where nothing could be held out."""
    score = outcome.model.score
    return {
        "HELDOUT_RMSE": score.rmse if score else None,
        "HELDOUT_R2": score.r2 if score else None,
        "BASELINE_RMSE": score.baseline_rmse if score else None,
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
    figures, model = numbers(outcome), outcome.model
    keys = [
        report.KeyNumber("Pixels denoised", outcome.changed, f"in {len(outcome.known.bands)} bands"),
        report.KeyNumber("Rank", model.subspace.rank, "spectral directions above the noise"),
    ]
    rmse, baseline = figures["HELDOUT_RMSE"], figures["BASELINE_RMSE"]
    if model.score is not None:
        note = f"{100 * (rmse / baseline - 1):+.1f} % against {model.score.baseline_name}" if rmse and baseline else ""
        keys.append(report.KeyNumber("Held-out RMSE", rmse, note))
        keys.append(report.KeyNumber("Held-out R\u00b2", figures["HELDOUT_R2"], "mean over bands"))
    sections = [_noise(outcome)]
    if model.score is not None:
        sections.append(_validation(outcome, model.score))
    sections.append(_pictures(outcome))
    return report.Report(
        title="Denoise HSI",
        summary=_summary(outcome, rmse, baseline),
        key_numbers=keys,
        warnings=context.warnings,
        sections=sections,
        settings=_settings(outcome, context),
        data={
            "numbers": figures,
            "rank": model.subspace.rank,
            "sigma": model.subspace.sigma,
            "eigenvalues": model.subspace.eigenvalues,
            "gains": model.gains,
            "shares": model.shares,
            "bands": [number + 1 for number in outcome.known.bands],
        },
    )


def _summary(outcome: Outcome, rmse: float | None, baseline: float | None) -> str:
    known, score = outcome.known, outcome.model.score
    text = f"{outcome.changed:,} pixels of {len(known.bands)} bands were denoised"
    if known.skipped:
        text += f"; {len(known.skipped)} bands passed through unchanged"
    if score is None or rmse is None or baseline is None:
        return text + "."
    return (
        f"{text}. Judged on {int(score.count.sum()):,} held-out values, the error (RMSE) against the noise-free scene "
        f"is about {report.format_number(rmse, 3)}; {score.baseline_name} makes "
        f"{report.format_number(baseline, 3)} on the very same ones."
    )


def _band_table(outcome: Outcome, machine: bool = False) -> report.Table:
    columns = (
        ("band", "name", "sigma", "held_out", "rmse", "r2", "baseline_rmse", "residual_ratio", "passed_through")
        if machine
        else (
            "Band",
            "Name",
            "Noise",
            "Held out",
            "RMSE",
            "R\u00b2",
            "Baseline RMSE",
            "Residual / noise",
            "Passed through",
        )
    )
    known, score = outcome.known, outcome.model.score
    place = {number: position for position, number in enumerate(known.bands)}
    rows: list[tuple[object, ...]] = []
    for number, name in enumerate(known.scene.names):
        if number not in place:
            rows.append((number + 1, name, None, 0, None, None, None, None, known.skipped[number]))
            continue
        at = place[number]
        scored: tuple[object, ...] = (0, None, None, None, None)
        if score is not None and score.count[at]:
            r2 = 1.0 - max(score.error[at], 0.0) / score.power[at] if score.power[at] > 0 else None
            scored = (
                int(score.count[at]),
                _root(score.error[at]),
                r2,
                _root(score.baseline_error[at]),
                float(score.residual_ratio[at]),
            )
        rows.append((number + 1, name, float(outcome.model.subspace.sigma[at]), *scored, ""))
    caption = "Errors against the noise-free scene, estimated on held-out values, in the data's units; a dash where "
    return report.Table(columns, rows, caption + "the error is too small beside the noise to be measured.")


def _root(square: float) -> float | None:
    return float(np.sqrt(square)) if square > 0 else None


def _noise(outcome: Outcome) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    subspace, known = outcome.model.subspace, outcome.known
    wavelengths = [item.wavelength for item in metadata.read_spectral_info(known.scene)]
    own = [wavelengths[number] for number in known.bands]
    if all(value is not None for value in own):
        x, label = [1000.0 * float(value or 0.0) for value in own], "wavelength [nm]"
    else:
        x, label = [float(number + 1) for number in known.bands], "band"
    given = "as given" if outcome.job.sigma is not None else "as estimated from the scene"
    weak = 0 if subspace.weak is None else int(np.count_nonzero(subspace.weak))
    shown = subspace.eigenvalues[: min(len(subspace.eigenvalues), max(2 * subspace.rank, 12))]
    return report.Section(
        "Noise and subspace",
        [
            f"Noise level of each band ({given}), and what is left of it in the result: one standard deviation of the "
            f"error to expect. Of {len(known.bands)} bands' spectra, {subspace.rank} directions hold signal: "
            f"{subspace.rank - weak} rise above {subspace.noise_edge:.2f} noise variances, which noise alone does not reach"
            + (f", and {weak} show in what pixels that look alike have in common." if weak else "."),
            report.Figure(
                plots.band_curves(
                    {"noise": (x, subspace.sigma), "error to expect": (x, _expected(outcome))},
                    label,
                    "standard deviation, in the data's units",
                ),
                "Noise of each band before and after.",
            ),
            report.Figure(
                plots.band_curves(
                    {
                        "eigenvalue": (np.arange(1, len(shown) + 1), shown),
                        "noise edge": ([1, len(shown)], [subspace.noise_edge] * 2),
                    },
                    "direction of the spectra",
                    "variance, in noise variances",
                ),
                "Eigenvalues of the whitened spectra's covariance.",
            ),
        ],
    )


def _expected(outcome: Outcome) -> NDArray[np.float64]:
    """Root of the mean squared error that the error model expects of each band, in the data's units."""
    return outcome.model.subspace.sigma * outcome.model.errors.typical


def _validation(outcome: Outcome, score: Score) -> report.Section:
    model = outcome.model
    formula, note = "a + b roughness + c spread", ""
    if model.errors.by_leverage:
        formula, note = "a leverage + b + c spread", " The leverage is the weight that a value has in its own estimate."
    parts: list[str | report.Table | report.Figure | report.Gallery] = [
        f"On a part of at most {SIDE} x {SIDE} pixels, {score.kind}, and the rest was denoised. The error is the "
        "difference to what was held out, less its noise. A residual of 1 noise deviation means that what was "
        "taken off is noise alone; more means that signal was lost, or that the noise is stronger than assumed.",
        _band_table(outcome),
    ]
    if len(model.shares) > 1:
        rows = [(_LABELS.get(name, name), f"{100 * share:.0f} %") for name, share in model.shares.items()]
        parts.append(report.Table(("Method", "Share"), rows, "What the held-out values chose."))
    parts.append(
        f"The uncertainty layer is sqrt({formula}) noise deviations: a, b, c and a factor for each band are fitted to "
        f"the squared errors on the held-out values, as far as these tell them from the noise.{note}"
    )
    return report.Section("How good is it?", parts)


def _pictures(outcome: Outcome) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    known = outcome.known
    spectral = [metadata.read_spectral_info(known.scene)[number].wavelength for number in known.bands]
    nanometres = [1000.0 * value for value in spectral if value is not None]
    chosen = plots.composite_bands(len(known.bands), nanometres if len(nanometres) == len(known.bands) else None)
    bands = [known.bands[place] for place in chosen]
    written = atomic.temporary_path(outcome.job.outputs.output or "")
    rows, columns = known.scene.grid.shape
    tall, wide = min(_DETAIL, rows), min(_DETAIL, columns)
    parts: list[str | report.Table | report.Figure | report.Gallery] = []
    close = Window((columns - wide) // 2, (rows - tall) // 2, wide, tall)
    noisiest = _noisiest(outcome)
    name = f"{known.scene.names[noisiest]}, the noisiest for its signal"
    shown: list[tuple[str, list[int], Window | None]] = [("the whole scene", bands, None)]
    if (tall, wide) != (rows, columns):
        shown.append(("a close-up of the middle", bands, close))
    shown.append((name, [noisiest], close))
    for title, chosen_bands, window in shown:
        step = plots.step_for(rows, columns) if window is None else 1
        before, after, seen = _views(known, written, chosen_bands, window, step)
        stretch = plots.stretch_of(after, seen)
        outside = ~np.asarray(seen.any(axis=0))
        parts.append(
            report.Gallery(
                [
                    report.Figure(plots.picture(before, stretch, exterior=outside), f"Before: {title}."),
                    report.Figure(plots.picture(after, stretch, exterior=outside), f"After: {title}."),
                ]
            )
        )
    return report.Section("Before and after", parts)


def _noisiest(outcome: Outcome) -> int:
    """The number of the band whose noise is the largest share of the width of its values."""
    known = outcome.known
    return known.bands[int(np.argmax(outcome.model.subspace.sigma / (known.high - known.low)))]


def _views(
    known: SelectedScene, written: str, bands: list[int], window: Window | None, step: int
) -> tuple[NDArray, NDArray, NDArray[np.bool_]]:
    """Before, after and valid pixels of some bands, every ``step``-th pixel."""
    scene = known.scene
    before = scene.read_subsampled(lambda part: scene.read(part, bands), window, step)
    valid = scene.read_subsampled(lambda part: scene.valid(part, bands), window, step)
    with rasterio.open(written) as file:
        after = scene.read_subsampled(
            lambda part: file.read([number + 1 for number in bands], window=part), window, step
        )
    return before.astype(np.float32), after.astype(np.float32), valid


def _settings(outcome: Outcome, context: Context) -> dict[str, object]:
    job, scene, known = outcome.job, outcome.known.scene, outcome.known
    settings: dict[str, object] = {
        "Input": job.input,
        "Size": f"{scene.grid.width} x {scene.grid.height} pixels, {scene.count} bands, {scene.dtype}",
        "Bands": f"{len(known.bands)} denoised, {len(known.skipped)} passed through",
        "Method": job.method,
        "Noise": job.noise,
        "Clipped bands": int(
            np.count_nonzero(np.isfinite(outcome.model.limits.low) | np.isfinite(outcome.model.limits.high))
        ),
        "Noise level": f"{job.sigma:g}, as given" if job.sigma is not None else "estimated, band by band",
        "Device": job.compute.device,
        "Seed": job.compute.seed,
        "Time budget": f"{job.compute.time_budget:g} s" if job.compute.time_budget else "none",
        "Time": f"{context.seconds_spent:.0f} s",
        "Version": f"Deep Prior {__version__}, numpy {np.__version__}, rasterio {rasterio.__version__}",
    }
    return settings
