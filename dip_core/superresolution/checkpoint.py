"""The checkpoint of a training: a safetensors file beside the model, from which an interrupted training continues.

It is named ``MODEL.checkpoint``. It remains if a training is cancelled or its time budget is used up, and is removed
when the training is complete.
"""

from __future__ import annotations

import contextlib
import os

from ..errors import DeepPriorError
from ..raster import atomic
from ..runtime.context import Context
from .model_file import load_tensors, save_tensors
from .trainer import Trainer

CHECKPOINT_ITEM = "DEEP_PRIOR_CHECKPOINT"


class Checkpoint:
    """The checkpoint of the model file ``target``; ``key`` identifies the training by its data and options."""

    def __init__(self, target: str, key: str) -> None:
        self.path = os.path.abspath(target) + ".checkpoint"
        self._key = key
        # Named like a temporary file of the model, so that both are removed after a killed run.
        self._temporary = atomic.temporary_path(target) + ".checkpoint"

    def resume(self, trainer: Trainer, context: Context) -> None:
        """Load the state of an earlier run of the same training into the trainer, if there is one."""
        if not os.path.exists(self.path):
            return
        try:
            tensors, record = load_tensors(self.path, CHECKPOINT_ITEM)
        except DeepPriorError:
            context.warn(f"The checkpoint '{self.path}' cannot be read: training starts from the beginning.")
            return
        if record.get("key") != self._key:
            context.warn("The checkpoint belongs to another training: this one starts from the beginning.")
            return
        try:
            trainer.load_state(tensors, record)
        except (KeyError, TypeError, ValueError, AttributeError):
            context.warn(f"The checkpoint '{self.path}' is incomplete: training starts from the beginning.")
            return
        context.info(f"Continuing an earlier training in epoch {trainer.epoch + 1}.")

    def save(self, trainer: Trainer) -> None:
        """Write the file, completely or not at all."""
        tensors, record = trainer.state()
        save_tensors(self._temporary, tensors, CHECKPOINT_ITEM, {**record, "key": self._key})
        os.replace(self._temporary, self.path)

    def remove(self) -> None:
        """Remove the file of a complete training."""
        with contextlib.suppress(OSError):
            os.remove(self.path)
