"""Plots for reports, as PNG bytes.

Plots are drawn on matplotlib's Agg canvas without pyplot, which keeps global state and may open windows. Matplotlib is
slow to load, so that it is imported when the first plot is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from ..arrays import Mask

_ACCENT = "#0b6e8f"
_GREY = "#8996a3"
_INK = "#1c2733"
# Okabe and Ito's colours without black and yellow, which colour-blind readers can distinguish.
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
_SCALE_PERCENTILE = 98.0  # where a map's colour scale ends, so that outliers do not flatten it

Values = Union[Sequence[float], NDArray]
Curve = tuple[Values, Values]  # x and y


def map_plot(values: NDArray, label: str, shown: Mask | None = None, diverging: bool = False) -> bytes:
    """Values (row, column), such as uncertainty or error, in colours with a scale.

    ``shown``: pixels to draw; other pixels, and those that are not finite, are light grey. ``diverging``: the scale is
    centred on zero.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    drawn = np.isfinite(values) if shown is None else np.isfinite(values) & shown
    top = float(np.percentile(np.abs(values[drawn]), _SCALE_PERCENTILE)) if drawn.any() else 1.0
    top = top if top > 0 else 1.0
    colours = colormaps["RdBu_r" if diverging else "viridis"].with_extremes(bad="#e6eaee")
    scale = Normalize(-top if diverging else 0.0, top)
    height = 4.6 * min(max(values.shape[0] / values.shape[1], 0.3), 1.6)
    with _plot(5.6, height) as (figure, axes):
        axes.imshow(np.ma.array(values, mask=~drawn), cmap=colours, norm=scale, interpolation="nearest")
        axes.set_axis_off()
        extend = "both" if diverging else "max"
        bar = figure.colorbar(ScalarMappable(scale, colours), ax=axes, extend=extend, fraction=0.05, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label(label)
        return _png(figure, bbox_inches="tight", pad_inches=0.04)


def error_by_distance(curves: Mapping[str, Curve], used: str, unit: str = "") -> bytes:
    """RMSE by distance from the gap edge, one curve per method; ``used``: the method to emphasise."""
    with _plot(7.2, 3.9) as (figure, axes):
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
        return _png(figure)


def band_curves(curves: Mapping[str, Curve], x_label: str, y_label: str) -> bytes:
    """Positive values by band or wavelength on a logarithmic scale."""
    with _plot(7.2, 3.4) as (figure, axes):
        for (name, (x, y)), colour in zip(curves.items(), (_ACCENT, *_COLOURS)):
            order = np.argsort(x)  # the detectors of one sensor may overlap
            style = {"color": colour, "linewidth": 1.4, "marker": "o", "markersize": 2.5}
            axes.plot(np.asarray(x)[order], np.asarray(y)[order], label=name, **style)
        axes.set_yscale("log")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(axis="y")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        return _png(figure)


def score_bars(scores: Mapping[str, float], used: str, label: str) -> bytes:
    """One bar per method in the given order; ``used``: the method to emphasise."""
    names = [name for name in scores if np.isfinite(scores[name])]
    values = [scores[name] for name in names]
    with _plot(7.2, 0.75 + 0.36 * max(1, len(names))) as (figure, axes):
        colours = [_ACCENT if name == used else "#b4bfc9" for name in names]
        bars = axes.barh(names, values, color=colours, height=0.66)
        axes.bar_label(bars, fmt="%.4g", padding=4, fontsize=9.5)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xlabel(label, loc="right")  # long names of methods leave little room below the bars
        axes.tick_params(axis="y", length=0, labelcolor=_INK)
        axes.spines["left"].set_visible(False)
        if any(value < 0 for value in values):
            axes.axvline(0.0, color=_GREY, linewidth=0.8)
        return _png(figure)


def calibration(nominal: Values, covered: Values) -> bytes:
    """The share of true values inside the prediction interval against the nominal share of the interval."""
    with _plot(4.6, 4.1) as (figure, axes):
        axes.plot([0, 100], [0, 100], color=_GREY, linewidth=1.2, linestyle=(0, (4, 3)))
        axes.text(20, 23, "calibrated", color="#5a6977", fontsize=9, rotation=45, rotation_mode="anchor")
        x, y = 100.0 * np.asarray(nominal), 100.0 * np.asarray(covered)
        axes.fill_between(x, x, y, color=_ACCENT, alpha=0.12, linewidth=0)
        axes.plot(x, y, color=_ACCENT, linewidth=2.4, marker="o", markersize=4)
        axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
        axes.set_xlabel("nominal coverage of the interval [%]")
        axes.set_ylabel("hidden pixels inside [%]")
        axes.grid(True)
        return _png(figure)


@contextmanager
def _plot(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes with the report's style; sizes in inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def _png(figure: Any, **options: object) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    FigureCanvasAgg(figure)
    # No software or date in the file: the same run gives the same bytes.
    figure.savefig(file, format="png", dpi=130, facecolor="white", metadata={"Software": None}, **options)
    return file.getvalue()
