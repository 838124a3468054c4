"""Metadata domains that hold one text instead of items: XML, such as XMP, and JSON, such as an ISIS label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, fromstring

import rasterio

_THE_FILE_ITSELF = ("xml:VRT",)


def text_domains(source: rasterio.DatasetReader) -> Iterator[tuple[str, Element]]:
    """The domains of a file that hold one text, as elements of GDAL's XML."""
    for name in source.tag_namespaces():
        kind = name.partition(":")[0]
        if kind not in ("xml", "json") or name in _THE_FILE_ITSELF:
            continue
        part = Element("Metadata", domain=name, format=kind)
        items = source.tags(ns=name)
        if kind == "xml":
            try:
                part.append(fromstring(next(iter(items.values()), "")))
            except ParseError:
                part.set("format", "text")
                part.text = next(iter(items.values()), "")
        else:
            part.text = _rejoined(items)
        yield name, part


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
