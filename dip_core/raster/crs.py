"""Comparison of coordinate reference systems: formats name and order the parts of the same CRS differently."""

from __future__ import annotations

from rasterio.crs import CRS
from rasterio.errors import CRSError


def same_crs(one: CRS | None, other: CRS | None) -> bool:
    """True if both describe the same CRS, apart from names of its parts."""
    if not one or not other:
        return not one and not other
    if one == other:
        return True
    try:
        texts = [crs.to_proj4() for crs in (one, other)]
        codes = [crs.to_epsg() for crs in (one, other)]
        kinds = [_kind(crs.to_wkt()) for crs in (one, other)]
    except CRSError:
        return False
    if kinds[0] != kinds[1]:
        return False
    if codes[0] is not None and codes[0] == codes[1]:
        return True
    return (bool(texts[0]) and texts[0] == texts[1] and codes[0] in (None, codes[1])) or _same_wkt(one, other)


def _kind(wkt: str) -> tuple[str, bool]:
    """The first word of a WKT, and whether it has a vertical part."""
    return wkt.partition("[")[0], any(word in wkt for word in ("VERTCRS", "VERT_CS", "VERTCS"))


def _same_wkt(one: CRS, other: CRS) -> bool:
    return one.to_wkt(version="WKT2_2019") == other.to_wkt(version="WKT2_2019")
