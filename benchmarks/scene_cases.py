"""The gap-filling cases of `gap_scenes`: scenes with pixels that are hidden before the product sees them.

These *reference pixels* are simulated gaps in the clean scene, and additional pieces of the scene's own gap pattern in
the real SLC-off scenes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from benchmarks import rasters
from dip_core.arrays import Mask
from dip_core.imaging.observation import Observation, Standardization
from dip_core.inpainting import holdout
from dip_core.inpainting.gap_rules import GapRules, find_gap_mask
from dip_core.job_fields import Compute, Outputs
from dip_core.raster.guide import Guide
from dip_core.raster.scene import Scene
from dip_core.restoration_jobs import GapFillJob
from dip_core.tasks import slc_off_geometry

SEED = 0
REFERENCE_SEED = 2010  # differs from the product's seed, so that the product hides other pixels
REFERENCE_SHARE = 0.05  # of the observed pixels; small, so that the gaps stay about as large as they are
_BLOCK_SIDE = 384  # pixels

OLINDA = "landsat/l7_slc_on_olinda.tif"
MAY = "landsat/l7_slc_off_vpac_20100508.tif"
JANUARY = "landsat/l7_slc_off_vpac_20100116.tif"


@dataclass(frozen=True)
class GapCase:
    """A scene to fill: files of scene, gap mask (None: nodata) and guide; true pixels, and which of them are scored."""

    name: str
    scene: str
    mask: str | None
    truth: NDArray
    scored: Mask
    guide: str | None = None

    def job(self, method: str, outputs: Outputs, device: str, threads: int) -> GapFillJob:
        """The job that fills the scene."""
        return GapFillJob(
            inputs=(self.scene,),
            gap_masks=(self.mask,) if self.mask else (),
            mask_polarity="zero_is_gap",
            guide=self.guide,
            method=method,
            outputs=outputs,
            compute=Compute(device=device, seed=SEED, threads=threads),
        )

    def read(self) -> CaseArrays:
        """The whole scene, as the product sees it."""
        with Scene([self.scene]) as scene:
            gaps = find_gap_mask(scene, GapRules((self.mask,) if self.mask else (), "zero_is_gap"))
            observed, target = gaps.window()
            pixels = scene.read()
            guide_pixels = None
            if self.guide:
                with Guide(self.guide, scene) as guide:
                    guide_pixels = guide.read()
        standardization = rasters.standardization_of(pixels, observed)
        observation = Observation(standardization.apply(pixels, observed), observed, target, guide_pixels)
        return CaseArrays(pixels, standardization, observation, self.scored & target)


@dataclass(frozen=True)
class CaseArrays:
    """The arrays of a case ``(band, row, column)``: pixels with gaps, the observation, and the scored target pixels."""

    pixels: NDArray
    standardization: Standardization
    observation: Observation
    scored: Mask

    @property
    def deviations(self) -> NDArray[np.float64]:
        """The standard deviation of the band of each scored pixel, in the data's units."""
        return self.standardization.deviation[np.nonzero(self.scored)[0]]

    def errors(self, fill: NDArray, truth: NDArray) -> NDArray[np.float64]:
        """Errors of a fill on the scored pixels, in standard deviations of their bands."""
        return (fill[self.scored].astype(np.float64) - truth[self.scored]) / self.deviations

    def to_output_pixels(self, estimate: NDArray) -> NDArray:
        """A standardised estimate of the whole scene as the product writes it."""
        return rasters.to_output_pixels(estimate, self.standardization, self.pixels, self.observation.observed)


CaseMaker = Callable[[str, Path], GapCase]  # from the name of the case and a folder for its files


def rmse(errors: NDArray[np.float64]) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean(np.square(errors))))


def simulated_gaps(swath: tuple[float, float] | None, percentage: float | None) -> CaseMaker:
    """The clean scene with gaps of a part of the swath, or with a percentage of its pixels missing."""

    def make(name: str, folder: Path) -> GapCase:
        source = rasters.data_file(OLINDA)
        truth = rasters.read_raster(source)
        shape, bands = truth.shape[1:], len(truth)
        if swath is not None:
            observed = slc_off_geometry.observed_mask(shape, bands, *swath, seed=SEED)
        else:
            observed = slc_off_geometry.pattern_for_percentage(shape, bands, percentage or 0.0, SEED).observed()
        return write_masked_case(name, truth, observed, folder, source)

    return make


def write_masked_case(name: str, truth: NDArray, observed: Mask, folder: Path, like: Path | None) -> GapCase:
    """A case with a gap mask: 0 in the gaps of a clean scene; all gap pixels are scored."""
    damaged = np.where(observed, truth, 0).astype(truth.dtype)
    scene = rasters.write_raster(folder / "scene.tif", damaged, like)
    mask = rasters.write_raster(folder / "mask.tif", observed.astype(np.uint8), like)
    return GapCase(name, scene, mask, truth, ~observed)


def real_gaps(file: str, guide: str | None = None) -> CaseMaker:
    """A real SLC-off scene from which more pieces of its own gap pattern are removed. ``guide``: another date."""

    def make(name: str, folder: Path) -> GapCase:
        source = rasters.data_file(file)
        with Scene([str(source)]) as scene:
            truth, nodata = scene.read(), scene.nodata
            gaps = find_gap_mask(scene)
        scored = np.zeros(truth.shape, bool)
        rng = np.random.default_rng(REFERENCE_SEED)
        rows, columns = truth.shape[1:]
        for top in range(0, rows - _BLOCK_SIDE // 2, _BLOCK_SIDE):
            for left in range(0, columns - _BLOCK_SIDE // 2, _BLOCK_SIDE):
                window = Window(left, top, min(_BLOCK_SIDE, columns - left), min(_BLOCK_SIDE, rows - top))
                observed, target = gaps.window(window)
                if target.any() and observed.any():
                    scored[(slice(None), *window.toslices())] = draw_reference_pixels(observed, target, rng)
        guide_path = str(rasters.data_file(guide)) if guide else None
        return write_nodata_case(name, truth, scored, nodata, folder, source, guide_path)

    return make


def draw_reference_pixels(observed: Mask, target: Mask, rng: np.random.Generator) -> Mask:
    """Observed pixels of a window to hide, in the shape of its gaps."""
    return holdout.draw_hidden_pixels(observed, target, rng, REFERENCE_SHARE)


def write_nodata_case(
    name: str,
    truth: NDArray,
    scored: Mask,
    nodata: float | None,
    folder: Path,
    like: Path | None,
    guide: str | None = None,
) -> GapCase:
    """A case whose gaps are nodata: the ``scored`` pixels are set to nodata too."""
    damaged = np.where(scored, np.asarray(nodata, truth.dtype), truth)
    path = rasters.write_raster(folder / "scene.tif", damaged, like, nodata)
    return GapCase(name, path, None, truth, scored, guide)


GUIDED_SUFFIX = ", guided"
CASES: dict[str, CaseMaker] = {
    "real, 8 May 2010": real_gaps(MAY),
    "real, 16 January 2010": real_gaps(JANUARY),
    "Olinda, edge": simulated_gaps((0.0, 0.1), None),
    "Olinda, quarter": simulated_gaps((0.2, 0.3), None),
    "Olinda, 55 %": simulated_gaps(None, 55.0),
    f"real, 8 May 2010{GUIDED_SUFFIX}": real_gaps(MAY, JANUARY),
    f"real, 16 January 2010{GUIDED_SUFFIX}": real_gaps(JANUARY, MAY),
}
