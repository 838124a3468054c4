"""Super-resolution of an array: experts that enlarge it, each brought into accord with what was observed.

Those without a network are in `self_taught`; the others are the networks without training (the DHP paper, equation 6)
and the trained cascade (the CASCADE paper).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..dip.image_fit import fit_image
from ..dip.presets import preset
from ..imaging.back_projection import back_project, band_deviation
from ..imaging.psf import Psf, enlarge_bicubic
from ..imaging.resampling import fill_nearest
from ..runtime.devices import resolve_device
from ..runtime.progress import SILENT, ProgressReporter
from ..runtime.threads import set_torch_threads
from . import self_supervised
from .cascade import Cascade
from .model_file import Card, Tensors
from .self_supervised import Lessons


@dataclass(frozen=True)
class Trained:
    """A model from a file."""

    tensors: Tensors
    card: Card


@dataclass(frozen=True)
class Setting:
    """What experts need beside pixels. ``low``, ``high``: the scene's range, ``(band,)``, in the data's units.

    ``lessons``: what the experts without a network learned of the scene, where one of them is wanted. ``unfitted``: is
    told of each network that there was no time to begin with.
    """

    optics: Psf
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    device: str = "cpu"
    threads: int = 0
    iterations: int | None = None
    trained: Trained | None = None
    lessons: Lessons | None = None
    unfitted: Callable[[], None] | None = None


def estimates(
    names: Sequence[str],
    values: NDArray,
    observed: Mask,
    setting: Setting,
    seed: int,
    progress: ProgressReporter = SILENT,
    guide: Cube | None = None,
) -> list[Cube]:
    """The estimates of the experts called ``names``, ``factor`` times as large, in accord with what was observed.

    ``values``, ``observed``: ``(band, row, column)``, in the data's units. ``progress`` can stop networks. A
    network that it stops before the first iteration is replaced by interpolation consistent with the observation.
    ``guide``: on the fine grid, if there is one.
    """
    set_torch_threads(setting.threads)
    found: dict[str, Cube] = {}
    taught = [name for name in names if name in (*self_supervised.EXPERTS, self_supervised.GUIDED)]
    if taught:
        assert setting.lessons is not None  # nosec B101: they were taught before
        found = self_supervised.enlarge(taught, values, observed, setting.lessons, setting.optics, guide)
    parts = progress.split(len(names))
    for name in names:
        if name not in found:
            found[name] = _by_network(name, values, observed, setting, seed, parts[len(found)])
    progress.update(1.0)
    return [found[name] for name in names]


def _by_network(
    name: str, values: NDArray, observed: Mask, setting: Setting, seed: int, progress: ProgressReporter
) -> Cube:
    filled = fill_nearest(values, observed).astype(np.float64)
    start = enlarge_bicubic(filled, setting.optics.factor)
    if name == "paper_cascade":
        found: NDArray = _cascade(start, setting)
    elif not progress.update(0.0):  # no time is left: one iteration alone can take longer than the whole budget
        if setting.unfitted:
            setting.unfitted()
        found = start
    else:
        found = _untrained(name, filled, start, observed, setting, seed, progress)
    operator = setting.optics.operator((start.shape[-2], start.shape[-1]))
    return back_project(found, values, observed, operator, setting.optics.damping).astype(np.float32)


def roughness(image: NDArray, factor: int) -> NDArray[np.float64]:
    """Root mean square gradient around each pixel of ``(band, row, column)``: where it is large, errors are."""
    out = np.empty(image.shape)
    for band, plane in enumerate(image.astype(np.float64)):
        down = np.gradient(plane, axis=0) if plane.shape[0] > 1 else np.zeros_like(plane)
        right = np.gradient(plane, axis=1) if plane.shape[1] > 1 else np.zeros_like(plane)
        out[band] = np.sqrt(ndimage.uniform_filter(down**2 + right**2, 2 * factor + 1, mode="nearest"))
    return out


def _cascade(start: NDArray[np.float64], setting: Setting) -> NDArray:
    """The trained network's final output."""
    trained = setting.trained
    assert trained is not None  # nosec B101: the job has a model
    set_torch_threads(setting.threads)
    device = resolve_device(setting.device)
    network = Cascade(trained.card.bands)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in trained.tensors.items()})
    with torch.no_grad():
        image = torch.from_numpy((start / trained.card.scale).astype(np.float32))[None].to(device)
        return network.to(device).eval()(image)[1][0].cpu().numpy().astype(np.float64) * trained.card.scale


def _untrained(
    name: str,
    filled: NDArray[np.float64],
    start: NDArray[np.float64],
    observed: Mask,
    setting: Setting,
    seed: int,
    progress: ProgressReporter,
) -> NDArray:
    """An untrained network fitted to the coarse image by equation 6.

    The papers' presets fit the image itself, scaled by the minimum and maximum of the whole scene. The lean network
    fits what bicubic interpolation leaves over, with each band's residual scaled to a standard deviation of 1.
    """
    chosen = preset("superresolve", name).with_iterations(setting.iterations)
    shape = (start.shape[-2], start.shape[-1])
    operator = setting.optics.operator(shape)
    if chosen.scaling == "none":
        low, wanted = start, np.where(observed, filled - operator.apply(start), 0.0)
        span = band_deviation(wanted, observed)[:, None, None]
        span = np.where(span > 0, span, 1.0)
        wanted = wanted / span
    else:
        bottom, top = float(setting.low.min()), float(setting.high.max())
        low, span = np.full_like(start[:, :1, :1], bottom), np.full_like(start[:, :1, :1], (top - bottom) or 1.0)
        wanted = (filled - low) / span
    set_torch_threads(setting.threads)
    device = resolve_device(setting.device)
    image = fit_image(
        chosen,
        wanted,
        weights=None if observed.all() else observed,
        degradation=operator,
        shape=shape,
        seed=seed,
        device=device,
        progress=progress,
    )
    return image * span + low


def mixed(estimates: Sequence[Cube], shares: Sequence[float]) -> Cube:
    """The weighted mean; it agrees with the observation as its parts do, for the shares sum to 1."""
    out = np.zeros_like(estimates[0])
    for share, image in zip(shares, estimates):
        out += np.float32(share) * image
    return out
