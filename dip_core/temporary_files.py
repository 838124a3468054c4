"""Names of temporary files, and what is done with those that a killed run left.

The temporary file of ``/a/out.tif`` is ``/a/.out.tif.TOKEN.part``; an earlier ``/a/out.tif`` is kept as
``/a/.out.tif.TOKEN.old`` while it is replaced. Both lie in the same folder, because a rename must not cross file
systems. Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import contextlib
import glob
import os
import zlib

SIDECARS = (".aux.xml", ".msk", ".ovr", ".msk.ovr", ".ovr.msk", ".ovr.aux.xml", ".msk.aux.xml")
"""What GDAL appends to the name of a raster for the files that it reads and writes with it."""
PART, OLD = "part", "old"

_MAX_NAME = 255  # bytes, of nearly all file systems
_ROOM = 64  # bytes of a temporary name for the token and the endings


def resolve(path: str) -> str:
    """The absolute path of a file, with symbolic links followed."""
    return os.path.realpath(os.path.abspath(path))


def temporary_path(target: str, token: str, ending: str = PART) -> str:
    """The path of the temporary file of ``target`` (``PART``), or of its earlier version (``OLD``).

    Long names are shortened, so that the result and its sidecars do not exceed the file system's limit.
    """
    folder, name = os.path.split(resolve(target))
    encoded = os.fsencode(name)
    room = name_limit(folder) - _ROOM
    if len(encoded) > room:
        name = f"{encoded[: room - 9].decode(errors='ignore')}~{zlib.crc32(encoded):08x}"
    return os.path.join(folder, f".{name}.{token}.{ending}")


def name_limit(folder: str) -> int:
    """The largest length of a file name in bytes."""
    try:
        return int(os.pathconf(folder, "PC_NAME_MAX"))
    except (AttributeError, OSError, ValueError):  # Windows, or a folder that does not exist
        return _MAX_NAME


def temporary_files(target: str, token: str) -> list[str]:
    """The existing temporary files of a target, with what libraries wrote beside them."""
    path = temporary_path(target, token).removesuffix(PART)
    return [found for found in glob.glob(f"{glob.escape(path)}*") if not found.startswith(f"{path}{OLD}")]


def clean_up(target: str, token: str, succeeded: bool = False) -> None:
    """Remove the temporary files of a target after a run; unless it ``succeeded``, restore the earlier version."""
    final, kept = resolve(target), temporary_path(target, token, OLD)
    for path in glob.glob(f"{glob.escape(kept)}*"):
        with contextlib.suppress(OSError):
            if succeeded:
                os.remove(path)
            else:
                restore(path, final + path[len(kept) :])
    for path in temporary_files(target, token):
        with contextlib.suppress(OSError):
            os.remove(path)


def restore(kept: str, final: str) -> None:
    """Rename a kept file back to its own name. Raises OSError."""
    os.replace(kept, final)
    with contextlib.suppress(FileNotFoundError):
        os.remove(kept)  # POSIX renames nothing if both names are links to one file


def restore_lost(target: str) -> str | None:
    """Restore the earlier version of a target that does not exist, if a killed run left one; returns its old path.

    Only file systems without hard links can come into this state.
    """
    final = resolve(target)
    if os.path.lexists(final):
        return None
    pattern = temporary_path(target, "\0", OLD).split("\0")
    for path in sorted(glob.glob(f"{glob.escape(pattern[0])}*{glob.escape(pattern[1])}"), key=os.path.getmtime)[-1:]:
        clean_up(target, path[len(pattern[0]) : -len(pattern[1])])
        return path
    return None
