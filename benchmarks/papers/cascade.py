"""Compares CASCADE with bicubic interpolation: trained on a part of the Reno cube, tested on another part.

The paper's protocol: a Gaussian blur with a standard deviation of 3 pixels, decimation, bicubic enlargement; training
on patches of 32 x 32 pixels, test on whole images. The test part is blurred and downsampled separately. No test pixel
is used in training, nor to select the learning rate or the best weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import rasters
from benchmarks.machine import Machine
from dip_core.raster.scene import Scene
from dip_core.runtime.devices import resolve_device
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.trainer import Trainer, TrainingOptions
from dip_core.superresolution.training_data import PatchPairs, TrainingData
from dip_core.superresolution.training_patches import MAX_PATCHES, cut_patches, degrade_and_enlarge
from dip_core.superresolution.training_scores import TrainingScores, bicubic_scores, evaluate

from . import printed, protocols, tables
from .methods import RunOptions
from .tables import AddPoint, Row, Table

TABLE = Table(
    name="papers_cascade",
    title="The cascade compared with bicubic interpolation",
    protocol=(
        "Reno, 31 evenly spaced bands of 100, as many as in the paper. Training uses patches of the first 100 rows; "
        "the test image, the last 46 rows, is enlarged as a whole. Blur, decimation and enlargement are the paper's. "
        "PSNR is that of the whole test image; its peak is the maximum of the training part. *alpha* is the weight of "
        "the squared error in the loss, the rest is that of the angle (paper: 0.5); with alpha 1 the loss is the "
        "squared error alone. *Best* are the weights that were best on the validation patches, which the product "
        "keeps. Seconds are those of training; iterations are training steps. The paper's figures are of other data "
        "(indoor images), after two days on a GPU."
    ),
    shown=("psnr", "sam"),
    curve=("psnr", "sam"),
    order=("bicubic",),
    printed={
        f"Factor {factor}": [
            (f"{method}, {data}", {"psnr": figures[factor][0], "sam": figures[factor][1]})
            for (data, method), figures in printed.CASCADE.items()
        ]
        for factor in (2, 3, 4)
    },
)


def run(
    options: RunOptions,
    factors: Sequence[int] = (2,),
    alphas: Sequence[float] = (0.5,),
    minutes: float = 30.0,
    interval: float = 120.0,
    training_options: TrainingOptions | None = None,
    max_patches: int = MAX_PATCHES,
) -> None:
    """Train for some minutes per factor and alpha, and score the test image every ``interval`` seconds.

    ``training_options`` and ``max_patches``: by default those of the paper.
    """
    fine, test_fine = protocols.cascade_parts()
    for factor in factors:
        data = training_data(fine, factor, options.seed, max_patches)
        test = make_test_pairs(test_fine, factor, data.scale)
        case = f"Factor {factor}"
        _measure_bicubic(test, case, options)
        for alpha in alphas:
            row_key: Row = {
                "case": case,
                "row": f"cascade, alpha {alpha:g}, {minutes:g} minutes",
                "schedule": minutes,
                "seed": options.seed,
                "device": options.device,
            }
            own_options = replace(training_options or TrainingOptions(), alpha=alpha)
            machine = Machine(options.device, options.threads)
            trainer = Trainer(data.training, data.validation, own_options, options.seed, resolve_device(options.device))

            def measure(add_point: AddPoint, trainer: Trainer = trainer, test: PatchPairs = test) -> Row:
                return train(trainer, test, 60 * minutes, interval, add_point)

            tables.measure_row(TABLE, options.out, row_key, machine, measure)


def training_data(fine: NDArray, factor: int, seed: int, max_patches: int) -> TrainingData:
    """Patches as the product cuts them from a raster."""
    with tempfile.TemporaryDirectory() as folder:
        path = rasters.write_raster(Path(folder, "training.tif"), fine, None)
        with Scene([path]) as scene:
            return cut_patches([scene], factor, np.random.default_rng([seed, 0]), max_patches)


def make_test_pairs(fine: NDArray, factor: int, scale: float) -> PatchPairs:
    """The whole test image as one pair."""
    enlarged = degrade_and_enlarge(fine, factor)
    return PatchPairs(*(np.ascontiguousarray(image[None] / scale, np.float32) for image in (fine, enlarged)))


def train(trainer: Trainer, test: PatchPairs, budget: float, interval: float, add_point: AddPoint) -> Row:
    """Train for ``budget`` seconds or until training is finished.

    The test image is scored every ``interval`` seconds and finally with the best weights. Returns epochs and history.
    """
    spent = last_scored = 0.0
    steps, loss = 0, float("nan")

    def score(network: Cascade, name: str) -> None:
        scores = evaluate(network, test, trainer.options.alpha, trainer.options.batch_size, trainer.device)
        add_point(
            {
                "iteration": steps,
                "loss": loss,
                "seconds": spent,
                "epoch": trainer.epoch,
                "images": {name: _as_dictionary(scores)},
            }
        )

    while not trainer.finished and (spent < budget or not steps):
        start = perf_counter()
        trainer.budget_spent = spent / budget
        loss = trainer.step()
        if trainer.epoch_is_complete:
            trainer.end_epoch()
        steps += 1
        spent += perf_counter() - start
        if spent - last_scored >= interval and spent < budget:
            last_scored = spent
            score(trainer.network, "present")
    if trainer.batch:
        trainer.validate()
    best = Cascade(test.fine.shape[1]).to(trainer.device)
    best.load_state_dict({name: torch.from_numpy(array) for name, array in trainer.best_weights.items()})
    score(best, "best")
    return {"epochs": trainer.epoch, "finished": trainer.finished, "history": trainer.history}


def _measure_bicubic(test: PatchPairs, case: str, options: RunOptions) -> None:
    machine = Machine(options.device, options.threads)
    row_key: Row = {"case": case, "row": "bicubic", "schedule": None, "seed": None, "device": None}

    def measure(add_point: AddPoint) -> Row:
        scores = bicubic_scores(test, TrainingOptions().alpha, torch.ones(1, 1, 1))
        add_point({"iteration": None, "loss": None, "seconds": 0.0, "images": {"": _as_dictionary(scores)}})
        return {}

    tables.measure_row(TABLE, options.out, row_key, machine, measure)


def _as_dictionary(scores: TrainingScores) -> dict[str, float]:
    return {"psnr": scores.psnr, "sam": scores.sam}
