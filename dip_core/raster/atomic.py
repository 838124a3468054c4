"""Output files that appear only when complete: written under a temporary name, renamed at the end of the run.

The temporary file of ``/a/out.tif`` is ``/a/.out.tif.TOKEN.part``: in the same folder, because a rename must not cross
file systems. TOKEN comes from the environment variable DEEP_PRIOR_TOKEN, so that the QGIS side can clean up after a
killed worker; otherwise it is random.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import threading

from ..errors import DiskFull, UnwritableOutput

_token = os.environ.get("DEEP_PRIOR_TOKEN") or secrets.token_hex(6)
_targets: dict[str, str] = {}  # final path by temporary path
commit_lock = threading.Lock()


def create_temporary(target: str) -> str:
    """Create an empty temporary file for ``target`` and return its path; `commit` renames it, `discard` removes it.

    Raises UnwritableOutput if the folder does not exist or cannot be written.
    """
    target = os.path.abspath(target)
    folder, _ = os.path.split(target)
    if not os.path.isdir(folder):
        raise UnwritableOutput(path=target, reason=f"the folder '{folder}' does not exist")
    if os.path.isdir(target):
        raise UnwritableOutput(path=target, reason="it is a folder")
    temporary = temporary_path(target)
    _targets[temporary] = target
    try:
        with open(temporary, "wb"):
            pass
    except OSError as error:
        raise UnwritableOutput(path=target, reason=_reason(error)) from error
    return temporary


def check_writable(target: str) -> None:
    """Raise UnwritableOutput if ``target`` cannot be written; creates no lasting file."""
    temporary = create_temporary(target)
    os.remove(temporary)
    del _targets[temporary]


def temporary_path(target: str) -> str:
    """The path of the temporary file of ``target``; creates nothing."""
    folder, name = os.path.split(os.path.abspath(target))
    return os.path.join(folder, f".{name}.{_token}.part")


def commit() -> None:
    """Rename all temporary files to their targets; replaces existing files and removes their GDAL sidecars.

    If one rename fails, the files renamed before it are removed and UnwritableOutput is raised. A thread that ends the
    process must acquire `commit_lock` first.
    """
    with commit_lock:
        done: list[str] = []
        for temporary, target in list(_targets.items()):
            try:
                os.replace(temporary, target)
            except OSError as error:
                for path in done:
                    os.remove(path)
                raise UnwritableOutput(path=target, reason=_reason(error)) from error
            del _targets[temporary]
            done.append(target)
            _remove_sidecars(target)


def discard() -> None:
    """Remove all temporary files of this process, with the sidecars that libraries wrote for them."""
    for temporary in list(_targets):
        for path in glob.glob(f"{glob.escape(temporary)}*"):
            try:
                os.remove(path)
            except OSError:
                continue
        _targets.pop(temporary, None)


def check_disk_space(target: str, needed: int) -> None:
    """Raise DiskFull if the folder of ``target`` has less than ``needed`` bytes free, as far as the system tells."""
    try:
        free = shutil.disk_usage(os.path.dirname(os.path.abspath(target))).free
    except OSError:  # some network drives
        return
    if free < needed:
        raise DiskFull(path=target, reason=f"{free / 1e6:.0f} MB free, about {needed / 1e6:.0f} MB needed")


def _remove_sidecars(target: str) -> None:
    """Remove the sidecar files of a replaced raster, which describe its old pixels."""
    for sidecar in (f"{target}.aux.xml", f"{target}.ovr", f"{target}.msk"):
        if os.path.exists(sidecar):
            os.remove(sidecar)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or errno.EIO).lower()
