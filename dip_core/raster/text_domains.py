"""Metadata domains that hold one text instead of items: XML, such as XMP, and JSON, such as an ISIS label."""

from __future__ import annotations

import json
from collections.abc import Iterator

import rasterio

from .xml_text import Element, ParseError, parse_xml

_THE_FILE_ITSELF = ("xml:VRT", "xml:gml.root-instance")  # sources of a VRT, position of a JPEG 2000 file


def text_domains(source: rasterio.DatasetReader) -> Iterator[tuple[str, Element]]:
    """The domains of a file that hold one text, as elements of GDAL's XML; XML is their text, not their children.

    Parsing would move the declarations of name spaces to the root, where GDAL does not find them.
    """
    for name in source.tag_namespaces():
        kind = name.partition(":")[0]
        if kind not in ("xml", "json") or name in _THE_FILE_ITSELF:
            continue
        items = source.tags(ns=name)
        part = Element("Metadata", domain=name, format=kind)
        part.text = next(iter(items.values()), "") if kind == "xml" else _rejoined(items)
        yield name, part


def same_text(one: Element, other: Element) -> bool:
    """True if two text domains are equal, apart from white space between tags and names of prefixes."""
    if one.text == other.text:
        return True
    try:
        if one.get("format") == "json":
            return bool(json.loads(one.text or "") == json.loads(other.text or ""))
        return canonical(parse_xml(one.text or "")) == canonical(parse_xml(other.text or ""))
    except (ParseError, ValueError):
        return False


def canonical(element: Element) -> object:
    """The content of an element without white space between the tags."""
    children = [(canonical(child), (child.tail or "").strip()) for child in element]
    return element.tag, sorted(element.attrib.items()), (element.text or "").strip(), children


def _rejoined(items: dict[str, str]) -> str:
    """The JSON text that rasterio has split at its first colon or equals sign."""
    for key, value in items.items():
        for separator in (":", "="):
            text = f"{key}{separator}{value}"
            try:
                json.loads(text)
            except ValueError:
                continue
            return text
    return "".join(f"{key}:{value}" if value else key for key, value in items.items())
