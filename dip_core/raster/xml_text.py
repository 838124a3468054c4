"""XML texts of metadata and sidecars. A document type is refused: it may define entities that expand to any size."""

from __future__ import annotations

from xml.etree.ElementTree import (  # nosec B405: `parse_xml` refuses document types
    Element,
    ParseError,
    SubElement,
    fromstring,
    indent,
    tostring,
)

__all__ = ["Element", "ParseError", "SubElement", "indent", "parse_xml", "tostring"]


def parse_xml(text: str) -> Element:
    """The root of an XML text. Raises ParseError for other text, and for XML with a document type."""
    if "<!DOCTYPE" in text:
        raise ParseError("a document type is not supported")
    return fromstring(text)  # nosec B314: without a document type there are no entities to expand
