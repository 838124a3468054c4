"""Half-written files: named so that they can be found, renamed when whole, removed when not.

The *partial* of a target ``/a/out.tif`` is ``/a/.out.tif.TOKEN.part``, beside it, so that the final
rename stays on one file system. The token comes from the variable DEEP_PRIOR_TOKEN (the QGIS side sets
it, to clean up behind a killed worker) or is drawn at random.
"""

from __future__ import annotations

import errno
import glob
import os
import secrets
import threading

from ..errors import DiskFull, UnwritableOutput

_token = os.environ.get("DEEP_PRIOR_TOKEN") or secrets.token_hex(6)
_targets: dict[str, str] = {}
commit_lock = threading.Lock()


def create_temporary(target: str) -> str:
    """The partial of ``target``; from now on `commit` renames it and `discard` removes it.

    Raises UnwritableOutput where the folder is missing or cannot be written.
    """
    target = os.path.abspath(target)
    folder, _ = os.path.split(target)
    if not os.path.isdir(folder):
        raise UnwritableOutput(path=target, reason=f"the folder '{folder}' does not exist")
    if os.path.isdir(target):
        raise UnwritableOutput(path=target, reason="it is a folder")
    partial = temporary_path(target)
    _targets[partial] = target
    try:
        with open(partial, "wb"):
            pass
    except OSError as error:
        raise UnwritableOutput(path=target, reason=os.strerror(error.errno or errno.EIO).lower()) from error
    return partial


def check_writable(target: str) -> None:
    """Raise UnwritableOutput where ``target`` could not be written; leaves nothing behind."""
    partial = create_temporary(target)
    os.remove(partial)
    del _targets[partial]


def temporary_path(target: str) -> str:
    """Where `create_temporary` puts the partial of ``target``; touches nothing."""
    folder, name = os.path.split(os.path.abspath(target))
    return os.path.join(folder, f".{name}.{_token}.part")


def commit() -> None:
    """Give every partial its final name; files that stood there are replaced, with their GDAL sidecars.

    All or none: where one cannot be renamed, those that were are removed again. Whoever ends the process
    meanwhile must hold `commit_lock` first.
    """
    with commit_lock:
        done: list[str] = []
        for partial, target in list(_targets.items()):
            try:
                os.replace(partial, target)
            except OSError as error:
                for path in done:
                    os.remove(path)
                raise UnwritableOutput(path=target, reason=os.strerror(error.errno or errno.EIO).lower()) from error
            del _targets[partial]
            done.append(target)
            _remove_sidecars(target)


def _remove_sidecars(target: str) -> None:
    for sidecar in (f"{target}.aux.xml", f"{target}.ovr", f"{target}.msk"):
        # A sidecar of the file that stood here before describes other pixels.
        if os.path.exists(sidecar):
            os.remove(sidecar)


def discard() -> None:
    """Remove every partial of this process, and what libraries put beside it."""
    for partial in list(_targets):
        for path in glob.glob(f"{glob.escape(partial)}*"):
            try:
                os.remove(path)
            except OSError:
                continue
        _targets.pop(partial, None)


def check_disk_space(target: str, wanted: int) -> None:
    """Raise DiskFull when the folder of ``target`` has less than ``wanted`` bytes free."""
    folder = os.path.dirname(os.path.abspath(target))
    state = os.statvfs(folder) if hasattr(os, "statvfs") else None
    if state is not None and state.f_bavail * state.f_frsize < wanted:
        free = state.f_bavail * state.f_frsize
        raise DiskFull(path=target, reason=f"{free / 1e6:.0f} MB free, about {wanted / 1e6:.0f} MB needed")
