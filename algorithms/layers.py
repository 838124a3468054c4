"""Names, group and styles of the result layers.

A style is a *post-processor*, which QGIS calls on the main thread after it has loaded the layer.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsColorRampShader,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
)
from qgis.PyQt.QtGui import QColor

GROUP = "Deep Prior"
MAX_SAMPLE_SIZE = 500  # rows or columns that are read to find the range of values
RAMP = ("#fff7ec", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000")
"""Light (certain) to dark red (uncertain), in even steps of lightness."""
CHANGED = QColor(214, 0, 147, 140)
OFFSET = QColor(0, 114, 178, 160)

# Python would delete a post-processor before QGIS calls it, so the latest ones are kept here.
MAX_KEPT_STYLES = 64
_kept_styles: dict[int, QgsProcessingLayerPostProcessorInterface] = {}
_numbers = itertools.count()


def name_layer(context: QgsProcessingContext, destination: str | None, name: str) -> None:
    """Set the name of a result layer, and its group if this version of QGIS has groups."""
    if destination and context.willLoadLayerOnCompletion(destination):
        details = context.layerToLoadOnCompletionDetails(destination)
        details.name = name
        details.forceName = True
        if hasattr(details, "groupName"):
            details.groupName = GROUP


def style_layer(
    context: QgsProcessingContext, destination: str | None, style: QgsProcessingLayerPostProcessorInterface
) -> None:
    """Style a result layer after it has been loaded."""
    if destination and context.willLoadLayerOnCompletion(destination):
        number = next(_numbers)
        _kept_styles[number] = style
        _kept_styles.pop(number - MAX_KEPT_STYLES, None)
        context.layerToLoadOnCompletionDetails(destination).setPostProcessor(style)


def style_uncertainty(context: QgsProcessingContext, destination: str | None) -> None:
    """Style an uncertainty with a sequential ramp; its range is computed here, not later on the main thread."""
    if destination and context.willLoadLayerOnCompletion(destination):
        style_layer(context, destination, RampStyle(upper_value(destination)))


def upper_value(path: str) -> float:
    """Mean plus two standard deviations of the first band's positive pixels, from a sample; 1 if there are none."""
    try:
        raster = gdal.Open(path)
        band = raster.GetRasterBand(1)
        step = max(1, math.ceil(max(raster.RasterXSize, raster.RasterYSize) / MAX_SAMPLE_SIZE))
        pixels = band.ReadAsArray(
            buf_xsize=max(1, raster.RasterXSize // step), buf_ysize=max(1, raster.RasterYSize // step)
        )
        pixels = pixels[pixels > 0]  # without observed pixels (0), nodata and NaN
        upper = float(pixels.mean() + 2 * pixels.std()) if pixels.size else 1.0
    except (RuntimeError, AttributeError):
        return 1.0
    return upper if math.isfinite(upper) else 1.0


class InputStyle(QgsProcessingLayerPostProcessorInterface):
    """The style of the input layer, so that the restored raster can be compared with it."""

    def __init__(self, renderer: Any) -> None:
        super().__init__()
        self.renderer = renderer

    def postProcessLayer(
        self, layer: QgsRasterLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Copy the renderer, unless it uses bands that the layer does not have."""
        if self.renderer is not None and max(self.renderer.usesBands() or [0]) <= layer.bandCount():
            layer.setRenderer(self.renderer.clone())
            layer.triggerRepaint()


class RampStyle(QgsProcessingLayerPostProcessorInterface):
    """A sequential colour ramp from 0 to ``upper`` on the first band."""

    def __init__(self, upper: float) -> None:
        super().__init__()
        self.upper = upper

    def postProcessLayer(
        self, layer: QgsRasterLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Set the colour ramp."""
        ramp = QgsColorRampShader(0.0, self.upper)
        ramp.setColorRampType(QgsColorRampShader.Type.Interpolated)
        last = len(RAMP) - 1
        ramp.setColorRampItemList(
            [
                QgsColorRampShader.ColorRampItem(self.upper * k / last, QColor(color), f"{self.upper * k / last:.3g}")
                for k, color in enumerate(RAMP)
            ]
        )
        shader = QgsRasterShader()
        shader.setRasterShaderFunction(ramp)
        renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
        renderer.setClassificationMin(0.0)
        renderer.setClassificationMax(self.upper)
        layer.setRenderer(renderer)
        layer.triggerRepaint()


class MaskStyle(QgsProcessingLayerPostProcessorInterface):
    """Value 0 transparent, other values in translucent colours; ``CLASSES`` are value, colour and label."""

    CLASSES: tuple[tuple[int, QColor, str], ...] = ((1, CHANGED, "changed"),)
    ZERO_LABEL = "as observed"

    def postProcessLayer(
        self, layer: QgsRasterLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Set the classes."""
        entry = QgsPalettedRasterRenderer.Class
        classes = [entry(0, QColor(0, 0, 0, 0), self.ZERO_LABEL), *(entry(*each) for each in self.CLASSES)]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
        layer.triggerRepaint()


class StripeStyle(MaskStyle):
    """The first band of a stripe mask: dead lines, and lines with an offset."""

    CLASSES = ((1, CHANGED, "dead"), (2, OFFSET, "offset"))
    ZERO_LABEL = "clean"
