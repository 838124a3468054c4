"""The sidecar ``.aux.xml`` of a GeoTIFF, in which GDAL keeps the metadata that the file itself cannot hold."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Sequence
from pathlib import Path

from .metadata_check import NOT_WRITABLE, Loss
from .xml_text import Element, ParseError, SubElement, indent, parse_xml, tostring

ENDING = ".aux.xml"
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def write_sidecar(path: str, losses: Sequence[Loss]) -> None:
    """Add what the raster at ``path`` lacks to its sidecar. Raises OSError."""
    parts = [loss for loss in losses if loss.part.tag != NOT_WRITABLE and _is_writable(loss.part)]
    if not parts:
        return
    root = _read(path + ENDING)
    texts: dict[str, str] = {}  # XML that is inserted as it is
    for loss in parts:
        parent = _band(root, loss.band) if loss.band else root
        part = copy.deepcopy(loss.part)
        if part.get("format") == "xml":
            texts[token := f"xml-text-{len(texts)}-"] = _DECLARATION.sub("", part.text or "")
            part.text = token
        _put(parent, part)
    indent(root)
    content = tostring(root, encoding="unicode")
    for token, text in texts.items():
        content = content.replace(token, text)
    with open(path + ENDING, "w", encoding="utf-8") as file:
        file.write(content)


def _is_writable(part: Element) -> bool:
    """False for text of an XML domain that would spoil the sidecar: no XML, or a document type within it."""
    if part.get("format") != "xml":
        return True
    try:
        parse_xml(part.text or "")
    except (ParseError, ValueError):
        return False
    return True


def _read(path: str) -> Element:
    """The existing sidecar that GDAL wrote, or an empty one."""
    if os.path.exists(path):
        try:
            return parse_xml(Path(path).read_text(encoding="utf-8"))
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
