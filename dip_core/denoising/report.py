"""Output numbers, METRICS table and REPORT page of denoising."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..raster import atomic, metadata
from ..raster.band_selection import SelectedScene
from ..reporting import plots
from ..reporting.before_after import before_after, central_window, composite_of, read_view
from ..reporting.formatting import format_count
from ..reporting.page import Figure, KeyNumber, Part, Section
from ..reporting.pictures import step_for, stretch_of
from ..reporting.restoration import RestorationReport, ValidationSummary, weight_table
from ..reporting.tables import Column, DataTable
from ..restoration_jobs import DenoiseJob
from ..runtime.context import Context
from .derived_bands import Derived, DerivedBands, sources
from .held_out import VALIDATION_SIDE
from .model import DenoisingModel
from .registry import DENOISERS
from .validation import DenoisingScore

_CLOSE_UP = 160  # rows and columns
_MIN_COMPONENTS = 12  # eigenvalues shown
_COLUMNS = (
    Column("band", "Band"),
    Column("name", "Name"),
    Column("sigma", "Noise"),
    Column("held_out", "Held-out values"),
    Column("rmse", "RMSE"),
    Column("r2", "R\u00b2"),
    Column("baseline_rmse", "Baseline RMSE"),
    Column("residual_ratio", "Residual / noise"),
    Column("passed_through", "Not denoised"),
)


@dataclass(frozen=True)
class DenoiseResult:
    """A finished run.

    ``derived``: the selected bands, by their places, that are not in the model because others determine them.
    """

    job: DenoiseJob
    selected: SelectedScene
    model: DenoisingModel
    derived: DerivedBands = field(default_factory=dict)
    changed: int = 0
    left: int = 0


def numbers(result: DenoiseResult) -> dict[str, float | None]:
    """The output numbers of the interface; those of the validation are None if nothing could be held out."""
    return DenoiseReport(result).numbers()


def warn_if_weak(result: DenoiseResult, context: Context) -> str | None:
    """See `RestorationReport.warn_if_weak`."""
    return DenoiseReport(result).warn_if_weak(context)


def write(result: DenoiseResult, context: Context) -> None:
    """Write METRICS and REPORT if the job asks for them."""
    DenoiseReport(result).write(context)


class DenoiseReport(RestorationReport):
    """The report of a `DenoiseResult`."""

    title = "Denoise HSI"

    def __init__(self, result: DenoiseResult) -> None:
        super().__init__(result.job, result.selected.scene, result.changed, result.left)
        self.result = result
        self.model = result.model
        self.modelled = result.selected.subset(sources(len(result.selected.bands), result.derived))
        self.bands = self.modelled.bands
        self.skipped = result.selected.skipped

    @property
    def denoised_bands(self) -> int:
        """Number of denoised bands, derived ones included."""
        return len(self.result.selected.bands)

    def validation(self) -> ValidationSummary | None:
        """The errors on held-out values."""
        score = self.model.score
        if score is None:
            return None
        where = f"Estimated on {int(score.count.sum()):,} held-out values against the noise-free scene"
        return ValidationSummary(
            where, score.rmse, score.r2, score.baseline_name, score.baseline_rmse, "values", score.baseline_r2
        )

    def summary(self) -> str:
        """How many pixels and bands were denoised."""
        text = f"{self.changed:,} pixels of {format_count(self.denoised_bands, 'band')} were denoised"
        return f"{text} ({format_count(len(self.skipped), 'band')} unchanged)." if self.skipped else f"{text}."

    def key_numbers(self) -> list[KeyNumber]:
        """Pixels and spectral components."""
        return [
            KeyNumber("Pixels denoised", self.changed, f"in {self.denoised_bands} bands"),
            KeyNumber("Spectral components", self.model.subspace.rank, "that contain signal"),
        ]

    def band_table(self) -> DataTable:
        """Noise and errors on held-out values, one row per band."""
        place = {band: at for at, band in enumerate(self.bands)}
        derived = {self.result.selected.bands[at]: own for at, own in self.result.derived.items()}
        rows: list[tuple[object, ...]] = []
        for band, name in enumerate(self.scene.names):
            if band in derived:
                rows.append((band + 1, name, *self._derived_row(derived[band], place), ""))
                continue
            if band not in place:
                rows.append((band + 1, name, None, 0, None, None, None, None, self.skipped[band]))
                continue
            sigma = float(self.model.subspace.sigma[place[band]])
            rows.append((band + 1, name, sigma, *_band_errors(self.model.score, place[band]), ""))
        return DataTable(_COLUMNS, rows)

    def _derived_row(self, own: Derived, place: Mapping[int, int]) -> tuple[object, ...]:
        """Noise of a derived band, and the errors of a copy."""
        selected = self.result.selected.bands
        noise = [weight * self.model.subspace.sigma[place[selected[source]]] for source, weight in own.weights.items()]
        if not own.is_copy:
            return (float(np.linalg.norm(noise)), 0, None, None, None, None)
        source, factor = next(iter(own.weights.items()))
        return (abs(float(noise[0])), *_band_errors(self.model.score, place[selected[source]], abs(factor)))

    def sections(self) -> list[Section]:
        """Noise, validation and pictures."""
        score = self.model.score
        validated = [self._validation(score)] if score is not None else []
        return [self._noise(), *validated, self._pictures()]

    def settings(self) -> Mapping[str, object]:
        """Bands and noise."""
        job = self.result.job
        return {
            "Bands": f"{self.denoised_bands} denoised, {len(self.skipped)} not changed",
            "Noise": job.noise,
            "Noise level": f"{job.sigma:g}, given" if job.sigma is not None else "estimated per band",
            "Clipped bands": self.model.clipped_bands,
        }

    def data(self) -> Mapping[str, object]:
        """The model of signal and noise."""
        subspace = self.model.subspace
        return {
            "rank": subspace.rank,
            "sigma": subspace.sigma,
            "eigenvalues": subspace.eigenvalues,
            "gains": self.model.gains,
            "shares": self.model.weights,
            "bands": [band + 1 for band in self.bands],
        }

    def _noise(self) -> Section:
        subspace = self.model.subspace
        source = "given" if self.result.job.sigma is not None else "estimated from the scene"
        weak = 0 if subspace.weak is None else int(np.count_nonzero(subspace.weak))
        found = f", and {weak} were found by comparing similar pixels" if weak else ""
        text = (
            f"Noise level per band ({source}), and expected error of the result (one standard deviation). Of the "
            f"{len(self.bands)} spectral components, {subspace.rank} contain signal: {subspace.rank - weak} have a "
            f"variance above {subspace.noise_edge:.2f} noise variances, the most that noise alone produces{found}."
        )
        x, x_label = self._band_axis()
        shown = subspace.eigenvalues[: min(len(subspace.eigenvalues), max(2 * subspace.rank, _MIN_COMPONENTS))]
        noise = {"noise": (x, subspace.sigma), "expected error": (x, self._expected_error())}
        eigenvalues: dict[str, plots.Curve] = {
            "eigenvalue": (np.arange(1, len(shown) + 1), shown),
            "noise limit": ([1, len(shown)], [subspace.noise_edge] * 2),
        }
        return Section(
            "Noise and subspace",
            [
                text,
                Figure(
                    plots.band_curves(noise, x_label, "standard deviation, in the data's units"),
                    "Noise of the input and expected error of the result, per band.",
                ),
                Figure(
                    plots.band_curves(eigenvalues, "spectral component", "variance, in noise variances"),
                    "Eigenvalues of the covariance of the whitened spectra.",
                ),
            ],
        )

    def _band_axis(self) -> tuple[list[float], str]:
        """Wavelengths if all bands have one, otherwise band numbers."""
        info = metadata.read_spectral_info(self.scene)
        wavelengths = [info[band].wavelength for band in self.bands]
        known = [1000.0 * float(value) for value in wavelengths if value is not None]
        if len(known) == len(wavelengths):
            return known, "wavelength [nm]"
        return [float(band + 1) for band in self.bands], "band"

    def _expected_error(self) -> NDArray[np.float64]:
        """Root mean square error of each band that the error model expects, in the data's units."""
        return self.model.subspace.sigma * self.model.error_model.typical

    def _validation(self, score: DenoisingScore) -> Section:
        formula, note = "a + b roughness + c spread", ""
        if self.model.error_model.uses_leverage:
            formula, note = "a leverage + b + c spread", " The leverage of a value is its weight in its own estimate."
        parts: list[Part] = [
            f"On an area of at most {VALIDATION_SIDE} x {VALIDATION_SIDE} pixels, {score.description}, and the rest "
            "was denoised. The error is the difference to the held-out values, minus their noise. A residual of 1 "
            "noise standard deviation means that only noise was removed; more means that signal was lost or that the "
            "noise is stronger than assumed.",
            self.band_table().for_page(
                "Errors against the noise-free scene, estimated on held-out values, in the data's units. A dash means "
                "that the error is too small compared with the noise to be measured."
            ),
        ]
        if len(self.model.weights) > 1:
            caption = "Weights of the methods, selected on the held-out values."
            parts.append(weight_table(self.model.weights, _label, caption))
        parts.append(
            f"The uncertainty layer is sqrt({formula}), in noise standard deviations; a, b, c and a factor per band "
            f"are fitted to the squared errors on the held-out values, as far as these exceed the noise.{note}"
        )
        return Section("How good is the result?", parts)

    def _pictures(self) -> Section:
        rows, columns = self.scene.grid.shape
        composite = composite_of(self.scene, self.bands)
        centre = central_window(rows, columns, _CLOSE_UP)
        noisiest = self._noisiest_band()
        shown: list[tuple[str, list[int], Window | None]] = [("the whole scene", composite, None)]
        if (centre.height, centre.width) != (rows, columns):
            shown.append(("a close-up of the centre", composite, centre))
        shown.append((f"{self.scene.names[noisiest]}, the noisiest band relative to its values", [noisiest], centre))
        written = atomic.temporary_path(self.job.outputs.output or "")
        parts: list[Part] = []
        for what, bands, window in shown:
            view = read_view(self.scene, written, bands, window, step_for(rows, columns) if window is None else 1)
            parts.append(before_after(view, stretch_of(view.after, view.observed), what))
        return Section("Before and after", parts)

    def _noisiest_band(self) -> int:
        """The number of the band whose noise is the largest share of the range of its values."""
        values = self.modelled.high - self.modelled.low
        return self.bands[int(np.argmax(self.model.subspace.sigma / values))]


def _label(name: str) -> str:
    """The name of a denoiser for people."""
    return DENOISERS[name].label


def _band_errors(score: DenoisingScore | None, at: int, factor: float = 1.0) -> tuple[object, ...]:
    """Held-out values, RMSE, R\u00b2, baseline RMSE and residual of a band; None if unknown or hidden by noise.

    ``factor``: of a copy of the band.
    """
    if score is None or not score.count[at]:
        return 0, None, None, None, None
    r2 = 1.0 - max(score.error[at], 0.0) / score.power[at] if score.power[at] > 0 else None
    rmse, baseline_rmse = (_root(factor**2 * error[at]) for error in (score.error, score.baseline_error))
    return int(score.count[at]), rmse, r2, baseline_rmse, float(score.residual_ratio[at])


def _root(square: float) -> float | None:
    return float(np.sqrt(square)) if square > 0 else None
