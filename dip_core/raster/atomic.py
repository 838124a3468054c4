"""Output files that appear only when complete: written under a temporary name, renamed at the end of the run.

`temporary_files` defines the temporary names. Their TOKEN comes from the environment variable DEEP_PRIOR_TOKEN, so that
the QGIS side can clean up after a killed worker; otherwise it is random.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import stat
import threading

from .. import temporary_files
from ..errors import DiskFull, UnwritableOutput, output_error
from .replacement import Replacement

_token = os.environ.get("DEEP_PRIOR_TOKEN") or secrets.token_hex(6)
_targets: dict[str, str] = {}  # final path by temporary path
commit_lock = threading.Lock()

_SYSTEM_FOLDERS = ("/dev/", "/proc/", "/sys/")
_FOLDER_IN_MEMORY = "/dev/shm/"  # nosec B108: the user's own output there is allowed, nothing is created unasked
_KEPT_ENDINGS = (".checkpoint",)  # of a training: replaced by the training itself


def token() -> str:
    """The part of the names of this process's temporary files that no other process uses."""
    return _token


def create_temporary(target: str) -> str:
    """Create an empty temporary file for ``target`` and return its path; `commit` renames it, `discard` removes it.

    A symbolic link is followed: the file that it refers to is the target. Raises UnwritableOutput if the target cannot
    be written or replaced, or is no regular file, and DiskFull.
    """
    check_target(target)
    temporary = temporary_path(target)
    _targets[temporary] = temporary_files.resolve(target)
    try:
        with open(temporary, "wb"):
            pass
    except OSError as error:
        raise output_error(target, error) from error
    return temporary


def check_target(target: str) -> None:
    """Raise UnwritableOutput if a file cannot be created or replaced at this path."""
    if target.startswith("/vsi"):
        raise UnwritableOutput(path=target, reason="it is a virtual file of GDAL, not a file on a disk")
    if os.path.abspath(target).startswith(_SYSTEM_FOLDERS) and not target.startswith(_FOLDER_IN_MEMORY):
        raise UnwritableOutput(path=target, reason="it is a device, pipe or socket, not a file")
    final = temporary_files.resolve(target)
    try:
        state = os.lstat(final)
    except FileNotFoundError:
        state = None
    except NotADirectoryError:
        state = None
    except OSError as error:
        raise output_error(target, error) from error
    folder = os.path.dirname(final)
    reason = None
    if not os.path.isdir(folder):
        reason = f"the folder '{folder}' does not exist"
    elif state is None:
        reason = None if os.access(folder, os.W_OK | os.X_OK) else f"permission denied for the folder '{folder}'"
    elif stat.S_ISDIR(state.st_mode):
        reason = "it is a folder"
    elif stat.S_ISLNK(state.st_mode):
        reason = "it is a symbolic link that leads back to itself"
    elif not stat.S_ISREG(state.st_mode):
        reason = "it is a device, pipe or socket, not a file"
    elif not state.st_mode & 0o222 or not os.access(final, os.W_OK):
        reason = "the existing file is read-only"
    elif not os.access(folder, os.W_OK | os.X_OK):
        reason = f"permission denied for the folder '{folder}'"
    elif _is_mount_point(final):
        reason = "it is a mount point, which cannot be replaced"
    if reason:
        raise UnwritableOutput(path=target, reason=reason)


def check_writable(target: str) -> None:
    """Raise UnwritableOutput if ``target`` cannot be written; creates no lasting file.

    If a killed run left the target's earlier version under a temporary name, it is restored.
    """
    temporary_files.restore_lost(target)
    temporary = create_temporary(target)
    os.remove(temporary)
    del _targets[temporary]


def temporary_path(target: str) -> str:
    """The path of the temporary file of ``target``; creates nothing."""
    return temporary_files.temporary_path(target, _token)


def can_have(target: str, ending: str) -> bool:
    """True if the name of the target with this ending is not too long for the file system."""
    try:
        os.lstat(temporary_files.resolve(target) + ending)
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def sidecars(temporary: str, target: str) -> dict[str, str]:
    """The files that libraries have written beside a temporary file, and the names that they get beside ``target``.

    ``.out.tif.TOKEN.part.aux.xml`` becomes ``out.tif.aux.xml``; ``.out.tif.TOKEN.tfw`` becomes ``out.tfw``.
    """
    base, stem = temporary.removesuffix(f".{temporary_files.PART}"), os.path.splitext(target)[0]
    found = {}
    for path in sorted(glob.glob(f"{glob.escape(base)}.*")):
        if path.startswith(f"{temporary}.") and not path.endswith(_KEPT_ENDINGS):
            found[path] = target + path[len(temporary) :]
        elif not path.startswith((temporary, f"{base}.{temporary_files.OLD}")):
            found[path] = stem + path[len(base) :]
    return found


def remove_sidecars(temporary: str) -> None:
    """Remove the files that libraries have written beside a temporary file."""
    for path in sidecars(temporary, _targets[temporary]):
        with contextlib.suppress(OSError):
            os.remove(path)


def commit() -> None:
    """Rename all temporary files, with their sidecars, to their targets; all of them or none.

    An existing target, with its GDAL sidecars, is replaced; if a rename fails, all of them are as before and
    UnwritableOutput or DiskFull is raised. A thread that ends the process must acquire `commit_lock` first.
    """
    with commit_lock:
        replacement = Replacement(_token)
        try:
            for temporary, target in _targets.items():
                replacement.add(temporary, target, sidecars(temporary, target))
            replacement.run()
        except OSError as error:
            raise output_error(replacement.current, error) from error
        _targets.clear()


def discard() -> None:
    """Remove all temporary files of this process, with the sidecars that libraries wrote for them."""
    for temporary in list(_targets):
        for path in [
            *glob.glob(f"{glob.escape(temporary)}*"),
            *temporary_files.temporary_files(_targets[temporary], _token),
        ]:
            try:
                os.remove(path)
            except OSError:
                continue
        _targets.pop(temporary, None)


def check_disk_space(target: str, needed: int) -> None:
    """Raise DiskFull if the folder of ``target`` has less than ``needed`` bytes free, as far as the system tells."""
    try:
        free = shutil.disk_usage(os.path.dirname(temporary_files.resolve(target))).free
    except OSError:  # some network drives
        return
    if free < needed:
        raise DiskFull(path=target, reason=f"{free / 1e6:.0f} MB free, at least {needed / 1e6:.0f} MB needed")


def _is_mount_point(path: str) -> bool:
    """True if another file is mounted here, as containers do; such a file cannot be renamed (Linux)."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            points = [line.split(" ")[4] for line in file]
    except (OSError, IndexError):
        return False
    escaped = path.replace("\\", r"\134").replace(" ", r"\040").replace("\t", r"\011").replace("\n", r"\012")
    return escaped in points
