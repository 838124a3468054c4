"""Output numbers, METRICS table and REPORT page of gap filling and stripe inpainting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..raster import atomic
from ..raster.scene import Scene
from ..reporting import plots
from ..reporting.before_after import before_after, composite_of, read_view
from ..reporting.curves import coverage, rmse_by_distance
from ..reporting.formatting import format_count, format_percent
from ..reporting.page import Figure, KeyNumber, Part, Section, Table
from ..reporting.pictures import Stretch, step_for, stretch_of
from ..reporting.restoration import (
    RestorationReport,
    ValidationSummary,
    mean_baseline_r2,
    score_figure,
    skipped_notes,
)
from ..reporting.tables import Column, DataTable
from ..runtime.context import Context
from .class_bands import ClassBands
from .class_report import class_record, class_sections
from .gap_mask import GapMask
from .hidden_pixel_errors import HiddenPixelErrors, hidden_pixel_errors
from .methods import FILL_METHODS
from .plan import FillJob, FillPlan
from .problem import GapProblem
from .stacking import StackedModel
from .weight_rules import rule_label

_CLOSE_UP = 240  # rows and columns
_TITLES = {"gap_fill": "Gap-fill SLC-off", "inpaint_stripes": "Inpaint stripes"}
_BASELINE = "GDAL's Fill nodata"
_BASELINE_LABEL = "GDAL Fill nodata (baseline)"
_DISTANCE_CLASSES = ("other bands have data here", "1 pixel", "2\u20133", "4\u20136", "7 and more")
_TEXTURES = ("low", "medium", "high")
_COLUMNS = (
    Column("band", "Band"),
    Column("name", "Name"),
    Column("hidden", "Hidden pixels"),
    Column("rmse", "RMSE"),
    Column("bias", "Bias"),
    Column("r2", "R\u00b2"),
    Column("pearson_r2", "Pearson r\u00b2"),
    Column("baseline_rmse", "Fill nodata RMSE"),
    Column("within_1sd", "\u2264 1 sd", percent=True),
    Column("within_2sd", "\u2264 2 sd", percent=True),
)


@dataclass(frozen=True)
class FillResult:
    """A finished run. ``model`` is None if there was nothing to fill; ``sections``: further sections of the report.

    ``classes``: the bands that hold classes.
    """

    job: FillJob
    problem: GapProblem
    plan: FillPlan
    model: StackedModel | None
    facts: Mapping[str, object]
    changed: int = 0
    left: int = 0
    sections: Sequence[Section] = ()
    classes: ClassBands | None = None

    @property
    def scene(self) -> Scene:
        """The scene with all bands."""
        return self.problem.scene if self.classes is None else self.classes.scene

    @property
    def gaps(self) -> GapMask:
        """The gap mask of all bands."""
        return self.problem.gaps if self.classes is None else self.classes.gaps

    @property
    def measured(self) -> Sequence[int]:
        """The numbers of the bands of the problem, which hold no classes."""
        return range(self.scene.count) if self.classes is None else self.classes.measured


def numbers(result: FillResult) -> dict[str, float | None]:
    """The output numbers of the interface; those of the validation are None for a scene without gaps."""
    return FillReport(result).numbers()


def warn_if_weak(result: FillResult, context: Context) -> str | None:
    """See `RestorationReport.warn_if_weak`."""
    return FillReport(result).warn_if_weak(context)


def write(result: FillResult, context: Context) -> None:
    """Write METRICS and REPORT if the job asks for them."""
    FillReport(result).write(context)


class FillReport(RestorationReport):
    """The report of a `FillResult`."""

    def __init__(self, result: FillResult) -> None:
        super().__init__(result.job, result.scene, result.changed, result.left)
        self.title = _TITLES[result.job.task]
        self.result = result
        samples = result.model.samples if result.model else None
        self.overall = self._errors(np.arange(len(samples))) if samples is not None and len(samples) else None
        nothing = np.zeros(0, np.int64)
        self.by_band = [self._errors(nothing) for _ in range(self.scene.count)]
        for place, band in enumerate(result.measured):
            if samples is not None:
                self.by_band[band] = self._errors(np.flatnonzero(samples.band == place))

    def validation(self) -> ValidationSummary | None:
        """The errors on hidden pixels."""
        if self.overall is None:
            return None
        r2 = [item.r2 for item in self.by_band if np.isfinite(item.r2)]
        return ValidationSummary(
            f"On {self.overall.pixels:,} observed values that were hidden in the shape of the scene's own gaps",
            self.overall.rmse,
            float(np.mean(r2)) if r2 else None,
            _BASELINE,
            self.overall.baseline_rmse,
            baseline_r2=mean_baseline_r2([(item.rmse, item.r2, item.baseline_rmse) for item in self.by_band]),
        )

    def summary(self) -> str:
        """How many pixels were filled, and how."""
        if self.result.model is None:
            if self.result.classes and self.result.classes.codes:
                return f"{self.changed:,} pixels were filled with the class of their neighbours."
            if not self.changed:
                return "There was nothing to fill."
            return f"The offsets of {self.changed:,} pixels were corrected; there was nothing to fill."
        filled = self.result.gaps.target_pixels + self.result.gaps.distant_pixels - self.left
        text = f"{filled:,} pixels were filled with {_method_used(self.result.model)}"
        return f"{text}." if self.overall else f"{text}; there were too few observed pixels to validate the result."

    def key_numbers(self) -> list[KeyNumber]:
        """Pixels filled and pixels left."""
        return [
            KeyNumber("Pixels changed", self.changed, "in at least one band"),
            KeyNumber("Pixels not filled", self.left, "inside the scene"),
        ]

    def band_table(self) -> DataTable:
        """Errors on hidden pixels, one row per band."""
        rows = [
            (number, name, *(getattr(item, field) for field in HiddenPixelErrors.__dataclass_fields__))
            for number, (name, item) in enumerate(zip(self.scene.names, self.by_band), start=1)
        ]
        return DataTable(_COLUMNS, rows)

    def sections(self) -> list[Section]:
        """Validation, uncertainty, the task's own sections, and pictures."""
        validated: list[Section] = []
        if self.result.model is not None and self.overall is not None:
            validated = [self._validation(self.result.model), self._uncertainty(self.result.model, self.overall)]
        return [*validated, *class_sections(self.result.classes), *self.result.sections, self._pictures()]

    def settings(self) -> Mapping[str, object]:
        """Pixels, tiles, validation, and the facts of the task."""
        gaps, plan, job = self.result.gaps, self.result.plan, self.result.job
        network = {"Network input": job.network_input} if FILL_METHODS[job.method].published else {}
        return {
            "Pixels": f"{gaps.target_pixels:,} to fill, {gaps.exterior_pixels:,} outside the scene",
            "Tiles": f"{plan.tile_size} pixels, overlap {plan.overlap}",
            "Validation": f"{format_count(len(plan.windows), 'window')}, {format_count(plan.rounds, 'round')}",
            **{name.replace("_", " ").capitalize(): value for name, value in self.result.facts.items()},
            **network,
        }

    def data(self) -> Mapping[str, object]:
        """The error of each candidate, and the share of right classes of bands that hold classes."""
        scores = self.result.model.scores if self.result.model else {}
        return {"scores": scores, **class_record(self.result.classes)}

    def _errors(self, places: NDArray[np.int64]) -> HiddenPixelErrors:
        """The errors of the samples at ``places``; NaN without any."""
        model, nothing = self.result.model, np.zeros(0)
        if model is None:
            return hidden_pixel_errors(nothing, nothing, nothing, nothing)
        samples = model.samples
        scale = self.result.problem.standardization.deviation[samples.band[places]]
        compared = (samples.truth, model.held_out_estimate, samples.baseline, model.deviation)
        return hidden_pixel_errors(*(values[places] * scale for values in compared))

    def _validation(self, model: StackedModel) -> Section:
        samples = model.samples
        baseline = float(np.sqrt(np.mean(np.square(samples.baseline - samples.truth))))
        scores = {rule_label(name): value for name, value in model.scores.items()} | {_BASELINE_LABEL: baseline}
        used = rule_label(model.rule.name)
        estimates: dict[str, NDArray] = {
            rule_label(name): samples.estimates[:, n] for n, name in enumerate(samples.names)
        }
        estimates |= {used: model.held_out_estimate, _BASELINE_LABEL: samples.baseline}
        curves = {name: rmse_by_distance(each - samples.truth, samples.distance) for name, each in estimates.items()}
        table = self.band_table()
        shown = [row for row in table.rows if row[2]]  # stripe inpainting hides pixels in few of many bands
        missing = len(table.rows) - len(shown)
        rest = f" No pixel was hidden in the other {missing} bands." if missing else ""
        parts: list[Part] = [
            "Observed pixels were hidden in the shape of the scene's own gaps, and every method filled them. Weighted "
            "means are scored on parts of the scene that their weights were not fitted to.",
            score_figure(scores, used, "RMSE on hidden pixels, in standard deviations of the band"),
            table.for_page(f"Errors on hidden pixels, in the data's units.{rest}", shown),
            Figure(
                plots.error_by_distance(curves, used, "standard deviations"), "Error by distance from the gap edge."
            ),
            _weight_table(model),
            *skipped_notes(self.result.plan.skipped, rule_label),
        ]
        return Section("How good is the fill?", parts)

    def _uncertainty(self, model: StackedModel, overall: HiddenPixelErrors) -> Section:
        nominal = np.linspace(0.05, 0.95, 19)
        covered = coverage(model.held_out_estimate - model.samples.truth, model.deviation, nominal)
        text = (
            f"The error is within one standard deviation for {format_percent(overall.within_one)} of the hidden pixels "
            f"(expected: 68.3 %), and within two for {format_percent(overall.within_two)} (expected: 95.4 %). The "
            "uncertainty of each pixel comes from a model that was fitted to other parts of the scene."
        )
        figure = Figure(plots.calibration(nominal, covered), "Hidden pixels inside the prediction interval.")
        return Section("Can the uncertainty be trusted?", [text, figure])

    def _pictures(self) -> Section:
        scene, gaps = self.scene, self.result.gaps
        bands = composite_of(scene, self.result.measured or range(scene.count))
        written = atomic.temporary_path(self.job.outputs.output or "")
        whole_step = step_for(*scene.grid.shape)
        parts: list[Part] = []
        stretch: Stretch | None = None
        for what, window, step in (("the whole scene", None, whole_step), ("a close-up", _close_up(gaps), 1)):
            observed, target = (mask[bands][:, ::step, ::step] for mask in gaps.window(window))
            view = replace(read_view(scene, written, bands, window, step), observed=observed)
            stretch = stretch or stretch_of(view.before, observed)
            exterior = ~np.any(observed | target, axis=0)
            parts.append(before_after(view, stretch, what, exterior, gaps=True))
        return Section("Before and after", parts)


def _method_used(model: StackedModel) -> str:
    """The method of the result, for the summary."""
    names = [rule_label(name) for name in model.used_names]
    *others, last = [name[0].lower() + name[1:] for name in names]
    return f"a weighted mean of {', '.join(others)} and {last}" if others else last


def _weight_table(model: StackedModel) -> Table:
    """The weights of the selected rule, one row per distance class and texture with weights of its own."""
    by_texture = model.rule.weights
    textures = _TEXTURES if len(by_texture) > 1 else ("any",)
    rows = []
    for texture, by_distance in zip(textures, by_texture):
        same = (by_distance == by_distance[0]).all()
        for distance, weights in zip(("any",) if same else _DISTANCE_CLASSES, by_distance):
            rows.append((distance, texture, *(f"{100 * weights[number]:.0f} %" for number in model.used)))
    heads = ("Distance from the gap edge", "Texture", *(rule_label(name) for name in model.used_names))
    return Table(heads, rows, "Weights of the methods; other methods have no weight.")


def _close_up(gaps: GapMask) -> Window:
    """The window with most pixels to fill, preferably one with at least half of its pixels observed."""
    target, observed = gaps.target_any, gaps.observed_any
    rows, columns = target.shape
    height, width = min(_CLOSE_UP, rows), min(_CLOSE_UP, columns)
    best, place = -1.0, (0, 0)
    for top in np.unique(np.linspace(0, rows - height, 9).astype(int)):
        for left in np.unique(np.linspace(0, columns - width, 9).astype(int)):
            cut = (slice(top, top + height), slice(left, left + width))
            share = float(target[cut].mean()) * (float(observed[cut].mean()) >= 0.5)
            if share > best:
                best, place = share, (int(top), int(left))
    return Window(place[1], place[0], width, height)
