"""The exceptions that users can meet; each class carries one sentence that says what is wrong and what to do.

The values in a sentence are given by name: ``raise UnreadableRaster(path="a.tif", reason="not a raster")``.
"""

from __future__ import annotations

import errno
import os
import re

_MAX_FACT = 1000  # characters of one value in a sentence
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_WRITE_ERRORS = {
    errno.ENAMETOOLONG: "its name or path is longer than the file system allows",
    errno.EBUSY: "it is in use by the system or another program",
    errno.EROFS: "the file system is read-only",
}


class DeepPriorError(Exception):
    """Base class; ``str(error)`` is the sentence for the user, on one line."""

    sentence = "{reason}"

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.sentence.format(**{name: _printable(value) for name, value in facts.items()}))

    @property
    def kind(self) -> str:
        """The class name, which is part of the error event."""
        return type(self).__name__


def _printable(value: object) -> object:
    """Text on one line and of limited length: line breaks and characters that UTF-8 cannot encode are escaped."""
    if not isinstance(value, str):
        return value
    if len(value) > _MAX_FACT:
        value = f"{value[: _MAX_FACT // 2]}...{value[-_MAX_FACT // 4 :]}"
    return _UNPRINTABLE.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), value)


class InvalidJob(DeepPriorError):
    """A parameter has an invalid value."""

    sentence = "{reason}"


class UnreadableRaster(DeepPriorError):
    """A raster cannot be opened, or its pixels cannot be read."""

    sentence = "Cannot read the raster '{path}': {reason}. {advice}"

    def __init__(self, *, advice: str = "Check that the file is complete and is a raster.", **facts: object) -> None:
        super().__init__(advice=advice, **facts)


class GridMismatch(DeepPriorError):
    """Two rasters must have the same grid but do not."""

    sentence = (
        "'{path}' does not lie on the grid of '{reference}' ({reason}). "
        "Warp or clip it to the same size, position and CRS first."
    )


class BandCountMismatch(DeepPriorError):
    """The number of mask bands fits neither one mask for all bands nor one mask per band."""

    sentence = "{found} mask bands were given for {wanted} bands. Give one mask for all bands, or one mask per band."


class UnusableExtent(DeepPriorError):
    """A file of polygons cannot be read, or lies elsewhere."""

    sentence = (
        "Cannot use EXTENT_MASK '{path}': {reason}. Give a GeoJSON file with polygons over the scene, in its CRS or "
        "with a 'crs' member."
    )


class ExtentElsewhere(UnusableExtent):
    """Polygons cover no pixel of the scene. In QGIS they come from a layer, so the sentence names no file."""

    sentence = "Cannot use EXTENT_MASK: {reason}. Give polygons over the scene, and check the CRS of both layers."


class NothingObserved(DeepPriorError):
    """A raster has no valid pixels."""

    sentence = (
        "'{path}' has no observed pixels ({reason}), so there is nothing to restore from. "
        "Check its nodata value and, if there is a gap mask, the mask's polarity."
    )


class NoUsableBand(NothingObserved):
    """No band of a raster can be restored."""

    sentence = (
        "No band of '{path}' can be restored: every band is flagged bad, empty or constant, or holds classes. Check "
        "its bad-band list and its nodata value, or choose another raster."
    )


class ValuesOutOfRange(DeepPriorError):
    """A raster has values that single precision cannot compute with."""

    sentence = (
        "Band {band} of '{path}' has values around {value}, which are too large or too small to compute with. "
        "Multiply the raster by a constant, so that its values are near 1, or, if they mark missing pixels, "
        "give them as NODATA."
    )


class UnreadableModel(DeepPriorError):
    """A model file cannot be read."""

    sentence = "Cannot use the model '{path}': {reason}. Choose a .safetensors file made by 'Train super-resolver'."


class ModelMismatch(DeepPriorError):
    """A model was trained for other bands or another factor."""

    sentence = (
        "The model '{path}' does not fit this job: {reason}. Choose another model, or train one on similar rasters."
    )


class BandsDiffer(DeepPriorError):
    """Training rasters do not have the same bands."""

    sentence = (
        "Cannot train on '{path}' together with the other rasters: {reason}. Give rasters with the same good bands."
    )


class TooSmall(DeepPriorError):
    """Training rasters have too few complete pixels."""

    sentence = (
        "Too few pixels to train on: '{path}' needs a part of at least {size} pixels without missing pixels. "
        "Give a larger raster, or fill its gaps first."
    )


class UnwritableOutput(DeepPriorError):
    """An output file cannot be created."""

    sentence = "Cannot write '{path}': {reason}. Choose another file or folder."


class DiskFull(DeepPriorError):
    """There is not enough disk space for the outputs."""

    sentence = "Not enough disk space for '{path}' ({reason}). Free some space or choose another folder."


class OutOfMemory(DeepPriorError):
    """The machine or the accelerator does not have enough memory."""

    sentence = "Out of memory ({reason}). {advice}"

    def __init__(self, *, advice: str = "Set a smaller TILE_SIZE, or choose METHOD fast.", **facts: object) -> None:
        super().__init__(advice=advice, **facts)


class MissingLibrary(DeepPriorError):
    """The engine's Python environment is incomplete."""

    sentence = (
        "The restoration engine lacks a library ({reason}). "
        "Run 'Set up the restoration engine' from the Processing Toolbox."
    )


class DeviceUnavailable(DeepPriorError):
    """The requested compute device does not exist."""

    sentence = "Device '{device}' is not available ({reason}). Set DEVICE to auto or cpu."


class SchedulerUnavailable(DeepPriorError):
    """The Dask scheduler cannot be reached, or a tile failed on a worker."""

    sentence = "Cannot use the Dask scheduler '{address}': {reason}. Leave SCHEDULER empty to run on this machine."


class UnexpectedError(DeepPriorError):
    """An exception that no other class describes: most likely a fault of Deep Prior or of a library."""

    sentence = (
        "The run failed unexpectedly in the step '{step}' ({reason}). No output was written; "
        "run again, and if it fails again, report it with the log."
    )


class Cancelled(DeepPriorError):
    """The user cancelled the run."""

    sentence = "The run was cancelled; no output was written."


class WorkerFailed(DeepPriorError):
    """The worker process ended without a result."""

    sentence = "The restoration engine stopped unexpectedly ({reason}). No output was written; run again, {advice}."


def output_error(target: str, error: BaseException) -> DeepPriorError:
    """The error to raise for a failed write: DiskFull for a full disk or quota, else UnwritableOutput."""
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    full = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    if number in full or any(words in text for words in ("No space", "ENOSPC", "quota exceeded")):
        return DiskFull(path=target, reason="the disk filled up while writing")
    if isinstance(error, PermissionError):
        used = ", or another program uses it" if os.name == "nt" else ""
        return UnwritableOutput(path=target, reason=f"permission denied{used}")
    return UnwritableOutput(
        path=target, reason=_WRITE_ERRORS.get(number or 0) or os.strerror(number or errno.EIO).lower()
    )
