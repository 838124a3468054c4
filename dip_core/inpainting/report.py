"""What a filling run tells of itself: the output numbers, the METRICS table and the REPORT page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from .. import __version__
from ..metrics import coverage, rmse_by_distance
from ..raster import atomic, metadata
from ..raster.scene import Scene
from ..reporting import html as report
from ..runtime.context import Context
from .gap_mask import Gaps
from .problem import Survey
from .stacking import INCLUDED, Mixture, Samples

if TYPE_CHECKING:
    from .plan import FillJob, Plan

_DETAIL = 240  # rows and columns of the close-up
_LABELS = {
    "linear": "Linear",
    "harmonic": "Harmonic",
    "biharmonic": "Biharmonic",
    "kriging": "Kriging",
    "plug_and_play": "Plug and play",
    "plug_and_play_fine": "Plug and play, small patches",
    "guided": "Guided (local regression on the guide, kriged residual)",
    "similar": "Similar pixels (in the guide)",
    "deep_prior": "Deep prior (lean)",
    "paper_composite": "Deep image prior, composite (GAP paper)",
    "paper_per_band": "Deep image prior, band by band (GAP paper)",
    "paper_2d": "Deep hyperspectral prior, 2-D (DHP paper)",
    "paper_3d": "Deep hyperspectral prior, 3-D (DHP paper)",
    "one weight": "Mixture, one weight an expert",
    "weights by distance": "Mixture, weights by distance",
    "weights by roughness": "Mixture, weights by roughness",
    "weights by distance and roughness": "Mixture, weights by distance and roughness",
}
_LABELS |= {name + INCLUDED: text + INCLUDED for name, text in _LABELS.items() if text.startswith("Mixture")}
_TITLES = {"gap_fill": "Gap-fill SLC-off", "inpaint_stripes": "Inpaint stripes"}
_DISTANCES = ("seen by other bands", "1 pixel", "2\u20133", "4\u20136", "7 and more")
BASELINE = "GDAL fill-nodata (baseline)"


@dataclass(frozen=True)
class Outcome:
    """All that a finished run knows. ``mixture`` is None where nothing was to fill."""

    job: FillJob
    survey: Survey
    plan: Plan
    mixture: Mixture | None
    facts: Mapping[str, object]
    changed: int
    left: int
    sections: Sequence[report.Section] = ()

    @property
    def samples(self) -> Samples | None:
        """The hidden pixels that the mixture was chosen on."""
        return self.mixture.samples if self.mixture else None


@dataclass(frozen=True)
class Scores:
    """Hold-out scores of one band (or of all) in the data's units."""

    pixels: int
    rmse: float
    bias: float
    r2: float
    pearson_r2: float
    baseline_rmse: float
    within_one: float
    within_two: float


def numbers(outcome: Outcome) -> dict[str, float | None]:
    """The output numbers of the interface; the hold-out ones are None for a scene without gaps."""
    scored = _band_scores(outcome)
    overall = _overall(outcome)
    r2 = [item.r2 for item in scored if np.isfinite(item.r2)]
    return {
        "HELDOUT_RMSE": overall.rmse if overall else None,
        "HELDOUT_R2": float(np.mean(r2)) if r2 else None,
        "BASELINE_RMSE": overall.baseline_rmse if overall else None,
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
    overall = _overall(outcome)
    sections = []
    if outcome.mixture is not None and overall is not None:
        sections.append(_validation(outcome))
        sections.append(_uncertainty(outcome, overall))
    sections.extend(outcome.sections)
    sections.append(_pictures(outcome))
    figures = numbers(outcome)
    keys = [report.KeyNumber("Pixels changed", outcome.changed, "in at least one band")]
    keys.append(report.KeyNumber("Pixels left", outcome.left, "inside the scene"))
    if overall:
        gain = 100.0 * (overall.rmse / overall.baseline_rmse - 1.0) if overall.baseline_rmse else float("nan")
        keys.append(report.KeyNumber("Held-out RMSE", overall.rmse, f"{gain:+.1f} % against GDAL fill-nodata"))
        keys.append(report.KeyNumber("Held-out R\u00b2", figures["HELDOUT_R2"], "mean over bands"))
    return report.Report(
        title=_TITLES[outcome.job.task],
        summary=_summary(outcome, overall),
        key_numbers=keys,
        warnings=context.warnings,
        sections=sections,
        settings=_settings(outcome, context),
        data={"numbers": figures, "scores": outcome.mixture.scores if outcome.mixture else {}},
    )


def _summary(outcome: Outcome, overall: Scores | None) -> str:
    if outcome.mixture is None:
        corrected = f"The offsets of {outcome.changed:,} pixels were corrected; n" if outcome.changed else "N"
        return f"{corrected}othing was to fill."
    if overall is None:
        return (
            f"{outcome.changed:,} pixels were filled by {_label(outcome.mixture.rule.name).lower()}; too few observed "
            "pixels were left to hide some of them, so the fill is not validated."
        )
    rule = _label(outcome.mixture.rule.name).lower()
    parts = [_label(outcome.mixture.names[number]).lower() for number in outcome.mixture.used]
    used = f" ({', '.join(parts)})" if parts != [rule] else ""
    return (
        f"{outcome.survey.gaps.target_pixels - outcome.left:,} pixels were filled by "
        f"{rule}{used}. On {overall.pixels:,} observed values that were "
        "hidden in the shape of the scene's own gaps,"
        f" the error (RMSE) is {report.format_number(overall.rmse)}; GDAL's fill-nodata makes "
        f"{report.format_number(overall.baseline_rmse)} on the very same ones."
    )


def _label(name: str) -> str:
    return _LABELS.get(name, name)


def _band_scores(outcome: Outcome) -> list[Scores]:
    if outcome.mixture is None or outcome.samples is None:
        return []
    return [
        _scores(outcome, np.flatnonzero(outcome.samples.band == band)) for band in range(outcome.survey.scene.count)
    ]


def _overall(outcome: Outcome) -> Scores | None:
    if outcome.mixture is None or outcome.samples is None or not len(outcome.samples):
        return None
    return _scores(outcome, np.arange(len(outcome.samples)))


def _scores(outcome: Outcome, places: NDArray[np.int64]) -> Scores:
    samples, mixture = outcome.samples, outcome.mixture
    nan = float("nan")
    if samples is None or mixture is None or not len(places):
        return Scores(0, nan, nan, nan, nan, nan, nan, nan)
    scale = outcome.survey.standard.deviation[samples.band[places]]
    truth = samples.truth[places] * scale
    estimate = mixture.heldout[places] * scale
    error = estimate - truth
    base = (samples.baseline[places] - samples.truth[places]) * scale
    spread = float(np.square(truth - truth.mean()).sum())
    ratio = np.abs(error) / np.maximum(mixture.deviation[places] * scale, 1e-12)
    varied = np.std(truth) > 0 and np.std(estimate) > 0
    return Scores(
        len(places),
        float(np.sqrt(np.mean(np.square(error)))),
        float(error.mean()),
        1.0 - float(np.square(error).sum()) / spread if spread > 0 else nan,
        float(np.corrcoef(truth, estimate)[0, 1] ** 2) if varied else nan,
        float(np.sqrt(np.mean(np.square(base)))),
        float(np.mean(ratio <= 1.0)),
        float(np.mean(ratio <= 2.0)),
    )


def _band_table(outcome: Outcome, machine: bool = False) -> report.Table:
    columns = (
        ("band", "name", "hidden", "rmse", "bias", "r2", "pearson_r2", "baseline_rmse", "within_1sd", "within_2sd")
        if machine
        else (
            "Band",
            "Name",
            "Hidden",
            "RMSE",
            "Bias",
            "R\u00b2",
            "Pearson r\u00b2",
            "Fill-nodata RMSE",
            "\u2264 1 sd",
            "\u2264 2 sd",
        )
    )
    rows: list[tuple[object, ...]] = []
    scored = _band_scores(outcome) or [_scores(outcome, np.zeros(0, np.int64))] * outcome.survey.scene.count
    for number, (name, item) in enumerate(zip(outcome.survey.scene.names, scored), start=1):
        share = (
            (item.within_one, item.within_two)
            if machine
            else tuple(_percent(v) for v in (item.within_one, item.within_two))
        )
        if not machine and not item.pixels:
            continue  # bands without gaps, most of those that stripe inpainting sees
        rows.append(
            (number, name, item.pixels, item.rmse, item.bias, item.r2, item.pearson_r2, item.baseline_rmse, *share)
        )
    told = "" if len(rows) == len(scored) else f" In the other {len(scored) - len(rows)} bands none was hidden."
    return report.Table(columns, rows, f"Errors on hidden pixels, in the data's units.{told}")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %" if np.isfinite(value) else ""


def _validation(outcome: Outcome) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    samples, mixture = outcome.samples, outcome.mixture
    assert samples is not None and mixture is not None  # nosec B101: the caller has checked
    baseline = float(np.sqrt(np.mean(np.square(samples.baseline - samples.truth))))
    scores = {_label(name): value for name, value in mixture.scores.items()} | {BASELINE: baseline}
    ordered = dict(sorted(scores.items(), key=lambda item: item[1]))
    used = _label(mixture.rule.name)
    estimates: dict[str, NDArray] = {
        _label(name): samples.estimates[:, number] for number, name in enumerate(samples.names)
    }
    estimates[used] = mixture.heldout
    estimates[BASELINE] = samples.baseline
    curves = {name: rmse_by_distance(values - samples.truth, samples.distance) for name, values in estimates.items()}
    weights = _weights(mixture)
    parts: list[str | report.Table | report.Figure | report.Gallery] = [
        "Observed pixels were hidden in the shape of the scene's own gaps, and every method was run on them. "
        "Mixtures are scored on parts of the scene that their weights were not fitted to.",
        report.Figure(
            plots.score_bars(ordered, used, "RMSE on hidden pixels, in standard deviations of the band"),
            "Error of each method; shorter is better.",
        ),
        _band_table(outcome),
        report.Figure(
            plots.error_by_distance(curves, used, "standard deviations"), "Error by distance from the gap's edge."
        ),
        weights,
    ]
    for name, reason in outcome.plan.skipped.items():
        parts.append(f"{_label(name)} did not stand for election: {reason}.")
    return report.Section("How good is the fill?", parts)


def _weights(mixture: Mixture) -> report.Table:
    """The weights of the elected rule, a row for each place that has its own."""
    found = mixture.rule.weights
    levels = ("smooth", "middling", "rough") if len(found) > 1 else ("any",)
    rows = []
    for level, by_class in zip(levels, found):
        alike = (by_class == by_class[0]).all()
        for distance, row in zip(("any",) if alike else _DISTANCES, by_class):
            rows.append((distance, level, *(f"{100 * value:.0f} %" for value in row)))
    heads = ("Distance to the gap's edge", "Surroundings", *(_label(name) for name in mixture.names))
    return report.Table(heads, rows, "Weights of the experts.")


def _uncertainty(outcome: Outcome, overall: Scores) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    samples, mixture = outcome.samples, outcome.mixture
    assert samples is not None and mixture is not None  # nosec B101: the caller has checked
    nominal = np.linspace(0.05, 0.95, 19)
    covered = coverage(mixture.heldout - samples.truth, mixture.deviation, nominal)
    return report.Section(
        "Can the uncertainty be trusted?",
        [
            f"One standard deviation covers {_percent(overall.within_one)} of the hidden pixels (68.3 % wanted), "
            f"two cover {_percent(overall.within_two)} (95.4 % wanted). Each pixel was judged by a model fitted to "
            "other parts of the scene.",
            report.Figure(plots.calibration(nominal, covered), "Share of hidden pixels inside the predicted interval."),
        ],
    )


def _pictures(outcome: Outcome) -> report.Section:
    from ..reporting import plots  # matplotlib is slow to load, and not every run wants a report

    scene, gaps = outcome.survey.scene, outcome.survey.gaps
    known = [item.wavelength for item in metadata.read_spectral_info(scene)]
    nanometres = [1000.0 * value for value in known if value is not None]
    bands = plots.composite_bands(scene.count, nanometres if len(nanometres) == scene.count else None)
    written = atomic.temporary_path(outcome.job.outputs.output or "")
    parts: list[str | report.Table | report.Figure | report.Gallery] = []
    step = plots.step_for(*scene.grid.shape)
    stretch = None
    for title, window in (("the whole scene", None), ("a close-up", _close_up(gaps))):
        before, after, observed, inside = _views(scene, gaps, written, bands, window, step if window is None else 1)
        stretch = stretch or plots.stretch_of(before, observed)
        exterior = ~inside
        parts.append(
            report.Gallery(
                [
                    report.Figure(
                        plots.picture(before, stretch, observed, exterior), f"Before: {title}; gaps in colour."
                    ),
                    report.Figure(plots.picture(after, stretch, inside[None] | observed, exterior), f"After: {title}."),
                ]
            )
        )
    return report.Section("Before and after", parts)


def _views(
    scene: Scene, gaps: Gaps, written: str, bands: tuple[int, ...], window: Window | None, step: int
) -> tuple[NDArray, NDArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Before, after, observed ``(band, row, column)`` and inside ``(row, column)``, every ``step``-th pixel."""
    chosen = list(bands)
    observed, target = (mask[chosen][:, ::step, ::step] for mask in gaps.window(window))
    before = scene.read_subsampled(lambda part: scene.read(part, chosen), window, step)
    with rasterio.open(written) as file:
        after = scene.read_subsampled(
            lambda part: file.read([number + 1 for number in chosen], window=part), window, step
        )
    inside: NDArray[np.bool_] = np.any(observed | target, axis=0)
    with np.errstate(over="ignore"):  # a double's nodata value, which is not drawn
        return before.astype(np.float32), after.astype(np.float32), observed, inside


def _close_up(gaps: Gaps) -> Window:
    """The window with most target pixels among some, preferring those half of which are observed."""
    target, observed = gaps.target_any, np.any(gaps.observed, axis=0)
    rows, columns = target.shape
    tall, wide = min(_DETAIL, rows), min(_DETAIL, columns)
    best, place = -1.0, (0, 0)
    for top in np.unique(np.linspace(0, rows - tall, 9).astype(int)):
        for left in np.unique(np.linspace(0, columns - wide, 9).astype(int)):
            cut = (slice(top, top + tall), slice(left, left + wide))
            share = float(target[cut].mean()) * (float(observed[cut].mean()) >= 0.5)
            if share > best:
                best, place = share, (int(top), int(left))
    return Window(place[1], place[0], wide, tall)


def _settings(outcome: Outcome, context: Context) -> dict[str, object]:
    job, scene, gaps = outcome.job, outcome.survey.scene, outcome.survey.gaps
    settings: dict[str, object] = {
        "Input": ", ".join(job.inputs),
        "Size": f"{scene.grid.width} x {scene.grid.height} pixels, {scene.count} bands, {scene.dtype}",
        "Gaps": f"{gaps.origin}; {gaps.target_pixels} pixels to fill, {gaps.exterior_pixels} outside the scene",
        "Method": job.method,
        "Device": job.compute.device,
        "Seed": job.compute.seed,
        "Time budget": f"{job.compute.time_budget:g} s" if job.compute.time_budget else "none",
        "Tiles": f"{outcome.plan.tile_size} pixels, overlap {outcome.plan.overlap}",
        "Hold-outs": f"{len(outcome.plan.windows)} windows, {outcome.plan.rounds} rounds",
        "Time": f"{context.seconds_spent:.0f} s",
        "Version": f"Deep Prior {__version__}, numpy {np.__version__}, rasterio {rasterio.__version__}",
    }
    settings.update({name.replace("_", " ").capitalize(): value for name, value in outcome.facts.items()})
    if job.method.startswith("paper_"):
        settings["Network input"] = job.network_input
    return settings
