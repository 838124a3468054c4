"""Replacing several files at once: either all new files are in place, or all old ones are as before.

Order of operations: (1) every old file is kept under a second name, as a hard link where the file system has them, so
that its own name never vanishes; (2) the new files are renamed; (3) sidecars of replaced files are removed; (4) the
kept old files are removed. If a step fails, the old files are renamed back. If the process is killed, the kept files
``.name.TOKEN.old`` remain, and `temporary_files.clean_up` or `temporary_files.restore_lost` renames them back.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Mapping, Sequence

from ..temporary_files import OLD, SIDECARS, restore, temporary_path


class Replacement:
    """New files for targets, collected by `add` and put in place by `run`. ``current``: the target in work."""

    def __init__(self, token: str) -> None:
        self.current = ""
        self._token = token
        self._new: list[tuple[str, str]] = []  # temporary and final path
        self._old: list[tuple[str, str]] = []  # final path and the path under which an old file is kept
        self._obsolete: list[str] = []  # sidecars of replaced files

    def add(self, temporary: str, target: str, sidecars: Mapping[str, str]) -> None:
        """Put ``temporary`` in place of ``target``, and sidecars (final by temporary path) beside it.

        Other sidecars of an old target are removed, because they describe its pixels.
        """
        self._new += [(temporary, target), *sidecars.items()]
        self._obsolete += [target + end for end in SIDECARS if target + end not in sidecars.values()]

    def run(self) -> None:
        """Put all new files in place. Raises OSError; then everything is as it was before."""
        installed: list[str] = []
        try:
            for final in [*(final for _, final in self._new), *self._obsolete]:
                self.current = final
                self._keep(final)
            for temporary, final in self._new:
                self.current = final
                os.replace(temporary, final)
                installed.append(final)
            for path, _ in self._old:
                self.current = path
                if path in self._obsolete:
                    with contextlib.suppress(FileNotFoundError):
                        os.remove(path)
        except BaseException:
            self._undo(installed)
            raise
        for _, kept in self._old:
            with contextlib.suppress(OSError):
                os.remove(kept)

    def _keep(self, final: str) -> None:
        """Give an existing file a second name. Raises OSError if it is no regular file."""
        try:
            mode = os.lstat(final).st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG and final in self._obsolete:
                return
            raise
        if not stat.S_ISREG(mode):
            if final in self._obsolete:  # a folder out.tif.ovr is none of GDAL's files
                return
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), final)
        kept = self._kept_path(final)
        with contextlib.suppress(FileNotFoundError):
            os.remove(kept)
        try:
            os.link(final, kept)
        except OSError:  # a file system without hard links, or one that forbids them
            os.replace(final, kept)
        self._old.append((final, kept))
        for temporary, target in self._new:
            if target == final:
                with contextlib.suppress(OSError):
                    shutil.copymode(final if os.path.exists(final) else kept, temporary)

    def _kept_path(self, final: str) -> str:
        for _, target in self._new:
            ending = final[len(target) :]
            if final.startswith(target) and ending in ("", *SIDECARS):
                return temporary_path(target, self._token, OLD) + ending
        return temporary_path(final, self._token, OLD)

    def _undo(self, installed: Sequence[str]) -> None:
        kept = dict(self._old)
        for final in installed:
            if final not in kept:
                with contextlib.suppress(OSError):
                    os.remove(final)
        for final, path in self._old:
            with contextlib.suppress(OSError):
                restore(path, final)
