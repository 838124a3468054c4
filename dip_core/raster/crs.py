"""Comparison of coordinate reference systems: formats name and order the parts of the same CRS differently."""

from __future__ import annotations

import re

from rasterio.crs import CRS
from rasterio.errors import CRSError

_METHOD = re.compile(r'METHOD\["([^"]*)"')
_NO_POSITION = ("+towgs84", "+nadgrids", "+geoidgrids", "+no_defs", "+type", "+wktext", "+vunits")


def same_crs(one: CRS | None, other: CRS | None) -> bool:
    """True if both describe the same CRS, apart from names of its parts."""
    if not one or not other:
        return not one and not other
    try:
        wkt, other_wkt = (crs.to_wkt(version="WKT2_2019") for crs in (one, other))
        if wkt == other_wkt:
            return True
        terms, other_terms = _terms(one), _terms(other)
        if terms and other_terms and terms != other_terms:  # which `==` does not always compare
            return False
        if one == other:
            return True
        if _kind(wkt) != _kind(other_wkt):
            return False
        codes = (one.to_epsg(), other.to_epsg())
    except CRSError:
        return False
    return (codes[0] is not None and codes[0] == codes[1]) or (bool(terms) and None in codes)


def _terms(crs: CRS) -> list[str]:
    """The parameters of the PROJ string that decide about positions; empty if there is none."""
    return sorted(term for term in crs.to_proj4().split() if not term.startswith(_NO_POSITION))


def _kind(wkt: str) -> tuple[str, bool, list[str]]:
    """The first word of a WKT, whether it has a vertical part, and the names of its methods."""
    return wkt.partition("[")[0], "VERTCRS" in wkt, _METHOD.findall(wkt)
