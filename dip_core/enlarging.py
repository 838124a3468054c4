"""Super-resolution of an array: experts that enlarge it, each brought into accord with what was observed.

The *optics* say how a fine image becomes the coarse one that was observed, ``y = M d(x)``. *Back-projection* changes
an image by as little as possible so that ``M d(x) = y`` holds: it adds ``d^T z`` with ``(M d d^T M) z = y - M d(x)``,
by conjugate gradients. Optics that blur more than a sensor's lose detail below the noise, and no image of sound values
agrees with every noisy pixel; a damping ``(M d d^T M + c) z`` then leaves the lost detail alone.

Sources: Irani and Peleg, Improving resolution by image registration (1991), for back-projection; the DHP paper,
equation 6, for the networks without training; the CASCADE paper for the trained one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from . import degradation, prior
from .devices import resolve, set_threads
from .energy import DownsamplingEnergy
from .fitting import fit
from .model_file import Card, Tensors
from .networks.cascade import Cascade
from .observation import Cube, Mask
from .patches import fill_nearest
from .presets import preset

Follow = Callable[[float], bool]
_ROUNDS = 40
_ENOUGH = 1e-5  # of a band's standard deviation
_BROAD = 0.6  # coarse pixels of sigma up to which all detail of the coarse image is above a tenth of its contrast
_DAMPING = 1e-3  # lets noise grow 16 times at most, 1 / (2 sqrt(damping))


@dataclass(frozen=True)
class Optics:
    """``factor``, the point spread function (``bicubic``, ``gaussian``, ``lanczos``), and the Gaussian's sigma.

    ``sigma``: in fine pixels.
    """

    factor: int
    psf: str = "bicubic"
    sigma: float | None = None

    def operator(self, shape: tuple[int, int]) -> degradation.SeparableOperator:
        """The operator on fine images of ``shape``."""
        if self.psf == "gaussian":
            return degradation.gaussian(shape, self.factor, self.width)
        return {"bicubic": degradation.bicubic, "lanczos": degradation.lanczos2}[self.psf](shape, self.factor)

    @property
    def width(self) -> float:
        """The Gaussian's sigma; unless given, half a coarse pixel: 0.3 at the coarse Nyquist frequency."""
        return self.sigma if self.sigma is not None else self.factor / 2

    @property
    def damping(self) -> float:
        """The damping of back-projection: none for a sensor's optics, some where the blur is broader."""
        return _DAMPING if self.psf == "gaussian" and self.width > _BROAD * self.factor else 0.0

    @property
    def reach(self) -> int:
        """How far, in coarse pixels, a coarse pixel sees."""
        return int(np.ceil(4 * self.width / self.factor)) + 1 if self.psf == "gaussian" else 3


@dataclass(frozen=True)
class Trained:
    """A model from a file."""

    tensors: Tensors
    card: Card


@dataclass(frozen=True)
class Setting:
    """What experts need beside pixels. ``low``, ``high``: the scene's range, ``(band,)``, in the data's units."""

    optics: Optics
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    device: str = "cpu"
    threads: int = 0
    iterations: int | None = None
    trained: Trained | None = None


def estimate(
    name: str, values: NDArray, observed: Mask, setting: Setting, seed: int, follow: Follow = lambda fraction: True
) -> Cube:
    """The estimate of the expert called ``name``, ``factor`` times as large, in accord with what was observed.

    ``values``, ``observed``: ``(band, row, column)``, in the data's units.
    """
    filled = fill_nearest(values, observed).astype(np.float64)
    start = bicubic(filled, setting.optics.factor)
    if name == "fast":
        found: NDArray = start
    elif name == "paper_cascade":
        found = _cascade(start, setting)
    else:
        found = _untrained(name, filled, start, observed, setting, seed, follow)
    shape = (start.shape[-2], start.shape[-1])
    optics = setting.optics
    return back_project(found, values, observed, optics.operator(shape), optics.damping).astype(np.float32)


def bicubic(values: NDArray, factor: int) -> NDArray[np.float64]:
    """Bicubic enlargement of ``(band, row, column)``: the baseline."""
    return degradation.bicubic_enlargement((values.shape[-2], values.shape[-1]), factor).apply(values)


def back_project(
    image: NDArray,
    values: NDArray,
    observed: Mask,
    operator: degradation.SeparableOperator,
    damping: float = 0.0,
    rounds: int = _ROUNDS,
) -> NDArray[np.float64]:
    """The image nearest to ``image`` whose degraded version is ``values`` where these are observed.

    ``damping``: a share of the operator's highest gain (squared); 0 for exact agreement.
    """
    flat = np.ones((1, *values.shape[1:]))
    added = damping * float(operator.apply(operator.adjoint(flat)).max()) if damping else 0.0
    residual = np.where(observed, values - operator.apply(image), 0.0)
    enough = observed.sum(axis=(1, 2)) * np.square(_ENOUGH * _deviation(values, observed))
    direction, solution = residual.copy(), np.zeros_like(residual)
    power = np.square(residual).sum(axis=(1, 2))
    for _ in range(rounds):
        going = power > enough
        if not going.any():
            break
        mapped = np.where(observed, operator.apply(operator.adjoint(direction)), 0.0) + added * direction
        curvature = (direction * mapped).sum(axis=(1, 2))
        step = np.where(going & (curvature > 0), power / np.where(curvature > 0, curvature, 1.0), 0.0)[:, None, None]
        solution += step * direction
        residual -= step * mapped
        after = np.square(residual).sum(axis=(1, 2))
        direction = residual + (after / np.where(power > 0, power, 1.0))[:, None, None] * direction
        power = after
    return image + operator.adjoint(solution)


def _deviation(values: NDArray, observed: Mask) -> NDArray[np.float64]:
    return np.array([float(band[seen].std()) if seen.any() else 0.0 for band, seen in zip(values, observed)])


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
    set_threads(setting.threads)
    device = resolve(setting.device)
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
    follow: Follow,
) -> NDArray:
    """An untrained network fitted to the coarse image by equation 6.

    The papers' presets fit the image itself, scaled by the minimum and maximum of the whole scene. The lean network
    fits what bicubic interpolation leaves over, with each band's residual scaled to a standard deviation of 1.
    """
    chosen = preset("superresolve", name)
    if setting.iterations:
        chosen = replace(chosen, schedule=replace(chosen.schedule, iterations=setting.iterations))
    shape = (start.shape[-2], start.shape[-1])
    operator = setting.optics.operator(shape)
    if chosen.scaling == "none":
        low, wanted = start, np.where(observed, filled - operator.apply(start), 0.0)
        span = _deviation(wanted, observed)[:, None, None]
        span = np.where(span > 0, span, 1.0)
        wanted = wanted / span
    else:
        bottom, top = float(setting.low.min()), float(setting.high.max())
        low, span = np.full_like(start[:, :1, :1], bottom), np.full_like(start[:, :1, :1], (top - bottom) or 1.0)
        wanted = (filled - low) / span
    set_threads(setting.threads)
    device = resolve(setting.device)
    generator = torch.Generator().manual_seed(seed)

    def tensor(array: NDArray) -> torch.Tensor:
        return prior.layout(chosen, torch.from_numpy(array.astype(np.float32))).to(device)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        noise = prior.network_input(chosen, start.shape, "noise", generator).to(device)
        network = prior.network(chosen, len(start), noise.shape[1]).to(device)
        values = tensor(wanted)
        weights = None if observed.all() else tensor(observed)
        fitted = fit(
            network,
            noise,
            values,
            DownsamplingEnergy(operator, values, weights),
            chosen.schedule,
            generator=generator,
            follow=lambda iteration: follow(iteration / chosen.schedule.iterations),
        )
    return fitted.estimate * span + low


def mixed(estimates: Sequence[Cube], shares: Sequence[float]) -> Cube:
    """The weighted mean; it agrees with the observation as its parts do, for the shares sum to 1."""
    out = np.zeros_like(estimates[0])
    for share, image in zip(shares, estimates):
        out += np.float32(share) * image
    return out
