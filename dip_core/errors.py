"""The one exception tree: each class carries the sentence that a user sees.

A sentence says what is wrong and what to do. Facts are filled in by name:
``raise UnreadableRaster(path="a.tif", reason="not a raster")``.
"""

from __future__ import annotations


class DeepPriorError(Exception):
    """Base of all errors that a user can meet; ``str(error)`` is one clear sentence."""

    sentence = "{reason}"

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.sentence.format(**facts))

    @property
    def kind(self) -> str:
        """The class name, as it travels in an error event."""
        return type(self).__name__


class InvalidJob(DeepPriorError):
    """A parameter has a value that no run could use."""

    sentence = "{reason}"


class UnreadableRaster(DeepPriorError):
    """A raster cannot be opened, or its pixels cannot be read."""

    sentence = "Cannot read the raster '{path}': {reason}. Check that the file is complete and is a raster."


class GridMismatch(DeepPriorError):
    """Two rasters that must share one grid do not."""

    sentence = (
        "'{path}' does not lie on the grid of '{reference}' ({reason}). "
        "Warp or clip it to the same size, position and CRS first."
    )


class BandCountMismatch(DeepPriorError):
    """Masks and bands cannot be paired."""

    sentence = "{found} mask bands were given for {wanted} bands. Give one mask for all bands, or one a band."


class NothingObserved(DeepPriorError):
    """A raster holds no valid pixel to start from."""

    sentence = (
        "'{path}' has no observed pixel ({reason}), so there is nothing to restore from. "
        "Check its nodata value, and the polarity of the gap mask if there is one."
    )


class UnreadableModel(DeepPriorError):
    """A model file cannot be used at all."""

    sentence = "Cannot use the model '{path}': {reason}. Choose a .safetensors file made by 'Train super-resolver'."


class ModelMismatch(DeepPriorError):
    """A model does not fit the raster or the factor."""

    sentence = "The model '{path}' does not fit: {reason}. Choose another model, or train one on rasters like this."


class BandsDiffer(DeepPriorError):
    """Rasters to learn from do not share their bands."""

    sentence = "Cannot train on '{path}' with the other rasters: {reason}. Give rasters with the same good bands."


class TooSmall(DeepPriorError):
    """Rasters to learn from hold too few whole pixels."""

    sentence = (
        "Too few pixels to train on: '{path}' needs a part of at least {size} pixels without a missing one. "
        "Give a larger raster, or fill its gaps first."
    )


class UnwritableOutput(DeepPriorError):
    """An output cannot be created where it is wanted."""

    sentence = "Cannot write '{path}': {reason}. Choose another file or folder."


class DiskFull(DeepPriorError):
    """There is not enough room for the outputs."""

    sentence = "Not enough disk space for '{path}' ({reason}). Free some space or choose another folder."


class OutOfMemory(DeepPriorError):
    """The machine or the accelerator has not enough memory."""

    sentence = "Out of memory ({reason}). {advice}"

    def __init__(self, *, advice: str = "Set a smaller TILE_SIZE, or choose METHOD fast.", **facts: object) -> None:
        super().__init__(advice=advice, **facts)


class MissingLibrary(DeepPriorError):
    """The worker's Python environment is incomplete."""

    sentence = (
        "The restoration engine lacks a library ({reason}). "
        "Run 'Set up the restoration engine' from the Processing Toolbox."
    )


class DeviceUnavailable(DeepPriorError):
    """The compute device that was asked for is not there."""

    sentence = "Device '{device}' is not available ({reason}). Set DEVICE to auto or cpu."


class SchedulerUnavailable(DeepPriorError):
    """The Dask scheduler cannot be reached or does not fit."""

    sentence = "Cannot use the Dask scheduler '{address}': {reason}. Leave SCHEDULER empty to run on this machine."


class Cancelled(DeepPriorError):
    """The user stopped the run."""

    sentence = "The run was cancelled; no output was written."


class WorkerFailed(DeepPriorError):
    """The worker process ended without a result."""

    sentence = "The restoration engine stopped unexpectedly ({reason}). No output was written; run again, {advice}."
