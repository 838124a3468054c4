"""Checks of the paths of a job: no output replaces an input, another output, or a file that GDAL reads with one.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping

from .errors import InvalidJob
from .raster_names import data_file_of
from .temporary_files import SIDECARS, resolve

# Parts of a GDAL name that can be paths: after a virtual file system, a driver's name, a quote or a query.
_SEPARATORS = re.compile(r"/vsi[a-z0-9_]+/|^[A-Za-z_0-9]{2,}:|[\"'?&,{}|]|://|file=")


def require_distinct_paths(outputs: Mapping[str, str], inputs: Iterable[str]) -> None:
    """Require that no output replaces an input, another output, or a file that GDAL reads with one of them.

    ``outputs``: paths by output name. Raises InvalidJob.
    """
    for path in (*outputs.values(), *inputs):
        if "\0" in path:
            raise InvalidJob(reason=f"The path {path!r} contains a NUL character: choose another file.")
    read = [(path, file) for path in inputs for file in files_in_name(path)]
    written: dict[str, str] = {}
    for name, path in outputs.items():
        for given, file in read:
            require_kept(name, path, given, file)
        for other, earlier in written.items():
            if same_file(path, earlier):
                raise InvalidJob(reason=f"{name} and {other} are the same file '{path}': choose two.")
            for one, two in ((path, earlier), (earlier, path)):
                if any(same_file(one + ending, two) for ending in SIDECARS):
                    raise InvalidJob(
                        reason=f"{name} '{path}' and {other} '{earlier}' cannot be written together, because GDAL "
                        "reads one as a part of the other: choose another name."
                    )
        written[name] = path


def require_kept(name: str, path: str, given: str, file: str) -> None:
    """Require that an output does not replace ``file``, which belongs to the input ``given``. Raises InvalidJob."""
    if same_file(path, file):
        what = f"the input '{given}'" if same_file(given, file) else f"'{path}', a file of the input '{given}'"
        raise InvalidJob(reason=f"{name} would overwrite {what}: choose another file.")
    if any(same_file(path + ending, file) for ending in SIDECARS):
        raise InvalidJob(
            reason=f"{name} '{path}' would replace the input '{file}', which GDAL takes for a part of it: "
            "choose another name."
        )
    if any(same_file(file + ending, path) for ending in SIDECARS):
        raise InvalidJob(
            reason=f"{name} '{path}' has a name that GDAL takes for a part of the input '{file}': choose another name."
        )


def same_file(one: str, other: str) -> bool:
    """True if both paths are the same file: other spellings, links, hard links, and letters on systems without case."""
    one, other = resolve(one), resolve(other)
    if os.path.normcase(one) == os.path.normcase(other):
        return True
    try:
        if os.path.samefile(one, other):
            return True
    except (OSError, ValueError):
        pass
    folded = [unicodedata.normalize("NFC", path).casefold() for path in (one, other)]
    return folded[0] == folded[1] and _ignores_case(os.path.dirname(one))


def files_in_name(path: str) -> list[str]:
    """The existing files that a path or a GDAL name mentions, such as the archive in ``/vsizip/a.zip/b.tif``."""
    found = [path]
    if os.path.exists(path):
        return list(dict.fromkeys([path, data_file_of(path)]))
    for part in _SEPARATORS.split(path):
        part = part.removeprefix("//") if part.startswith("//") and not os.path.exists(part) else part
        for candidate in (part, part.rpartition(":")[0], part.partition(":")[2]):
            while candidate and candidate not in ("/", ".") and not os.path.isfile(candidate):
                candidate = os.path.dirname(candidate)
            if os.path.isfile(candidate):
                found.append(candidate)
                break
    return found


def _ignores_case(folder: str) -> bool:
    """True if the file system of an existing folder does not distinguish capital letters."""
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    try:
        other = folder.swapcase()
        return other != folder and os.path.samefile(folder, other)
    except OSError:
        return False
