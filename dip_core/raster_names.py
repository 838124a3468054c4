"""The names by which GDAL opens a raster: of a header the data file, of an archive the raster in it.

The header of an ENVI raster (``.hdr``) stands for its data file. A ``.gz`` file, also inside an archive, is
decompressed while it is read (``/vsigzip/``). An archive (``.tar``, ``.tar.gz``, ``.tgz``, ``.zip``) that holds one
raster stands for it.

Standard library only: the QGIS side uses this module too.
"""

from __future__ import annotations

import os
import re
import tarfile
import zipfile
from pathlib import Path

_GZIP, _TAR, _ZIP = "/vsigzip/", "/vsitar/", "/vsizip/"
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_ZIP_SUFFIXES = (".zip",)
_DATA_SUFFIXES = ("", ".dat", ".img", ".bsq", ".bil", ".bip", ".raw", ".bin", ".ima")  # of ENVI data files
_RASTER_SUFFIXES = (
    ".tif", ".tiff", ".jp2", ".j2k", ".vrt", ".nc", ".nc4", ".hdf", ".h4", ".h5", ".hdf5", ".he5", ".asc", ".adf",
    ".grd", ".pix", ".ntf", ".cub", ".lbl", ".hgt", ".dem", ".bt", ".ers", ".dt0", ".dt1", ".dt2", ".grib", ".grb",
    *_DATA_SUFFIXES[1:],
)  # fmt: skip
_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp")  # a quick-look beside another raster
_ARCHIVE_IN_NAME = re.compile(r"\.(?:tar|tgz|zip)(?=$|[/\\.\s])", re.IGNORECASE)
_MAX_SHOWN = 6  # members of an archive in a sentence


class NoSingleRaster(Exception):
    """A file that stands for no raster or for several: why, and what to do, in two sentences.

    ``reason`` completes "Cannot read the raster x: ..." and has no full stop.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason}. {advice}")
        self.reason = reason
        self.advice = advice


def name_to_open(path: str) -> str:
    """The name by which GDAL opens a file, as far as its name tells; the same name for most files.

    Raises NoSingleRaster for a header without a data file of its own.
    """
    lower = path.lower()
    if lower.endswith(".hdr") and os.path.isfile(path):
        return _data_file(path)
    if lower.endswith(".gz") and not lower.endswith(_TAR_SUFFIXES) and not path.startswith(_GZIP):
        return _GZIP + (path if path.startswith("/vsi") else os.path.abspath(path))
    return path


def name_in_archive(path: str) -> str | None:
    """The name of the only raster in an archive, None for another file or one that is no archive.

    Raises NoSingleRaster for an archive that holds no raster or several, and for a damaged one.
    """
    file, prefix = _archive(path)
    if not prefix:
        return None
    try:
        members = _tar_members(file) if prefix == _TAR else _zip_members(file)
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise NoSingleRaster("it is a damaged archive", "Download or copy it again.") from error
    rasters = _rasters_among(members)
    if not rasters:
        raise NoSingleRaster("it is an archive that holds no raster", "Choose another file.")
    names = [_member_name(file, prefix, member) for member in rasters]
    if len(names) == 1:
        return names[0]
    shown = ", ".join(rasters[:_MAX_SHOWN]) + (", ..." if len(rasters) > _MAX_SHOWN else "")
    raise NoSingleRaster(
        f"it is an archive with {len(rasters)} rasters ({shown})",
        f"Unpack it, or name one of them, such as '{names[0]}'.",
    )


def data_file_of(path: str) -> str:
    """The data file of a header, as far as there is one; the same path for other files."""
    try:
        return name_to_open(path) if path.lower().endswith(".hdr") else path
    except NoSingleRaster:
        return path


def _data_file(header: str) -> str:
    """The data file of an ENVI header: NAME for NAME.hdr, or the file beside it with the same stem."""
    folder, name = os.path.split(header)
    stem = os.path.splitext(name)[0]
    if os.path.isfile(os.path.join(folder, stem)):
        return os.path.join(folder, stem)
    wanted = {f"{stem}{suffix}".lower(): place for place, suffix in enumerate(_DATA_SUFFIXES)}
    found = [entry for entry in sorted(os.listdir(folder or ".")) if entry.lower() in wanted]
    exact = [entry for entry in found if entry.startswith(stem)]  # a folder may have a.dat and A.dat
    found = [entry for entry in exact or found if os.path.isfile(os.path.join(folder, entry))]
    if len(found) == 1:
        return os.path.join(folder, found[0])
    if found:
        raise NoSingleRaster("it is a header with several data files", f"Choose one of {', '.join(found)}.")
    if not _is_envi_header(header):
        return header
    raise NoSingleRaster(
        "it is the header of an ENVI raster, whose data file is missing",
        f"Put the data file '{stem}' beside it, without a suffix or with one of {', '.join(_DATA_SUFFIXES[1:])}.",
    )


def _is_envi_header(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"ENVI"
    except OSError:
        return False


def _archive(path: str) -> tuple[str, str]:
    """The archive that a name stands for and GDAL's prefix of its kind; empty texts for another name."""
    for prefix, suffixes in ((_TAR, _TAR_SUFFIXES), (_ZIP, _ZIP_SUFFIXES)):
        file = path.removeprefix(prefix)
        if file.startswith("{") and file.endswith("}"):
            file = file[1:-1]
        if file.lower().endswith(suffixes) and os.path.isfile(file):
            return os.path.abspath(file), prefix
    return "", ""


def _tar_members(file: str) -> list[str]:
    with tarfile.open(file) as archive:
        return [member.name for member in archive if member.isfile()]


def _zip_members(file: str) -> list[str]:
    with zipfile.ZipFile(file) as archive:
        return [member.filename for member in archive.infolist() if not member.is_dir()]


def _rasters_among(members: list[str]) -> list[str]:
    """The members that are rasters by their names; pictures only if there is nothing else."""
    visible = [name for name in members if not os.path.basename(name).startswith(".") and "__MACOSX/" not in name]
    stems = {name.lower().removesuffix(".hdr") for name in visible if name.lower().endswith(".hdr")}
    for suffixes in (_RASTER_SUFFIXES, _PICTURE_SUFFIXES):
        found = [
            name for name in visible if name.lower().removesuffix(".gz").endswith(suffixes) or name.lower() in stems
        ]
        if found:
            return sorted(found)
    return []


def _member_name(file: str, prefix: str, member: str) -> str:
    """GDAL's name of a member; braces mark the archive if a folder is named like one."""
    outer = f"{{{file}}}" if _ARCHIVE_IN_NAME.search(os.path.dirname(file)) else Path(file).as_posix()
    name = f"{prefix}{outer}/{member}"
    return _GZIP + name if member.lower().endswith(".gz") else name
