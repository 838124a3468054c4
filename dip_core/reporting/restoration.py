"""The report skeleton of the restorers: output numbers, METRICS table and REPORT page.

Gap filling, denoising and super-resolution derive from `RestorationReport` and supply their own numbers and sentences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import rasterio

from .. import __version__
from ..job_fields import Compute, Outputs
from ..raster.scene import Scene
from ..runtime.context import Context
from . import plots
from .formatting import format_count, format_number
from .page import Figure, KeyNumber, Report, Section, Table
from .tables import DataTable
from .writing import write_requested


class RestorationJob(Protocol):
    """What the report needs to know of a job."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The rasters of the scene."""

    @property
    def method(self) -> str:
        """The METHOD."""

    @property
    def compute(self) -> Compute:
        """Device, seed, time budget and tiles."""

    @property
    def outputs(self) -> Outputs:
        """What to write."""


@dataclass(frozen=True)
class ValidationSummary:
    """The errors of the result and of a simple baseline, in the data's units; None if they could not be measured.

    ``where``: the beginning of the sentence "..., the error (RMSE) is 1.2". ``samples``: what was compared. ``r2``,
    ``baseline_r2``: means over bands.
    """

    where: str
    rmse: float | None
    r2: float | None
    baseline: str
    baseline_rmse: float | None
    samples: str = "pixels"
    baseline_r2: float | None = None

    @property
    def has_larger_error(self) -> bool:
        """True if the error is larger than the baseline's."""
        return self.rmse is not None and self.baseline_rmse is not None and self.rmse > self.baseline_rmse

    @property
    def has_smaller_r2(self) -> bool:
        """True if R\u00b2 is smaller than the baseline's."""
        return self.r2 is not None and self.baseline_r2 is not None and self.r2 < self.baseline_r2

    @property
    def text(self) -> str:
        """The error and that of the baseline, as two sentences; empty if one is not known."""
        if self.rmse is None or self.baseline_rmse is None:
            return ""
        error, baseline_error = format_number(self.rmse), format_number(self.baseline_rmse)
        return (
            f"{self.where}, the error (RMSE) is {error}. "
            f"On the same {self.samples}, {self.baseline} has an error of {baseline_error}."
        )

    @property
    def comparison(self) -> str:
        """The held-out errors of the result and of the baseline, in a few words."""
        pairs = (("RMSE", self.rmse, self.baseline_rmse), ("mean R\u00b2", self.r2, self.baseline_r2))
        return ", ".join(
            f"held-out {name} {format_number(own)} instead of {format_number(other)}"
            for name, own, other in pairs
            if own is not None and other is not None
        )

    @property
    def key_numbers(self) -> list[KeyNumber]:
        """RMSE, compared with the baseline, and R\u00b2."""
        note = ""
        if self.rmse is not None and self.baseline_rmse:
            change = 100.0 * (self.rmse / self.baseline_rmse - 1.0)
            note = f"{abs(change):.1f} % {'lower' if change < 0 else 'higher'} than {self.baseline}"
        return [KeyNumber("Held-out RMSE", self.rmse, note), KeyNumber("Held-out R\u00b2", self.r2, "mean over bands")]


class RestorationReport(ABC):
    """Numbers, table and page of one run. Subclasses describe what the run did and what its validation found."""

    title: str

    def __init__(self, job: RestorationJob, scene: Scene, changed: int, left: int) -> None:
        self.job = job
        self.scene = scene
        self.changed = changed
        self.left = left

    @abstractmethod
    def validation(self) -> ValidationSummary | None:
        """The errors that were measured; None without validation."""

    @abstractmethod
    def summary(self) -> str:
        """One or two sentences on what was done, without the errors."""

    @abstractmethod
    def key_numbers(self) -> list[KeyNumber]:
        """Key numbers, without those of the validation."""

    @abstractmethod
    def band_table(self) -> DataTable:
        """The METRICS table, one row per band."""

    @abstractmethod
    def sections(self) -> list[Section]:
        """The sections of the page."""

    @abstractmethod
    def settings(self) -> Mapping[str, object]:
        """Settings and facts of this task, without those that all restorers share."""

    @abstractmethod
    def data(self) -> Mapping[str, object]:
        """The record for programs, without the output numbers."""

    def numbers(self) -> dict[str, float | None]:
        """The output numbers of the interface; those of the validation are None if there was none."""
        found = self.validation()
        return {
            "HELDOUT_RMSE": found.rmse if found else None,
            "HELDOUT_R2": found.r2 if found else None,
            "BASELINE_RMSE": found.baseline_rmse if found else None,
            "PIXELS_CHANGED": float(self.changed),
            "PIXELS_LEFT": float(self.left),
        }

    def warn_if_weak(self, context: Context) -> str | None:
        """Warn if the result of a network is worse than the baseline: in RMSE, or in either if time was short.

        To be called after the validation and before the outputs are written. Returns the sentence for the metadata of
        the outputs: this warning, or an earlier one about the time budget.
        """
        found, budget = self.validation(), self.job.compute.time_budget
        too_short = bool(budget) and context.cut_short
        if found is None or not (found.has_larger_error or (too_short and found.has_smaller_r2)):
            return next((text for text in context.warnings if text.startswith("TIME_BUDGET")), None)
        if too_short:
            beginning = f"TIME_BUDGET {budget:g} s is too short for METHOD {self.job.method}"
            remedy = "Give more time, or choose METHOD fast."
        else:
            beginning = f"METHOD {self.job.method} does not suit this raster"
            remedy = f"Choose METHOD {'fast' if self.job.method == 'best' else 'best or fast'}."
        text = f"{beginning}: the result is worse than {found.baseline} ({found.comparison}). {remedy}"
        context.warn(text)
        return text

    def write(self, context: Context) -> None:
        """Write METRICS and REPORT if the job asks for them."""
        write_requested(self.job.outputs, lambda: self.band_table().for_csv(), lambda: self.page(context))

    def page(self, context: Context) -> Report:
        """The content of the REPORT page."""
        found = self.validation()
        return Report(
            title=self.title,
            summary=" ".join(text for text in (self.summary(), found.text if found else "") if text),
            key_numbers=[*self.key_numbers(), *(found.key_numbers if found else ())],
            warnings=context.warnings,
            sections=self.sections(),
            settings=self._all_settings(context),
            data={"numbers": self.numbers(), **self.data()},
        )

    def _all_settings(self, context: Context) -> dict[str, object]:
        compute = self.job.compute
        size = f"{self.scene.grid.width} x {self.scene.grid.height} pixels"
        return {
            "Input": ", ".join(self.job.inputs),
            "Size": f"{size}, {format_count(self.scene.count, 'band')}, {self.scene.dtype}",
            "Method": self.job.method,
            **self.settings(),
            "Device": compute.device,
            "Seed": compute.seed,
            "Time budget": f"{compute.time_budget:g} s" if compute.time_budget else "none",
            "Time": f"{context.seconds_spent:.0f} s",
            "Version": f"Deep Prior {__version__}, numpy {np.__version__}, rasterio {rasterio.__version__}",
        }


def mean_baseline_r2(bands: Sequence[tuple[float, float, float]]) -> float | None:
    """The baseline's R\u00b2, mean over the bands whose own R\u00b2 is finite.

    ``bands``: RMSE and R\u00b2 of the result and RMSE of the baseline on the same pixels, per band.
    """
    # 1 - R2 is the squared error, divided by the variation of the pixels.
    found = [1 - (1 - r2) * (other / rmse) ** 2 for rmse, r2, other in bands if np.isfinite(r2) and rmse > 0]
    return float(np.mean(found)) if found else None


def score_figure(scores: Mapping[str, float], used: str, label: str) -> Figure:
    """The error of each method as bars, best first; ``used``: the method of the result."""
    ordered = dict(sorted(scores.items(), key=lambda item: item[1]))
    return Figure(plots.score_bars(ordered, used, label), "Error of each method; lower is better.")


def weight_table(weights: Mapping[str, float], label_of: Callable[[str], str], caption: str) -> Table:
    """The weight of each method."""
    rows = [(label_of(name), f"{100 * weight:.0f} %") for name, weight in weights.items()]
    return Table(("Method", "Weight"), rows, caption)


def skipped_notes(skipped: Mapping[str, str], label_of: Callable[[str], str]) -> list[str]:
    """One sentence per method that was not a candidate, with the reason."""
    return [f"{label_of(name)} was not a candidate: {reason}." for name, reason in skipped.items()]
