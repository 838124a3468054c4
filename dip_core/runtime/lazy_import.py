"""Import of objects that registries name as ``module:name``, at the time when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_object(reference: str, package: str | None) -> Any:
    """The object ``module:name`` of a module in ``package``; imports the module."""
    module, _, name = reference.partition(":")
    return getattr(import_module(f".{module}", package), name)
