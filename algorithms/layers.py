"""Result layers: their names, their group and their styles.

A style is a *post-processor*: QGIS calls it on the main thread, and only if the layer is loaded. QGIS says it
takes ownership, yet Python would collect the object, so each one stays in a registry until it has run.
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
KEPT = 64  # post-processors that stay alive; a layer that is never loaded would keep its own for ever
_registry: dict[int, QgsProcessingLayerPostProcessorInterface] = {}
_numbers = itertools.count()

RAMP = ("#fff7ec", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000")
"""Light (certain) to dark red (uncertain), even in lightness."""
CHANGED = QColor(214, 0, 147, 140)
OFFSET = QColor(0, 114, 178, 160)


def name_layer(context: QgsProcessingContext, destination: str | None, name: str) -> None:
    """Give a result layer its name, and its group where this QGIS has groups."""
    if destination and context.willLoadLayerOnCompletion(destination):
        details = context.layerToLoadOnCompletionDetails(destination)
        details.name = name
        details.forceName = True
        if hasattr(details, "groupName"):
            details.groupName = GROUP


def style_layer(
    context: QgsProcessingContext, destination: str | None, style: QgsProcessingLayerPostProcessorInterface
) -> None:
    """Have a result layer styled once it is loaded."""
    if destination and context.willLoadLayerOnCompletion(destination):
        number = next(_numbers)
        _registry[number] = style
        _registry.pop(number - KEPT, None)
        context.layerToLoadOnCompletionDetails(destination).setPostProcessor(style)


def style_uncertainty(context: QgsProcessingContext, destination: str | None) -> None:
    """A sequential ramp; its range is measured here, in the background, not on the main thread."""
    if destination and context.willLoadLayerOnCompletion(destination):
        style_layer(context, destination, RampStyle(upper_value(destination)))


def upper_value(path: str) -> float:
    """Mean and two standard deviations of the first band's positive pixels, from a sample; 1 for an empty one."""
    try:
        raster = gdal.Open(path)
        band = raster.GetRasterBand(1)
        step = max(1, math.ceil(max(raster.RasterXSize, raster.RasterYSize) / 500))
        pixels = band.ReadAsArray(
            buf_xsize=max(1, raster.RasterXSize // step), buf_ysize=max(1, raster.RasterYSize // step)
        )
        pixels = pixels[pixels > 0]  # observed pixels are certain; nodata and nan drop out too
        upper = float(pixels.mean() + 2 * pixels.std()) if pixels.size else 1.0
    except (RuntimeError, AttributeError):
        return 1.0
    return upper if math.isfinite(upper) else 1.0


class SameStyle(QgsProcessingLayerPostProcessorInterface):
    """The restored raster as its input was shown, so that before and after compare at a glance."""

    def __init__(self, renderer: Any) -> None:
        super().__init__()
        self.renderer = renderer

    def postProcessLayer(
        self, layer: QgsRasterLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Take over the renderer, unless it speaks of bands that the layer lacks."""
        if self.renderer is not None and max(self.renderer.usesBands() or [0]) <= layer.bandCount():
            layer.setRenderer(self.renderer.clone())
            layer.triggerRepaint()


class RampStyle(QgsProcessingLayerPostProcessorInterface):
    """A sequential ramp from 0 to ``upper`` on the first band."""

    def __init__(self, upper: float) -> None:
        super().__init__()
        self.upper = upper

    def postProcessLayer(
        self, layer: QgsRasterLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Set the ramp."""
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
    """Pixels of value 0 clear, those of other values in translucent colours."""

    CLASSES = ((1, CHANGED, "changed"),)
    CLEAR = "as observed"

    def postProcessLayer(
        self, layer: QgsRasterLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Set the classes."""
        entry = QgsPalettedRasterRenderer.Class
        classes = [entry(0, QColor(0, 0, 0, 0), self.CLEAR), *(entry(*each) for each in self.CLASSES)]
        layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
        layer.triggerRepaint()


class StripeStyle(MaskStyle):
    """The first band of a stripe mask: dead lines and lines with an offset."""

    CLASSES = ((1, CHANGED, "dead"), (2, OFFSET, "offset"))
    CLEAR = "clean"
