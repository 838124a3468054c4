"""The section of the report about bands that hold classes."""

from __future__ import annotations

from ..reporting.formatting import format_percent
from ..reporting.page import Part, Section, Table
from .class_bands import ClassBands


def class_record(classes: ClassBands | None) -> dict[str, object]:
    """The record for programs: the share of hidden pixels that got their class back, by the band's name."""
    if classes is None:
        return {}
    names = classes.scene.names
    return {"right_classes": {names[number]: score.right for number, score in classes.scores.items()}}


def class_sections(classes: ClassBands | None) -> list[Section]:
    """How many hidden pixels got their class back; empty if no class was filled."""
    if classes is None or not classes.codes:
        return []
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
    return [Section("Classes", parts)]
