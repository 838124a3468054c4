"""The section of the report about bands that hold classes."""

from __future__ import annotations

from ..reporting.formatting import format_percent
from ..reporting.page import Part, Section, Table
from .class_bands import ClassBands


def class_section(classes: ClassBands) -> Section:
    """How many hidden pixels got their class back."""
    names = classes.scene.names
    rows = [
        (number + 1, names[number], score.hidden, format_percent(score.right))
        for number, score in sorted(classes.scores.items())
    ]
    text = (
        "Bands that hold classes are filled with the class that has most weight among the nearest observed pixels; no "
        "class is averaged. Their uncertainty is the probability (0 to 1) that a filled class is wrong, which was "
        "measured on hidden pixels."
    )
    parts: list[Part] = [text]
    if rows:
        parts.append(Table(("Band", "Name", "Hidden pixels", "Right class"), rows, "Hidden pixels with their class."))
    else:
        parts.append("There were too few observed pixels to validate the classes.")
    return Section("Classes", parts)
