"""Output numbers, METRICS table and REPORT page of super-resolution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from ..imaging.psf import Psf
from ..raster import atomic
from ..raster.band_selection import SelectedScene
from ..raster.guide import Guide
from ..reporting.before_after import View, before_after, central_window, composite_of
from ..reporting.formatting import format_count
from ..reporting.page import KeyNumber, Part, Section
from ..reporting.pictures import stretch_of
from ..reporting.restoration import (
    RestorationReport,
    ValidationSummary,
    mean_baseline_r2,
    score_figure,
    skipped_notes,
    weight_table,
)
from ..reporting.tables import Column, DataTable
from ..restoration_jobs import SuperResolveJob
from ..runtime.context import Context
from .plan import EnlargementPlan
from .registry import COMBINED, ENLARGEMENT_METHODS, label
from .scores import BandScore, ScaleValidation

_CLOSE_UP = 120  # rows and columns of the input
_COLUMNS = (
    Column("band", "Band"),
    Column("name", "Name"),
    Column("compared", "Compared pixels"),
    Column("rmse", "RMSE"),
    Column("r2", "R\u00b2"),
    Column("baseline_rmse", "Bicubic RMSE"),
    Column("within_1sd", "\u2264 1 sd", percent=True),
    Column("within_2sd", "\u2264 2 sd", percent=True),
)


@dataclass(frozen=True)
class EnlargeResult:
    """A finished run. ``consistency``: see `consistency_rmse`."""

    job: SuperResolveJob
    selected: SelectedScene
    plan: EnlargementPlan
    validation: ScaleValidation
    consistency: float = math.nan
    changed: int = 0
    left: int = 0
    guide: Guide | None = None


def numbers(result: EnlargeResult) -> dict[str, float | None]:
    """The output numbers of the interface; those of the validation are None if there was none."""
    return EnlargeReport(result).numbers()


def warn_if_weak(result: EnlargeResult, context: Context) -> str | None:
    """See `RestorationReport.warn_if_weak`."""
    return EnlargeReport(result).warn_if_weak(context)


def write(result: EnlargeResult, context: Context) -> None:
    """Write METRICS and REPORT if the job asks for them."""
    EnlargeReport(result).write(context)


class EnlargeReport(RestorationReport):
    """The report of an `EnlargeResult`."""

    title = "Super-resolve"

    def __init__(self, result: EnlargeResult) -> None:
        super().__init__(result.job, result.selected.scene, result.changed, result.left)
        self.result = result
        self.found = result.validation
        self.bands = result.selected.bands
        self.factor = result.job.factor

    def validation(self) -> ValidationSummary | None:
        """The errors on a downsampled copy of the image."""
        found = self.found
        if not found.bands:
            return None
        where = "On a downsampled copy of the image"
        baseline_r2 = mean_baseline_r2([(item.rmse, item.r2, item.baseline_rmse) for item in found.bands])
        return ValidationSummary(
            where, found.rmse, found.r2, "bicubic interpolation", found.baseline_rmse, baseline_r2=baseline_r2
        )

    def summary(self) -> str:
        """How many bands were enlarged."""
        were = "was" if len(self.bands) == 1 else "were"
        return f"{format_count(len(self.bands), 'band')} {were} enlarged {self.factor} times."

    def key_numbers(self) -> list[KeyNumber]:
        """Pixels, consistency, and the weight of the guide."""
        note = "RMSE of the result, downsampled, against the input"
        keys = [
            KeyNumber("Pixels restored", self.changed, "of the output"),
            KeyNumber("Consistency", self.result.consistency, note),
        ]
        if self.result.guide:
            weight = sum(self.found.weights.get(name, 0.0) for name in ENLARGEMENT_METHODS[self.job.method].with_guide)
            keys.append(KeyNumber("Weight of the guide", f"{100 * weight:.0f} %", "selected by validation"))
        return keys

    def band_table(self) -> DataTable:
        """Errors on the downsampled copy, one row per band."""
        scores = dict(zip(self.bands, self.found.bands))
        rows = []
        for band, name in enumerate(self.scene.names):
            item = scores.get(band, BandScore())
            errors = (item.rmse, item.r2, item.baseline_rmse, item.within_one, item.within_two)
            rows.append((band + 1, name, item.pixels, *errors))
        return DataTable(_COLUMNS, rows)

    def sections(self) -> list[Section]:
        """Validation and pictures."""
        return [*([self._validation()] if self.found.bands else []), self._pictures()]

    def settings(self) -> Mapping[str, object]:
        """Factor, point spread function, guide or model, bands and tiles."""
        job, plan, guide = self.result.job, self.result.plan, self.result.guide
        settings: dict[str, object] = {"Factor": job.factor, "Point spread function": job.psf}
        if job.psf == "gaussian":
            settings["Sigma"] = f"{Psf(job.factor, job.psf, job.psf_sigma).gaussian_sigma:g} output pixels"
        if guide:
            settings["Guide"] = f"{guide.path}, which covers {100 * guide.coverage:.0f} % of the raster"
        if ENLARGEMENT_METHODS[job.method].needs_model:
            settings["Model"] = job.model
        settings["Bands"] = f"{len(self.bands)} restored, {len(self.result.selected.skipped)} enlarged by repetition"
        settings["Tiles"] = f"{plan.tile_size} input pixels, overlap {plan.overlap}, margin {plan.margin}"
        return settings

    def data(self) -> Mapping[str, object]:
        """The error and the weight of each candidate."""
        return {"scores": self.found.scores or {}, "shares": self.found.weights}

    def _validation(self) -> Section:
        scores = {label(name): value for name, value in (self.found.scores or {}).items()}
        weights = self.found.weights
        used = label(COMBINED if len(weights) > 1 else next(iter(weights)))
        parts: list[Part] = [
            "The input was downsampled with the same point spread function, enlarged again, and compared with the "
            "original input. Good detail at that coarser scale indicates, but does not prove, good detail at the "
            "scale of the result.",
            score_figure(scores, used, "RMSE, in standard deviations of the band"),
            self.band_table().for_page("Errors on the downsampled copy, in the data's units."),
        ]
        if len(weights) > 1:
            parts.append(weight_table(weights, label, "Weights of the methods, selected by validation."))
        parts += skipped_notes(self.result.plan.skipped, label)
        parts.append(
            "The uncertainty layer is the error that validation found for pixels of the same band and similar texture."
        )
        return Section("How good is the result?", parts)

    def _pictures(self) -> Section:
        scene, f = self.scene, self.factor
        bands = composite_of(scene, self.bands)
        centre = central_window(*scene.grid.shape, _CLOSE_UP)
        fine = Window(centre.col_off * f, centre.row_off * f, centre.width * f, centre.height * f)
        before = _repeated(scene.read(centre, bands).astype(np.float32), f)
        observed = _repeated(scene.valid(centre, bands), f)
        with rasterio.open(atomic.temporary_path(self.job.outputs.output or "")) as file:
            after: NDArray = file.read([band + 1 for band in bands], window=fine).astype(np.float32)
        view = View(before, after, observed)
        return Section(
            "Before and after", [before_after(view, stretch_of(before, observed), "a close-up of the centre")]
        )


def _repeated(image: NDArray, factor: int) -> NDArray:
    """``(band, row, column)`` with each pixel repeated in both directions."""
    return np.repeat(np.repeat(image, factor, axis=1), factor, axis=2)
