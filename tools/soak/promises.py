"""Checks the outputs of a finished job against its input: what DESIGN calls the promises to the user."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import rasterio
from numpy.typing import NDArray

from dip_core.job import Job
from dip_core.restoration_jobs import SuperResolveJob

_WRITTEN_BY_US = ("DEEP_PRIOR", "AREA_OR_POINT")


def broken_promises(job: Job, numbers: Mapping[str, float | None]) -> list[str]:
    """One sentence for each promise that the OUTPUT of a restorer's job breaks; empty if it keeps all.

    ``numbers``: those of the result. Only the first input raster is checked, so further ones are not compared.
    """
    factor = job.factor if isinstance(job, SuperResolveJob) else 1
    with rasterio.open(job.inputs[0]) as before, rasterio.open(job.outputs.output) as after:
        broken = [f"{name}: {text}" for name, text in lost_metadata(before, after, factor)]
        if factor == 1:
            filled = _read(job.outputs.filled)
            broken += _changed_pixels(job.task, before, after, filled)
            if filled is not None:
                changed = int(np.count_nonzero(filled.any(axis=0)))
                if numbers.get("PIXELS_CHANGED") not in (None, changed):
                    broken.append(f"PIXELS_CHANGED is {numbers['PIXELS_CHANGED']}, FILLED marks {changed} pixels")
                broken += _uncertainty(filled, _read(job.outputs.uncertainty))
    return broken


def lost_metadata(
    before: rasterio.DatasetReader, after: rasterio.DatasetReader, factor: int = 1
) -> list[tuple[str, str]]:
    """What differs between the metadata of an input and its output, as pairs of name and words."""
    # Without a transform of its own, a raster has the identity, whose scale means nothing.
    transforms = (before.transform @ rasterio.Affine.scale(1 / factor), after.transform)
    if before.transform.is_identity and factor > 1:
        transforms = (after.transform, after.transform)
    pairs = {
        "bands": (before.count, after.count),
        "size": ((before.width * factor, before.height * factor), (after.width, after.height)),
        "type": (before.dtypes, after.dtypes),
        "nodata": (_number(before.nodata), _number(after.nodata)),
        "CRS": (before.crs, after.crs),
        "transform": (transforms[0][:6], transforms[1][:6]),
        "GCPs": (len(before.gcps[0]), len(after.gcps[0])),
        "GCPs' CRS": (before.gcps[1], after.gcps[1]),
        "RPCs": (before.rpcs is None, after.rpcs is None),
        "scales": (before.scales, after.scales),
        "offsets": (before.offsets, after.offsets),
        "units": (tuple(unit or "" for unit in before.units), tuple(unit or "" for unit in after.units)),
        "band names": (before.descriptions, after.descriptions),
        "colours": (_colours(before), _colours(after)),
    }
    lost = [(name, _difference(old, new)) for name, (old, new) in pairs.items() if not _same(old, new)]
    items = [(0, "")] + [(band, f" of band {band}") for band in range(1, min(before.count, after.count) + 1)]
    for band, where in items:
        new = after.tags(band)
        for key, value in before.tags(band).items():
            if key not in _WRITTEN_BY_US and not key.startswith("STATISTICS_") and new.get(key) != value:
                lost.append((f"item {key}{where}", f"{value!r} -> {new.get(key)!r}"))
    return lost


def _changed_pixels(
    task: str, before: rasterio.DatasetReader, after: rasterio.DatasetReader, filled: NDArray | None
) -> list[str]:
    bands = [band for band in before.indexes if before.colorinterp[band - 1].name != "alpha"]
    if before.count != after.count or before.shape != after.shape:
        return []
    old, new = before.read(bands), after.read(bands)
    differs = old != new
    if old.dtype.kind == "f":
        differs &= ~(np.isnan(old) & np.isnan(new))
    broken = []
    if filled is not None and filled.shape == differs.shape and (differs & (filled == 0)).any():
        broken.append(f"{np.count_nonzero(differs & (filled == 0))} values that FILLED does not mark have changed")
    valid = before.read_masks(bands) > 0
    if old.dtype.kind == "f":
        valid &= np.isfinite(old)
    if task == "gap_fill" and not _marks_by_values_only(before) and (differs & valid).any():
        broken.append(f"{np.count_nonzero(differs & valid)} observed values have changed")
    if task == "denoise" and (differs & ~valid).any():
        broken.append(f"{np.count_nonzero(differs & ~valid)} missing values have changed")
    return broken


def _marks_by_values_only(raster: rasterio.DatasetReader) -> bool:
    """Whether missing pixels may be marked by values alone, so that the raster itself does not tell."""
    return all(flags == [rasterio.enums.MaskFlags.all_valid] for flags in raster.mask_flag_enums)


def _uncertainty(filled: NDArray, deviation: NDArray | None) -> list[str]:
    if deviation is None:
        return []
    broken = []
    if (np.nan_to_num(deviation[filled == 0]) != 0).any():
        broken.append("UNCERTAINTY is not 0 where nothing was changed")
    if (deviation[np.isfinite(deviation)] < 0).any():
        broken.append("UNCERTAINTY is negative")
    if np.isinf(deviation).any():
        broken.append("UNCERTAINTY is infinite")
    return broken


def _read(path: str | None) -> NDArray | None:
    if not path:
        return None
    with rasterio.open(path) as file:
        return file.read()


def _colours(raster: rasterio.DatasetReader) -> tuple[str, ...]:
    """Colour interpretations; in a GeoTIFF the first band is grey where it is nothing else."""
    return tuple("undefined" if interp.name == "gray" else interp.name for interp in raster.colorinterp)


def _difference(old: object, new: object) -> str:
    """The first elements that differ, in words."""
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        place = next(place for place, (first, second) in enumerate(zip(old, new)) if not _same(first, second))
        return f"{old[place]!r} -> {new[place]!r} at position {place}"
    return f"{old!r} -> {new!r}"


def _number(value: float | None) -> str:
    return repr(value)


def _same(old: object, new: object) -> bool:
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        return all(_same(first, second) for first, second in zip(old, new))
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) <= 1e-12 * max(abs(old), abs(new))
    return old == new
