"""CASCADE against bicubic interpolation: trained on a part of the Reno cube, tested on another.

The paper's protocol: a Gaussian blur with a standard deviation of 3 pixels, decimation, bicubic enlargement; patches
of 32 x 32 to learn from, whole images to test on. The test part is blurred and made coarse by itself, and no test
pixel is seen in training, nor does any choice (rate, best weights) look at it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import common
from dip_core.raster.scene import Scene
from dip_core.runtime.devices import resolve_device
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.trainer import Trainer, TrainingOptions
from dip_core.superresolution.training_data import PatchPairs, TrainingData
from dip_core.superresolution.training_patches import MAX_PATCHES, cut_patches, degrade_and_enlarge
from dip_core.superresolution.training_scores import TrainingScores, bicubic_scores, evaluate

from . import printed, protocols, tables
from .methods import Options
from .tables import Row, Table

TABLE = Table(
    "papers_cascade",
    "The cascade against bicubic interpolation",
    "Reno, 31 of its 100 bands chosen evenly, as many as the paper's: trained on patches of the first 100 rows, tested "
    "on the last 46 rows, enlarged as a whole. Blur, decimation and enlargement are the paper's. PSNR is that of the "
    "whole test image with the training part's maximum as the peak. *alpha* weighs the squared error against the angle "
    "(the paper: 0.5); alpha 1 is the squared error alone. *Best* are the weights that were best on the validation "
    "patches, which the product keeps. Seconds are those of training; iterations are steps. The paper's figures are of "
    "other data (indoor images), after two days on a GPU.",
    ("psnr", "sam"),
    ("psnr", "sam"),
    ("bicubic",),
    {
        f"Factor {factor}": [
            (f"{method}, {data}", dict(zip(("psnr", "sam"), figures[factor])))
            for (data, method), figures in printed.CASCADE.items()
        ]
        for factor in (2, 3, 4)
    },
)


def run(
    options: Options,
    factors: Sequence[int] = (2,),
    alphas: Sequence[float] = (0.5,),
    minutes: float = 30.0,
    every: float = 120.0,
    settings: TrainingOptions | None = None,
    max_patches: int = MAX_PATCHES,
) -> None:
    """Train for so many minutes for each factor and alpha; the test part is scored every so many seconds.

    ``settings`` and ``max_patches``: by default those of the paper.
    """
    fine, test_fine = protocols.cascade_parts()
    for factor in factors:
        data = training_data(fine, factor, options.seed, max_patches)
        test = test_pairs(test_fine, factor, data.scale)
        case = f"Factor {factor}"
        _bicubic(test, case, options)
        for alpha in alphas:
            wanted = replace(settings or TrainingOptions(), alpha=alpha)
            machine = common.Machine(options.device, options.threads)
            identity = {
                "case": case,
                "row": f"cascade, alpha {alpha:g}, {minutes:g} minutes",
                "schedule": minutes,
                "seed": options.seed,
                "device": options.device,
            }
            trainer = Trainer(data.training, data.validation, wanted, options.seed, resolve_device(options.device))

            def work(take: Callable[[dict], None], trainer: Trainer = trainer, test: PatchPairs = test) -> Row:
                return train(trainer, test, 60 * minutes, every, take)

            tables.run_row(TABLE, options.out, identity, machine, work)


def training_data(fine: NDArray, factor: int, seed: int, max_patches: int) -> TrainingData:
    """Patches as the trainer cuts them from a raster."""
    with tempfile.TemporaryDirectory() as folder:
        path = common.write_raster(Path(folder, "training.tif"), fine, None)
        with Scene([path]) as scene:
            return cut_patches([scene], factor, np.random.default_rng([seed, 0]), max_patches)


def test_pairs(fine: NDArray, factor: int, scale: float) -> PatchPairs:
    """The whole test image as one pair."""
    soft = degrade_and_enlarge(fine, factor)
    return PatchPairs(*(np.ascontiguousarray(image[None] / scale, np.float32) for image in (fine, soft)))


def train(trainer: Trainer, test: PatchPairs, budget: float, every: float, take: Callable[[dict], None]) -> Row:
    """Train until the seconds are spent or the training is finished, with looks at the test image."""
    spent = looked = 0.0
    steps, value = 0, float("nan")

    def look(network: Cascade, name: str) -> None:
        found = evaluate(network, test, trainer.options.alpha, trainer.options.batch_size, trainer.device)
        take(
            {
                "iteration": steps,
                "loss": value,
                "seconds": spent,
                "epoch": trainer.epoch,
                "images": {name: _plain(found)},
            }
        )

    while not trainer.finished and (spent < budget or not steps):
        start = perf_counter()
        trainer.budget_spent = spent / budget
        value = trainer.step()
        if trainer.epoch_is_complete:
            trainer.end_epoch()
        steps += 1
        spent += perf_counter() - start
        if spent - looked >= every and spent < budget:
            looked = spent
            look(trainer.network, "present")
    if trainer.batch:
        trainer.validate()
    best = Cascade(test.fine.shape[1]).to(trainer.device)
    best.load_state_dict({name: torch.from_numpy(array) for name, array in trainer.best_weights.items()})
    look(best, "best")
    return {"epochs": trainer.epoch, "finished": trainer.finished, "history": trainer.history}


def _bicubic(test: PatchPairs, case: str, options: Options) -> None:
    machine = common.Machine(options.device, options.threads)
    identity: Row = {"case": case, "row": "bicubic", "schedule": None, "seed": None, "device": None}

    def work(take: Callable[[dict], None]) -> Row:
        found = bicubic_scores(test, TrainingOptions().alpha, torch.ones(1, 1, 1))
        take({"iteration": None, "loss": None, "seconds": 0.0, "images": {"": _plain(found)}})
        return {}

    tables.run_row(TABLE, options.out, identity, machine, work)


def _plain(scores: TrainingScores) -> dict[str, float]:
    return {"psnr": scores.psnr, "sam": scores.sam}
