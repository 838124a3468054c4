"""The pixel grid of a raster: size, CRS and georeferencing."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace

import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS


@dataclass(frozen=True)
class Grid:
    """Size and georeferencing of a raster: a CRS with a transform, ground control points, or RPCs."""

    width: int
    height: int
    crs: CRS | None
    transform: rasterio.Affine
    gcps: tuple = ()
    gcp_crs: CRS | None = None
    rpcs: object = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    def upsampled(self, factor: int) -> Grid:
        """The grid with the same extent and pixels ``factor`` times smaller."""
        gcps = tuple(GroundControlPoint(p.row * factor, p.col * factor, p.x, p.y, p.z, p.id, p.info) for p in self.gcps)
        t, rpcs = self.transform, copy.copy(self.rpcs)
        if rpcs is not None:
            # RPCs count from the centre of the first pixel, transforms and GCPs from its corner.
            for axis in ("line", "samp"):
                setattr(rpcs, f"{axis}_off", (getattr(rpcs, f"{axis}_off") + 0.5) * factor - 0.5)
                setattr(rpcs, f"{axis}_scale", getattr(rpcs, f"{axis}_scale") * factor)
        if not (t.is_identity and (gcps or rpcs)):  # the identity means that these give the position
            t = rasterio.Affine(t.a / factor, t.b / factor, t.c, t.d / factor, t.e / factor, t.f)
        return replace(
            self,
            width=self.width * factor,
            height=self.height * factor,
            transform=t,
            gcps=gcps,
            rpcs=rpcs,
        )

    def difference(self, other: Grid) -> str | None:
        """How ``other`` differs, in words; None if both grids have the same pixels.

        Positions may differ by a thousandth of a pixel. A grid without a CRS or a transform matches by size.
        """
        if self.shape != other.shape:
            return f"{other.width} x {other.height} pixels instead of {self.width} x {self.height}"
        if self.crs and other.crs and self.crs != other.crs:
            return "another CRS"
        pixel = math.hypot(self.transform.a, self.transform.d) or 1.0
        georeferenced = not (self.transform.is_identity or other.transform.is_identity)
        if georeferenced and not self.transform.almost_equals(other.transform, precision=pixel * 1e-3):
            return "another position or pixel size"
        return None


def grid_of(source: rasterio.DatasetReader) -> Grid:
    """The grid of an open raster."""
    gcps, gcp_crs = source.gcps
    return Grid(
        source.width,
        source.height,
        source.crs,
        source.transform,
        tuple(gcps),
        gcp_crs,
        source.rpcs if source.rpcs else None,
    )
