"""A training job: its model, its checkpoint, its time budget, and what is rejected."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
import rasterio
import torch
from core_scenes import landscape, write

from dip_core import errors
from dip_core.events import Message, Progress
from dip_core.job import TrainJob, from_json, to_json
from dip_core.job_fields import Compute, Outputs
from dip_core.raster import atomic
from dip_core.runtime.context import Context
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.checkpoint import CHECKPOINT_ITEM
from dip_core.superresolution.model_file import FORMAT, load_tensors, read_model, save_tensors
from dip_core.superresolution.trainer import TrainingOptions
from dip_core.tasks import train_superresolver

TWO_EPOCHS = TrainingOptions(batch_size=2, epochs=2)
TINY = TrainingOptions(batch_size=2)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def raster(folder, bands=1, rows=80, columns=40, name="fine.tif", wavelengths=None):
    path = write(folder / name, landscape(bands, rows, columns).astype(np.float32))
    if wavelengths:
        with rasterio.open(path, "r+") as file:
            for number, wavelength in enumerate(wavelengths, 1):
                file.update_tags(number, wavelength=str(wavelength), wavelength_units="nm")
    return path


def job(folder, *inputs, budget=None, factor=2):
    return TrainJob(inputs, Outputs(model=str(folder / "m.safetensors")), factor, Compute("cpu", 1, budget, threads=1))


def run(training, options=TINY, on_event=lambda event: None, save_seconds=60.0):
    """Train on four patches as the worker does; returns the numbers and the messages."""
    messages = []

    def receive(event):
        if isinstance(event, Message):
            messages.append(event.text)
        on_event(event)

    context = Context(receive, training.compute.time_budget)
    try:
        result = train_superresolver.run(from_json(to_json(training)), context, options, 4, save_seconds)
        atomic.commit()
    finally:
        atomic.discard()
    return result.numbers, messages


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path):
    training = job(tmp_path, raster(tmp_path))
    run(training, TWO_EPOCHS)
    uninterrupted, _ = read_model(training.outputs.model)
    os.remove(training.outputs.model)

    def cancel(event):
        if isinstance(event, Progress) and "epoch 3" in event.step:  # the last checkpoint is within the second epoch
            raise errors.Cancelled()

    with pytest.raises(errors.Cancelled):
        run(training, TWO_EPOCHS, cancel, save_seconds=0.0)
    assert set(os.listdir(tmp_path)) == {"fine.tif", "m.safetensors.checkpoint"}
    _, messages = run(training, TWO_EPOCHS)
    resumed, card = read_model(training.outputs.model)
    assert any("Continuing an earlier training in epoch 2" in text for text in messages)
    assert card.figures["epochs"] == 2 and card.figures["finished"]
    assert all(np.array_equal(uninterrupted[name], resumed[name]) for name in uninterrupted)
    assert not os.path.exists(training.outputs.model + ".checkpoint")


def test_a_checkpoint_of_another_training_is_not_used(tmp_path):
    source = raster(tmp_path)
    run(job(tmp_path, source, budget=0.01))
    assert os.path.exists(tmp_path / "m.safetensors.checkpoint")
    _, messages = run(job(tmp_path, source, factor=3, budget=0.01))
    assert any("belongs to another training" in text for text in messages)


def test_a_damaged_checkpoint_is_not_used(tmp_path):
    source = raster(tmp_path)
    run(job(tmp_path, source, budget=0.01))
    path = str(tmp_path / "m.safetensors.checkpoint")
    tensors, record = load_tensors(path, CHECKPOINT_ITEM)
    incomplete = {name: value for name, value in tensors.items() if name != "network.mean"}
    save_tensors(path, incomplete, CHECKPOINT_ITEM, record)
    numbers, messages = run(job(tmp_path, source, budget=0.01))
    assert any("is incomplete: training starts from the beginning" in text for text in messages)
    assert numbers["PSNR"] > 0
    with open(path, "wb") as file:
        file.write(b"no checkpoint")
    _, messages = run(job(tmp_path, source, budget=0.01))
    assert any("cannot be read: training starts from the beginning" in text for text in messages)


def test_a_time_budget_ends_with_a_model_and_keeps_the_checkpoint(tmp_path):
    training = job(tmp_path, raster(tmp_path, bands=2), budget=0.01)
    numbers, messages = run(training, TrainingOptions(batch_size=2, learning_rate=100.0))
    tensors, card = read_model(training.outputs.model)
    assert card.figures["epochs"] == 0 and not card.figures["finished"]
    assert numbers["PSNR"] == pytest.approx(card.figures["psnr"]) and numbers["BICUBIC_SAM"] > 0
    assert any("time budget ended the training" in text for text in messages)
    assert any("not better than bicubic" in text for text in messages)
    assert any("TIME_BUDGET 0 s was too short" in text for text in messages)
    assert os.path.exists(training.outputs.model + ".checkpoint")
    Cascade(card.bands).load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})


def test_the_model_is_a_safetensors_file_with_a_readable_header(tmp_path):
    training = job(tmp_path, raster(tmp_path, 3, wavelengths=[450, 550, 650]), budget=0.01)
    run(training)
    with open(training.outputs.model, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        card = json.loads(json.loads(file.read(size))["__metadata__"]["DEEP_PRIOR_MODEL"])
    assert card["format"] == FORMAT and card["bands"] == 3 and card["factor"] == 2
    assert card["wavelengths"] == pytest.approx([0.45, 0.55, 0.65])
    assert card["degradation"] == {"psf": "gaussian", "sigma": 3.0}
    assert card["loss"]["alpha"] == 0.5 and card["scale"] > 100
    assert {"psnr", "bicubic_psnr", "sam", "bicubic_sam", "epochs", "patches"} <= set(card["figures"])
    assert {"deep_prior", "torch"} <= set(card["made"]["versions"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_model_is_as_readable_as_any_file(tmp_path):
    """A model is made to be shared, so others than its owner must be able to read it."""
    run(job(tmp_path, raster(tmp_path), budget=0.01))
    (tmp_path / "any").touch()
    modes = {os.stat(tmp_path / name).st_mode for name in ("any", "m.safetensors", "m.safetensors.checkpoint")}
    assert len(modes) == 1


def test_rasters_with_other_bands_or_too_few_pixels_are_rejected(tmp_path):
    three, two = raster(tmp_path, 3), raster(tmp_path, 2, name="two.tif")
    with pytest.raises(errors.BandsDiffer, match="3 good bands are expected, but the raster has 2"):
        run(job(tmp_path, three, two))
    with pytest.raises(errors.TooSmall, match="at least 64 x 32 pixels"):
        run(job(tmp_path, raster(tmp_path, rows=40, name="small.tif")))
    with pytest.raises(errors.InvalidJob, match="FACTOR is 5"):
        job(tmp_path, three, factor=5)
    with pytest.raises(errors.InvalidJob, match="No MODEL"):
        TrainJob((three,), Outputs())
