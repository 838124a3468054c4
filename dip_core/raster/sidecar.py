"""The sidecar ``.aux.xml`` of a GeoTIFF, in which GDAL keeps the metadata that the file itself cannot hold."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from xml.etree.ElementTree import Element, ElementTree, ParseError, SubElement, indent, parse

from .metadata_check import Loss

ENDING = ".aux.xml"
_UNSUPPORTED = ("GCPList", "RPC")  # by the check; a GeoTIFF holds them itself


def write_sidecar(path: str, losses: Sequence[Loss]) -> None:
    """Add what the raster at ``path`` lacks to its sidecar. Raises OSError."""
    parts = [loss for loss in losses if loss.part.tag not in _UNSUPPORTED]
    if not parts:
        return
    root = _read(path + ENDING)
    for loss in parts:
        parent = _band(root, loss.band) if loss.band else root
        _put(parent, copy.deepcopy(loss.part))
    indent(root)
    with open(path + ENDING, "wb") as file:
        ElementTree(root).write(file, encoding="utf-8")


def _read(path: str) -> Element:
    """The existing sidecar that GDAL wrote, or an empty one."""
    if os.path.exists(path):
        try:
            return parse(path).getroot()
        except ParseError:
            pass
    return Element("PAMDataset")


def _band(root: Element, number: int) -> Element:
    for band in root.iter("PAMRasterBand"):
        if band.get("band") == str(number):
            return band
    return SubElement(root, "PAMRasterBand", band=str(number))


def _put(parent: Element, part: Element) -> None:
    """Add an element in place of one with the same name and domain; items of a domain are merged."""
    for other in parent.findall(part.tag):
        if other.get("domain") == part.get("domain"):
            if part.tag == "Metadata" and part.get("format") is None:
                for item in other:
                    if item.get("key") not in [new.get("key") for new in part]:
                        part.append(item)
            parent.remove(other)
    parent.append(part)
