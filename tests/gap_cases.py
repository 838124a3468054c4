"""Gap masks of small rasters, and standardised observations for gap experts; no tests here."""

from __future__ import annotations

import numpy as np
from core_scenes import landscape, slanted_gaps, warnings_of

from dip_core.imaging.observation import Observation
from dip_core.inpainting.gap_mask import GapMask
from dip_core.inpainting.gap_rules import GapRules, find_gap_mask
from dip_core.raster.open_scene import open_scene
from dip_core.runtime.context import Context

SHAPE = (90, 100)
GAP = slanted_gaps(*SHAPE)


def byte_scene(bands=3):
    """Bytes ``(band, row, column)`` in 1..250, so that 0 and 255 are free for missing pixels."""
    return landscape(bands, *SHAPE).clip(1, 250).astype(np.uint8)


def gap_mask_of(*paths, **options) -> tuple[GapMask, list[str]]:
    """The gap mask of a scene, and the warnings; ``options`` of `GapRules`."""
    events = []
    context = Context(events.append)
    with open_scene([str(path) for path in paths], context=context) as scene:
        gaps = find_gap_mask(scene, GapRules(**options), context)
    return gaps, warnings_of(events)


def assert_masks(gaps: GapMask, observed, target) -> None:
    """Compare the observed and target pixels of all bands."""
    all_observed, all_target = gaps.window()
    np.testing.assert_array_equal(all_observed, np.broadcast_to(observed, all_observed.shape))
    np.testing.assert_array_equal(all_target, np.broadcast_to(target, all_target.shape))


def observe(values, gap, exterior=None, guide=None) -> Observation:
    """An observation of ``values`` ``(band, row, column)`` with a gap and an exterior, common or per band."""
    values = np.asarray(values, np.float32)
    gap = np.broadcast_to(gap, values.shape)
    outside = np.broadcast_to(False if exterior is None else exterior, values.shape)
    observed = ~gap & ~outside
    return Observation(np.where(observed, values, np.float32(0)), observed, gap & ~outside, guide)


def standard_scene(bands=3, rows=48, columns=60) -> np.ndarray:
    """`landscape` with mean 0 and standard deviation 1 in each band, as float32."""
    values = landscape(bands, rows, columns)
    deviation = values.std(axis=(1, 2), keepdims=True)
    return ((values - values.mean(axis=(1, 2), keepdims=True)) / deviation).astype(np.float32)


def random_field(range_, nugget, size=256, seed=0) -> np.ndarray:
    """A random field with covariance ``(1 - nugget) exp(-h / range)`` plus white noise, by the Fourier transform."""
    rng = np.random.default_rng(seed)
    lag = np.minimum(np.arange(size), size - np.arange(size))
    power = np.fft.fft2(np.exp(-np.hypot(lag[:, None], lag) / range_)).real.clip(0)
    white = np.fft.fft2(rng.normal(size=(size, size)))
    field = np.fft.ifft2(np.sqrt(power) * white).real
    return np.sqrt(1 - nugget) * field + np.sqrt(nugget) * rng.normal(size=(size, size))


def rmse(estimate, truth, where) -> float:
    """The root mean square error over the pixels ``where``."""
    return float(np.sqrt(np.mean((estimate - truth)[where] ** 2)))
