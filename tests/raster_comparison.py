"""Comparison of two rasters with everything that is known of them."""

from __future__ import annotations

import numpy as np

from dip_core.raster import metadata
from dip_core.raster.scene import Scene


def differences(first: str, second: str) -> list[str]:
    """The names of everything that differs between a raster and its copy."""
    found = []
    with Scene([first]) as old, Scene([second]) as new:
        if old.dtype != new.dtype or not np.array_equal(old.read(), new.read(), equal_nan=old.dtype.kind == "f"):
            found.append("pixels")
        if not np.array_equal(old.valid(), new.valid()):
            found.append("valid pixels")
        for name in ("width", "height", "crs", "transform", "gcp_crs"):
            if getattr(old.grid, name) != getattr(new.grid, name):
                found.append(name)
        if [point.asdict() for point in old.grid.gcps] != [point.asdict() for point in new.grid.gcps]:
            found.append("ground control points")
        if (old.grid.rpcs and old.grid.rpcs.to_dict()) != (new.grid.rpcs and new.grid.rpcs.to_dict()):
            found.append("RPCs")
        for one, other in zip(old.bands, new.bands):
            for name in ("dtype", "nodata", "scale", "offset", "units", "description", "colorinterp"):
                if not _same(getattr(one, name), getattr(other, name)):
                    found.append(f"{name} of a band")
            for space, items in one.tags.items():
                kept = {key: value for key, value in items.items() if not key.startswith("STATISTICS_")}
                if not kept.items() <= other.tags.get(space, {}).items():
                    found.append(f"items of a band in '{space}'")
        for space, items in old.tags().items():
            changed = {"wavelength", "fwhm", "bbl", "wavelength_units"} if space == "ENVI" else set()
            if any(new.tags().get(space, {}).get(key) != value for key, value in items.items() if key not in changed):
                found.append(f"items in '{space}'")
        if old.colormap(0) != new.colormap(0):
            found.append("colour table")
        spectra = [
            np.array([[item.wavelength, item.fwhm, item.good] for item in metadata.read_spectral_info(scene)], float)
            for scene in (old, new)
        ]
        if not np.allclose(*spectra, rtol=1e-5, equal_nan=True):  # six digits are written
            found.append("wavelengths")
    return sorted(set(found))


def _same(one, other):
    """Equal, or both NaN."""
    return one == other or (one != one and other != other)
