"""Pictures and plots for the report, as PNG bytes.

Pictures show an image ``(band, row, column)`` as colour composite or grey, stretched between two
percentiles of its observed pixels, so that before and after can share one *stretch*; missing pixels are
painted in one colour that scenes lack, and the exterior is transparent. Plots are drawn on matplotlib's
Agg canvas without pyplot, whose windows and open figures a worker has no use for.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.image
import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

PICTURE_SIZE = 900  # pixels of the longer side, at most
GAP_COLOUR = (230, 0, 126)

_ACCENT = "#0b6e8f"
_GREY = "#8996a3"
_INK = "#1c2733"
# Okabe and Ito's colours without black and yellow: told apart by colour-blind eyes too.
_COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#0072b2")
_STYLE = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": _INK,
    "axes.axisbelow": True,
    "text.color": _INK,
    "xtick.color": "#5a6977",
    "ytick.color": "#5a6977",
    "grid.color": "#e3e8ec",
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Stretch:
    """The values that show as black and as white, for each band of a picture."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def composite_bands(count: int, wavelengths: Sequence[float] | None = None) -> tuple[int, ...]:
    """The bands (from 0) to show as red, green and blue, or one band where there are less than three.

    With ``wavelengths`` in nanometres those nearest to 650, 550 and 460; without, the third, second and
    first of a multispectral scene, and three spread over a hyperspectral one.
    """
    if count < 3:
        return (0,)
    if wavelengths is not None and len(wavelengths) == count:
        nearest = [int(np.argmin(np.abs(np.asarray(wavelengths) - wanted))) for wanted in (650.0, 550.0, 460.0)]
        if len(set(nearest)) == 3:
            return tuple(nearest)
    return (2, 1, 0) if count <= 16 else (count * 3 // 4, count // 2, count // 5)


def thumbnail(image: NDArray, observed: NDArray[np.bool_], step: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """An image and its mask, ``(band, row, column)``, reduced ``step`` times in both directions.

    A pixel of the result is the mean of the observed ones of its block, and missing where most are.
    Blocks at the lower and right border may be incomplete.
    """
    if step == 1:
        return image.astype(np.float32), observed
    bands, rows, columns = image.shape
    starts = np.arange(0, rows, step), np.arange(0, columns, step)

    def block_sum(values: NDArray) -> NDArray:
        return np.add.reduceat(np.add.reduceat(values, starts[0], axis=1), starts[1], axis=2)

    small = np.empty((bands, starts[0].size, starts[1].size), np.float32)
    seen = np.empty(small.shape, bool)
    size = block_sum(np.ones((1, rows, columns), np.float32))[0]
    for band in range(bands):  # one band at a time: float64 copies of a whole scene are large
        good = observed[band : band + 1] & np.isfinite(image[band : band + 1])
        number = block_sum(good.astype(np.float32))[0]
        total = block_sum(np.where(good, image[band : band + 1], 0).astype(np.float64))[0]
        small[band] = total / np.maximum(number, 1)
        seen[band] = number >= size / 2
    return small, seen


def step_for(rows: int, columns: int, size: int = PICTURE_SIZE) -> int:
    """The reduction that brings the longer side to ``size`` pixels at most."""
    return max(1, -(-max(rows, columns) // size))


def stretch_of(image: NDArray, observed: NDArray[np.bool_], percentiles: tuple[float, float] = (2.0, 98.0)) -> Stretch:
    """The stretch between two percentiles of each band's observed pixels."""
    lows, highs = [], []
    for band, seen in zip(image, observed):
        values = band[seen & np.isfinite(band)]
        low, high = np.percentile(values, percentiles) if values.size else (0.0, 1.0)
        lows.append(float(low))
        highs.append(float(high if high > low else low + 1.0))
    return Stretch(tuple(lows), tuple(highs))


def picture(
    image: NDArray,
    stretch: Stretch,
    observed: NDArray[np.bool_] | None = None,
    exterior: NDArray[np.bool_] | None = None,
) -> bytes:
    """An image of one or three bands as PNG.

    ``observed``: pixels that are missing in any band shown are painted; without it only those that are
    not finite. ``exterior`` (row, column): pixels outside the scene, transparent.
    """
    if image.shape[0] not in (1, 3):
        raise ValueError(f"A picture has one band or three, not {image.shape[0]}.")
    missing = ~np.isfinite(image).all(axis=0)
    if observed is not None:
        missing |= ~observed.all(axis=0)
    low, high = (np.asarray(side, np.float64)[:, None, None] for side in (stretch.low, stretch.high))
    with np.errstate(invalid="ignore"):
        shown = np.nan_to_num(np.clip((image - low) / (high - low), 0.0, 1.0))
    pixels = np.full((*image.shape[1:], 4), 255, np.uint8)
    pixels[..., :3] = np.rint(255.0 * np.moveaxis(shown, 0, -1))
    pixels[missing, :3] = GAP_COLOUR
    if exterior is not None:
        pixels[exterior] = 0
    return _image_png(pixels)


def mask_picture(marked: NDArray[np.bool_], exterior: NDArray[np.bool_] | None = None) -> bytes:
    """A mask (row, column) as PNG: marked pixels in the gap colour on grey."""
    pixels = np.full((*marked.shape, 4), 255, np.uint8)
    pixels[..., :3] = (222, 227, 232)
    pixels[marked, :3] = GAP_COLOUR
    if exterior is not None:
        pixels[exterior] = 0
    return _image_png(pixels)


def map_plot(values: NDArray, label: str, shown: NDArray[np.bool_] | None = None, diverging: bool = False) -> bytes:
    """Values (row, column), such as uncertainty or error, in colours with a scale; PNG.

    ``shown``: pixels to draw; others, and those that are not finite, stay light grey. ``diverging``: the
    scale is centred on zero. The scale ends at the 98th percentile, so that outliers do not flatten it.
    """
    drawn = np.isfinite(values) if shown is None else np.isfinite(values) & shown
    top = float(np.percentile(np.abs(values[drawn]), 98.0)) if drawn.any() else 1.0
    top = top if top > 0 else 1.0
    colours = colormaps["RdBu_r" if diverging else "viridis"].with_extremes(bad="#e6eaee")
    scale = Normalize(-top if diverging else 0.0, top)
    height = 4.6 * min(max(values.shape[0] / values.shape[1], 0.3), 1.6)
    with rc_context(_STYLE):
        figure = Figure(figsize=(5.6, height), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(np.ma.array(values, mask=~drawn), cmap=colours, norm=scale, interpolation="nearest")
        axes.set_axis_off()
        bar = figure.colorbar(
            ScalarMappable(scale, colours), ax=axes, extend="both" if diverging else "max", fraction=0.05, pad=0.02
        )
        bar.outline.set_visible(False)
        bar.set_label(label)
        return _figure_png(figure, bbox_inches="tight", pad_inches=0.04)


def error_by_distance(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], used: str, unit: str = ""
) -> bytes:
    """RMSE against the distance from the gap edge, a curve a method; PNG.

    ``curves``: method -> (distances in pixels, RMSE). ``used``: the method to emphasise.
    """
    with rc_context(_STYLE):
        figure, axes = _plot(7.2, 3.9)
        others = iter(_COLOURS * (1 + len(curves) // len(_COLOURS)))
        for name, (distance, rmse) in curves.items():
            if name == used:
                style = {"color": _ACCENT, "linewidth": 2.8, "marker": "o", "markersize": 4.5, "zorder": 3}
            else:
                style = {"color": next(others), "linewidth": 1.4, "marker": "o", "markersize": 2.5}
            axes.plot(distance, rmse, label=name, **style)
        axes.set_xlabel("distance from the gap edge [pixels]")
        axes.set_ylabel(f"RMSE [{unit}]" if unit else "RMSE")
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        return _figure_png(figure)


def band_curves(
    curves: Mapping[str, tuple[Sequence[float] | NDArray, Sequence[float] | NDArray]], x_label: str, y_label: str
) -> bytes:
    """Positive values by band or wavelength on a logarithmic scale, a curve each; PNG."""
    with rc_context(_STYLE):
        figure, axes = _plot(7.2, 3.4)
        for (name, (x, y)), colour in zip(curves.items(), (_ACCENT, *_COLOURS)):
            order = np.argsort(x)  # detectors of one sensor may overlap
            axes.plot(
                np.asarray(x)[order], np.asarray(y)[order], label=name, color=colour, linewidth=1.4, marker="o",
                markersize=2.5,
            )  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        return _figure_png(figure)


def score_bars(scores: Mapping[str, float], used: str, label: str) -> bytes:
    """A bar a method, in the order given, the one in use emphasised; PNG."""
    names = [name for name in scores if np.isfinite(scores[name])]
    values = [scores[name] for name in names]
    with rc_context(_STYLE):
        figure, axes = _plot(7.2, 0.75 + 0.36 * max(1, len(names)))
        colours = [_ACCENT if name == used else "#b4bfc9" for name in names]
        bars = axes.barh(names, values, color=colours, height=0.66)
        axes.bar_label(bars, fmt="%.4g", padding=4, fontsize=9.5)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel(label)
        axes.tick_params(axis="y", length=0, labelcolor=_INK)
        axes.spines["left"].set_visible(False)
        if any(value < 0 for value in values):
            axes.axvline(0.0, color=_GREY, linewidth=0.8)
        return _figure_png(figure)


def calibration(nominal: Sequence[float] | NDArray, covered: Sequence[float] | NDArray) -> bytes:
    """The share of true values inside the predicted interval against the interval's nominal share; PNG."""
    with rc_context(_STYLE):
        figure, axes = _plot(4.6, 4.1)
        axes.plot([0, 100], [0, 100], color=_GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(20, 23, "calibrated", color="#5a6977", fontsize=9, rotation=45, rotation_mode="anchor")
        x, y = 100.0 * np.asarray(nominal), 100.0 * np.asarray(covered)
        axes.fill_between(x, x, y, color=_ACCENT, alpha=0.12, linewidth=0)
        axes.plot(x, y, color=_ACCENT, linewidth=2.4, marker="o", markersize=4)
        axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        axes.set_xlabel("predicted interval holds [%]")
        axes.set_ylabel("hidden pixels inside it [%]")
        axes.grid(True)
        return _figure_png(figure)


def _plot(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _figure_png(figure: Figure, **options: object) -> bytes:
    file = io.BytesIO()
    FigureCanvasAgg(figure)
    # No software or date in the file: the same run gives the same bytes.
    figure.savefig(file, format="png", dpi=130, facecolor="white", metadata={"Software": None}, **options)
    return file.getvalue()


def _image_png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    matplotlib.image.imsave(file, pixels, format="png", metadata={"Software": None})
    return file.getvalue()
