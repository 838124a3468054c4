"""Training of a super-resolver: from a job to its model file.

A run with the same parameters and data continues an interrupted training from its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict

import numpy as np
import torch

from .. import __version__
from ..events import Result
from ..job import TrainJob
from ..raster import atomic
from ..raster.open_scene import open_scene
from ..reporting.formatting import format_number
from ..runtime.context import Context
from ..runtime.devices import device_name, resolve_device
from ..runtime.threads import set_torch_threads
from ..superresolution.checkpoint import Checkpoint
from ..superresolution.model_file import ModelCard, write_model
from ..superresolution.trainer import Trainer, TrainingOptions
from ..superresolution.training_data import TrainingData
from ..superresolution.training_patches import BLUR_SIGMA, MAX_PATCHES, cut_patches
from ..superresolution.training_scores import TrainingScores

_SAVE_SECONDS = 60.0
_MAX_OVERRUN = 1.2  # of the time budget


def run(
    job: TrainJob,
    context: Context,
    options: TrainingOptions | None = None,
    max_patches: int = MAX_PATCHES,
    save_seconds: float = _SAVE_SECONDS,
) -> Result:
    """Train a model on the job's rasters and write it; returns the scores on the validation patches.

    ``options`` and ``max_patches``: by default the paper's. ``save_seconds``: between checkpoints.
    """
    options = options or TrainingOptions()
    target = job.outputs.model or ""
    written = atomic.create_temporary(target)
    set_torch_threads(job.compute.threads)
    device = resolve_device(job.compute.device)
    context.progress(0.0, "Cutting patches")
    with ExitStack() as opened, context.section(0.0, 0.04):
        scenes = [opened.enter_context(open_scene([path], job.nodata, context)) for path in job.inputs]
        rng = np.random.default_rng([job.compute.seed, 0])
        data = cut_patches(scenes, job.factor, rng, max_patches, context.reporter("Cutting patches"))
    context.info(
        f"{len(data.training)} patches for training and {len(data.validation)} for validation, {data.bands} good bands."
    )
    trainer = Trainer(data.training, data.validation, options, job.compute.seed, device)
    checkpoint = Checkpoint(target, _training_key(job, data, options))
    checkpoint.resume(trainer, context)
    with context.section(0.04, 0.99):
        _train(trainer, checkpoint, context, save_seconds)
    write_model(written, trainer.best_weights, _model_card(job, data, trainer))
    if trainer.finished:
        checkpoint.remove()
    _report_result(job, trainer, context)
    return Result(job.outputs.requested(), _numbers(trainer.best_scores, trainer.baseline))


def _train(trainer: Trainer, checkpoint: Checkpoint, context: Context, save_seconds: float) -> None:
    """Train until the training is finished or the time budget is used up; at least one step is made."""
    start = last_save = time.monotonic()
    step_seconds, gain, share = 0.0, "", 0.0
    while not trainer.finished:
        step_start = time.monotonic()
        trainer.budget_spent = _budget_share(step_start - start, context)
        trainer.step()
        step_seconds = max(step_seconds, time.monotonic() - step_start)
        out_of_time = context.seconds_left <= _reserve(trainer, step_seconds)
        if trainer.epoch_is_complete:
            scores = trainer.end_epoch()
            gain = f" ({format_number(scores.psnr - trainer.baseline.psnr, 3)} dB compared with bicubic)"
        spent = time.monotonic() - start
        share = max(share, trainer.progress, min(_budget_share(spent, context), 1.0))
        context.progress(share, f"Training, epoch {trainer.epoch + 1}{gain}")
        if out_of_time or time.monotonic() - last_save > save_seconds:
            checkpoint.save(trainer)
            last_save = time.monotonic()
        if out_of_time:
            # After saving, because an uninterrupted training does not validate within an epoch.
            if trainer.batch:
                trainer.validate()
            return


def _budget_share(spent: float, context: Context) -> float:
    """The spent share of the training's time; 0 without a time budget."""
    left = context.seconds_left
    return spent / max(spent + left, 1e-9) if np.isfinite(left) else 0.0


def _reserve(trainer: Trainer, step_seconds: float) -> float:
    """Seconds for one more step and the validation; a validation batch takes less than a step."""
    batches = np.ceil(len(trainer.validation) / trainer.options.batch_size)
    return float(step_seconds * (1 + batches))


def _report_result(job: TrainJob, trainer: Trainer, context: Context) -> None:
    """Report the scores, and what limited the training."""
    best, baseline = trainer.best_scores, trainer.baseline
    if best.psnr <= baseline.psnr:
        context.warn(
            f"The model is not better than bicubic interpolation yet ({best.psnr:.2f} dB and {baseline.psnr:.2f} dB on "
            "the validation patches). Give a longer TIME_BUDGET or more rasters."
        )
    if not trainer.finished:
        context.info("The time budget ended the training. Run it again with the same parameters to continue it.")
        budget = job.compute.time_budget or 0.0
        if trainer.epoch == 0 and context.seconds_spent > _MAX_OVERRUN * budget:
            context.warn(
                f"TIME_BUDGET {budget:.0f} s was too short: cutting patches, the first batches and their validation "
                f"took {context.seconds_spent:.0f} s. Use fewer bands or smaller rasters, or give more time."
            )
    context.info(
        f"{trainer.epoch} complete epochs on {device_name(trainer.device)}: {best.psnr:.2f} dB on the validation "
        f"patches, bicubic interpolation {baseline.psnr:.2f} dB."
    )


def _training_key(job: TrainJob, data: TrainingData, options: TrainingOptions) -> str:
    """A digest of all that a checkpoint depends on: data, factor, seed, options and version."""
    facts = [data.fingerprint(), job.factor, job.compute.seed, asdict(options), __version__]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _model_card(job: TrainJob, data: TrainingData, trainer: Trainer) -> ModelCard:
    best, baseline = trainer.best_scores, trainer.baseline
    return ModelCard(
        bands=data.bands,
        factor=job.factor,
        wavelengths=data.wavelengths,
        scale=data.scale,
        degradation={"psf": "gaussian", "sigma": BLUR_SIGMA},
        loss={
            "alpha": trainer.options.alpha,
            "square": "half of the mean, in standard deviations",
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
            "patches": len(data.training),
            "validation_patches": len(data.validation),
            "history": trainer.history,
        },
        made={
            "rasters": [os.path.basename(path) for path in job.inputs],
            "seed": job.compute.seed,
            "device": str(trainer.device),
            "versions": {"deep_prior": __version__, "torch": torch.__version__, "numpy": np.__version__},
        },
    )


def _numbers(best: TrainingScores, baseline: TrainingScores) -> dict[str, float | None]:
    return {
        "PSNR": best.psnr,
        "BICUBIC_PSNR": baseline.psnr,
        "SAM": _finite(best.sam),
        "BICUBIC_SAM": _finite(baseline.sam),
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
