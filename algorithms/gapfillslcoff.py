"""Gap-fill SLC-off: fills the gaps that Landsat 7 has since the failure of its scan line corrector, in all bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterFeatureSource,
)

from ..dip_core.job_fields import Outputs
from ..dip_core.restoration_jobs import (
    DEFAULT_QA_CLASSES,
    MASK_POLARITIES,
    NETWORK_INPUTS,
    QA_CLASSES,
    QA_KINDS,
    GapFillJob,
)
from .algorithm import has_value
from .methods import GAP_FILLING, MethodOptions
from .polygons import crs_of, read_polygons
from .restorer import Restorer


class GapFillSlcOff(Restorer):
    """Gap filling that returns observed pixels bit for bit."""

    NAME = "gapfillslcoff"
    LABEL = "Gap-fill SLC-off"
    GROUP = ("restoration", "Restoration")
    SUMMARY = "Fills the gaps of a Landsat 7 SLC-off scene, or of any raster with missing pixels, in all bands."
    TAGS = ("landsat", "slc-off", "gap", "fill", "nodata", "inpainting", "stripes", "deep image prior", "etm+")
    RESULT_SUFFIX = "filled"
    HELP = """
<p>Only gaps are written: observed pixels are returned bit for bit, and the area outside the scene stays empty.</p>
<p><b>Inputs.</b> The scene. If its bands are separate files, as Landsat delivers them, choose the first one as the
scene and the others as further bands; the output contains all bands in that order. A guide, which is an image of
another date or sensor, shows what lies in the gaps (for <i>best</i> and <i>fast</i>).</p>
<p><b>Which pixels are gaps.</b> With a gap mask, the pixels that it marks: one mask for all bands, or one mask per
band. USGS <code>gap_mask</code> files (<code>.TIF.gz</code>) are read as delivered. Without a mask, the missing pixels
(nodata, internal mask, alpha band, NaN); if nothing marks missing pixels, those of value 0. With a quality band (QA),
the clouds, shadows and other classes that it names as well.</p>
"""
    VALIDATION_HELP = """
<p><b>How good is the result?</b> Part of the observed pixels is hidden, in the shape of the scene's own gaps, and
filled by all methods in use. The report compares their errors with that of GDAL's "Fill nodata" on the same pixels.</p>
"""
    METHODS = MethodOptions(
        {
            **GAP_FILLING,
            "paper_composite": "the deep image prior for Landsat 7 as published, with 1500 iterations, all bands "
            "together; slow without a GPU",
            "paper_per_band": "the same, one band after the other",
        }
    )

    BANDS = "BANDS"
    GAP_MASK = "GAP_MASK"
    MASK_POLARITY = "MASK_POLARITY"
    QA = "QA"
    QA_KIND = "QA_KIND"
    QA_CLASSES = "QA_CLASSES"
    GUIDE = "GUIDE"
    FILL_EXTERIOR = "FILL_EXTERIOR"
    NETWORK_INPUT = "NETWORK_INPUT"
    MAX_DISTANCE = "MAX_DISTANCE"
    EXTENT_MASK = "EXTENT_MASK"

    def __init__(self) -> None:
        super().__init__()
        self.extent = ""  # GeoJSON

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Add parameters and outputs, in the order of the dialog."""
        self.add_raster(self.INPUT, "Scene with gaps", "The raster to fill; all its bands are filled.")
        self.add_rasters(
            self.BANDS,
            "Further bands of the same scene",
            "More rasters on the same grid, such as Landsat's band files. The output contains the bands of the scene "
            "first, then these in order.",
        )
        self.add_rasters(
            self.GAP_MASK,
            "Gap mask",
            "One mask for all bands, or one mask per band: assigned by the Landsat band in their names (_B3), else in "
            "the order of the bands; also .gz files. Leave empty to fill all missing pixels.",
        )
        self.add_raster(
            self.QA,
            "Quality band (QA)",
            "A band of quality codes, such as Landsat's QA_PIXEL, Sentinel-2's SCL or Fmask. The clouds and shadows "
            "that it names are filled too. It may have another pixel size.",
            optional=True,
        )
        self.add_raster(
            self.GUIDE,
            "Guide: another date or sensor",
            "For METHOD best and fast: a raster that shows what lies in the gaps, on any overlapping grid. It is "
            "warped onto the scene.",
            optional=True,
        )
        self.add_restorer_parameters()
        self.add_choice(
            self.MASK_POLARITY,
            "Gap mask polarity",
            MASK_POLARITIES,
            "Which value of the mask marks a gap. zero_is_gap: 0, as in USGS masks. nonzero_is_gap: any other value. "
            "auto: the value at which the scene itself is empty.",
            advanced=True,
        )
        self.add_choice(
            self.QA_KIND,
            "Kind of the quality band",
            QA_KINDS,
            "How to read the codes of QA. landsat_c2: QA_PIXEL of Landsat Collection 2. landsat_c1: BQA or pixel_qa of "
            "Collection 1. sentinel2_scl: the scene classification of Sentinel-2. fmask: Fmask, python-fmask or HLS. "
            "auto: by the name of the file or band, else by its values.",
            advanced=True,
        )
        self.add_choices(
            self.QA_CLASSES,
            "Classes of the quality band to fill",
            QA_CLASSES,
            DEFAULT_QA_CLASSES,
            "The classes of QA that are gaps. In scripts, separate them by commas without spaces: fill,cloud.",
            advanced=True,
        )
        self.add_choice(
            self.NETWORK_INPUT,
            "Network input (paper methods)",
            NETWORK_INPUTS,
            "The input of the published network. noise: random numbers. meshgrid: a grid of coordinates.",
            advanced=True,
        )
        self.add_boolean(
            self.FILL_EXTERIOR,
            "Fill the scene's exterior too",
            False,
            "Also fill the area outside the scene, where nothing was observed.",
            advanced=True,
        )
        self.add_number(
            self.MAX_DISTANCE,
            "Largest distance to fill (pixels)",
            "At least 1. Gap pixels farther away from the nearest observed pixel of their band are not filled. Leave "
            "empty for no limit.",
            advanced=True,
            minValue=1,
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.EXTENT_MASK,
                self.tr("Fill only inside these polygons"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            "A polygon layer in any CRS. Only missing pixels whose centre lies inside a polygon are filled, also those "
            "outside the scene.",
            advanced=True,
        )
        self.add_restorer_outputs("Filled")

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """On the main thread: convert the input layers to plain data."""
        if not super().prepareAlgorithm(parameters, context, feedback):
            return False
        self.extent = ""
        if has_value(parameters, self.EXTENT_MASK):
            source = self.parameterAsSource(parameters, self.EXTENT_MASK, context)
            if source is None:
                raise QgsProcessingException(self.invalidSourceError(parameters, self.EXTENT_MASK))
            layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
            crs = crs_of(layer, self.path(self.INPUT) or "")
            self.extent = read_polygons(self.EXTENT_MASK, source, crs, context)
        return True

    def make_job(self, parameters: dict[str, Any], context: QgsProcessingContext, outputs: Outputs) -> GapFillJob:
        """The gap-fill job."""
        extent = Path(self.folder) / "extent_mask.geojson" if self.extent else None
        if extent:
            extent.write_text(self.extent, encoding="utf-8")
        return GapFillJob(
            inputs=(*self.paths(self.INPUT), *self.paths(self.BANDS)),
            outputs=outputs,
            gap_masks=self.paths(self.GAP_MASK),
            qa=self.path(self.QA),
            qa_kind=self.parameterAsEnumString(parameters, self.QA_KIND, context),
            qa_classes=tuple(self.parameterAsEnumStrings(parameters, self.QA_CLASSES, context)),
            mask_polarity=self.parameterAsEnumString(parameters, self.MASK_POLARITY, context),
            guide=self.path(self.GUIDE),
            fill_exterior=self.parameterAsBool(parameters, self.FILL_EXTERIOR, context),
            method=self.parameterAsEnumString(parameters, self.METHOD, context),
            network_input=self.parameterAsEnumString(parameters, self.NETWORK_INPUT, context),
            max_distance=self.optional_number(parameters, self.MAX_DISTANCE, context),
            extent_mask=str(extent) if extent else None,
            compute=self.compute(parameters, context),
            nodata=self.nodata(parameters, context),
        )
