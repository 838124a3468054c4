"""Training a super-resolver, from a job to its model file.

The *checkpoint* lies beside the model file as ``MODEL.checkpoint``. It is a safetensors file as the model is, and
holds all that an interrupted training needs to go on; a run with the same parameters and data takes it up by itself.
It stays where a training was cancelled or its time budget was spent, and is removed when a training is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict

import numpy as np
import torch

from .. import __version__
from ..errors import DeepPriorError
from ..events import Result
from ..job import TrainJob
from ..raster import atomic
from ..raster.scene import Scene
from ..reporting.formatting import format_number
from ..runtime.context import Context
from ..runtime.devices import device_name, resolve_device
from ..runtime.threads import set_torch_threads
from ..superresolution import model_file, training_patches
from ..superresolution.trainer import Figures, Settings, Trainer
from ..superresolution.training_patches import Material

ITEM = "DEEP_PRIOR_CHECKPOINT"
_SAVE_EVERY = 60.0  # seconds
_OVERRUN = 1.2  # of the time budget


def run(job: TrainJob, context: Context, settings: Settings | None = None, most: int = training_patches.MOST) -> Result:
    """Train a model on the job's rasters and write it; returns the validation figures.

    ``settings`` and ``most`` patches are the paper's unless a test wants less.
    """
    settings = settings or Settings()
    target = job.outputs.model or ""
    written = atomic.create_temporary(target)
    set_torch_threads(job.compute.threads)
    device = resolve_device(job.compute.device)
    context.progress(0.0, "Cutting patches")
    with ExitStack() as opened, context.section(0.0, 0.04):
        scenes = [opened.enter_context(Scene([path])) for path in job.inputs]
        rng = np.random.default_rng([job.compute.seed, 0])
        material = training_patches.cut(scenes, job.factor, rng, most, context.reporter("Cutting patches"))
    context.info(
        f"{len(material.training)} patches to learn from and {len(material.validation)} to validate on, "
        f"of {material.bands} good bands."
    )
    trainer = Trainer(material.training, material.validation, settings, job.compute.seed, device)
    checkpoint = _Checkpoint(target, _key(job, material, settings))
    checkpoint.take_up(trainer, context)
    with context.section(0.04, 0.99):
        _train(trainer, checkpoint, context)
    best, baseline = trainer.best_figures, trainer.baseline
    if best.psnr <= baseline.psnr:
        context.warn(
            f"The model is not better than bicubic interpolation yet ({best.psnr:.2f} dB against {baseline.psnr:.2f} "
            "dB on the validation patches): allow a longer TIME_BUDGET or give more rasters."
        )
    model_file.write(written, trainer.best, _card(job, material, trainer, best, baseline))
    if trainer.finished:
        checkpoint.remove()
    else:
        context.info("The time budget ended the training; the same parameters and a new budget will continue it.")
        budget = job.compute.time_budget or 0.0
        if trainer.epoch == 0 and context.seconds_spent > _OVERRUN * budget:
            context.warn(
                f"TIME_BUDGET {budget:.0f} s was too short: cutting patches, the first batches and their validation "
                f"took {context.seconds_spent:.0f} s. Fewer bands or smaller rasters take less."
            )
    context.info(
        f"{trainer.epoch} whole epochs on {device_name(device)}: {best.psnr:.2f} dB on the validation patches, "
        f"bicubic interpolation {baseline.psnr:.2f} dB."
    )
    return Result(job.outputs.requested(), _numbers(best, baseline))


def _train(trainer: Trainer, checkpoint: _Checkpoint, context: Context) -> None:
    """Step until the training is finished or the time budget is spent; at least one step is made."""
    start, last, seconds = time.monotonic(), time.monotonic(), 0.0
    gain, share = "", 0.0
    while not trainer.finished:
        began = time.monotonic()
        trainer.spent = _share_of_budget(began - start, context)
        trainer.step()
        seconds = max(seconds, time.monotonic() - began)
        out_of_time = context.seconds_left <= _reserve(trainer, seconds)
        if trainer.at_epochs_end:
            found = trainer.end_epoch()
            gain = f" ({format_number(found.psnr - trainer.baseline.psnr, 3)} dB against bicubic)"
        spent = time.monotonic() - start
        share = max(share, trainer.share, min(_share_of_budget(spent, context), 1.0))
        context.progress(share, f"Training, epoch {trainer.epoch + 1}{gain}")
        if out_of_time or time.monotonic() - last > _SAVE_EVERY:
            checkpoint.keep(trainer)
            last = time.monotonic()
        if out_of_time:
            if trainer.place:  # after keeping: a validation within an epoch is none of an uninterrupted training's
                trainer.judge()
            return


def _share_of_budget(spent: float, context: Context) -> float:
    """The share of the training's time that is spent; 0 without a time budget."""
    left = context.seconds_left
    return spent / max(spent + left, 1e-9) if np.isfinite(left) else 0.0


def _reserve(trainer: Trainer, seconds: float) -> float:
    """Seconds that one more step, the validation and the end take: a step forward costs less than a whole one."""
    batches = np.ceil(len(trainer.validation) / trainer.settings.batch)
    return float(seconds * (1 + batches))


class _Checkpoint:
    """The file from which an interrupted training goes on; ``key`` tells the training from others."""

    def __init__(self, target: str, key: str) -> None:
        self.path = os.path.abspath(target) + ".checkpoint"
        self._key = key
        # A partial of the model by its name, so that what a killed run leaves of it is removed with the model's.
        self._unfinished = atomic.temporary_path(target) + ".checkpoint"

    def take_up(self, trainer: Trainer, context: Context) -> None:
        """Bring the trainer to where the file left it, if there is a file of this training."""
        if not os.path.exists(self.path):
            return
        try:
            tensors, record = model_file.load(self.path, ITEM)
        except DeepPriorError:
            context.warn(f"The checkpoint '{self.path}' cannot be read: the training starts anew.")
            return
        if record.get("key") != self._key:
            context.warn("The checkpoint beside the model is of another training: this one starts anew.")
            return
        try:
            trainer.load(tensors, record)
        except (KeyError, TypeError, ValueError, AttributeError):
            context.warn(f"The checkpoint '{self.path}' is incomplete: the training starts anew.")
            return
        context.info(f"Going on where an earlier run ended, in epoch {trainer.epoch + 1}.")

    def keep(self, trainer: Trainer) -> None:
        """Write the file, whole or not at all."""
        tensors, record = trainer.dump()
        model_file.save(self._unfinished, tensors, ITEM, {**record, "key": self._key})
        os.replace(self._unfinished, self.path)

    def remove(self) -> None:
        """The training is complete."""
        with contextlib.suppress(OSError):
            os.remove(self.path)


def _key(job: TrainJob, material: Material, settings: Settings) -> str:
    """What must be equal for a checkpoint to fit: data, factor, seed, settings and version, not time and device."""
    facts = [material.fingerprint(), job.factor, job.compute.seed, asdict(settings), __version__]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _card(job: TrainJob, material: Material, trainer: Trainer, best: Figures, baseline: Figures) -> model_file.Card:
    settings = trainer.settings
    return model_file.Card(
        bands=material.bands,
        factor=job.factor,
        wavelengths=material.wavelengths,
        scale=material.scale,
        degradation={"psf": "gaussian", "sigma": training_patches.BLUR},
        loss={
            "alpha": settings.alpha,
            "square": "half of the mean, in deviations",
            "angle": "1 - cosine",
            "outputs": [3, 6],
        },
        figures={
            "psnr": best.psnr,
            "bicubic_psnr": baseline.psnr,
            "sam": _finite(best.sam),
            "bicubic_sam": _finite(baseline.sam),
            "epochs": trainer.epoch,
            "finished": trainer.finished,
            "patches": len(material.training),
            "validation_patches": len(material.validation),
            "history": trainer.history,
        },
        made={
            "rasters": [os.path.basename(path) for path in job.inputs],
            "seed": job.compute.seed,
            "device": str(trainer.device),
            "versions": {"deep_prior": __version__, "torch": torch.__version__, "numpy": np.__version__},
        },
    )


def _numbers(best: Figures, baseline: Figures) -> dict[str, float | None]:
    return {
        "PSNR": best.psnr,
        "BICUBIC_PSNR": baseline.psnr,
        "SAM": _finite(best.sam),
        "BICUBIC_SAM": _finite(baseline.sam),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
