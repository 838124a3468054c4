"""Training the cascade: it learns, keeps to its time, goes on where it stopped, and its models say what they fit."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
import torch
from core_scenes import landscape, write

from dip_core import errors
from dip_core.events import Message
from dip_core.imaging.degradation import bicubic_enlargement, gaussian_decimation
from dip_core.job import Compute, Outputs, TrainJob, from_json, to_json
from dip_core.raster import atomic
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context
from dip_core.superresolution import model_file, training_patches
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.trainer import Settings, Trainer, evaluate, loss, turned
from dip_core.superresolution.training_patches import Pairs
from dip_core.tasks import train_superresolver

TINY = Settings(batch=4, epochs=2)
CPU = torch.device("cpu")
ONE = torch.ones(1, 1)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def raster(folder, bands=3, rows=80, columns=40, name="fine.tif", waves=None, **profile):
    path = write(folder / name, landscape(bands, rows, columns).astype(np.float32), **profile)
    if waves:
        import rasterio

        with rasterio.open(path, "r+") as file:
            for number, wave in enumerate(waves, 1):
                file.update_tags(number, wavelength=str(wave), wavelength_units="nm")
    return path


def job(folder, *inputs, budget=None, factor=2):
    return TrainJob(inputs, Outputs(model=str(folder / "m.safetensors")), factor, Compute("cpu", 1, budget, threads=1))


def run(asked, settings=TINY, most=8):
    """Train as the worker does; returns the numbers and what was said."""
    told = []
    budget = asked.compute.time_budget
    try:
        result = train_superresolver.run(from_json(to_json(asked)), Context(told.append, budget), settings, most)
        atomic.commit()
    finally:
        atomic.discard()
    return result.numbers, [event.text for event in told if isinstance(event, Message)]


def material(folder, factor=2, most=8, **options):
    with Scene([raster(folder, **options)]) as scene:
        return training_patches.cut([scene], factor, np.random.default_rng(0), most)


def test_settings_are_the_papers():
    paper = Settings()
    assert (paper.batch, paper.learning_rate, paper.momentum, paper.weight_decay) == (128, 0.01, 0.9, 1e-4)
    assert (paper.patience, paper.division, paper.least_rate, paper.alpha) == (3, 10.0, 1e-6, 0.5)
    assert (training_patches.SIZE, training_patches.BLUR, training_patches.MOST) == (32, 3.0, 30_000)


def test_loss_is_half_square_and_one_minus_cosine():
    fine = torch.tensor([[[[3.0]], [[4.0]]]])
    turned = torch.tensor([[[[-4.0]], [[3.0]]]])  # at right angles, square error (49 + 1) / 2
    assert float(loss(fine, fine, 0.5, ONE)) == pytest.approx(0.0, abs=1e-7)
    assert float(loss(turned, fine, 0.5, ONE)) == pytest.approx(0.5 * 12.5 + 0.5 * 1.0)
    assert float(loss(2 * fine, fine, 0.0, ONE)) == pytest.approx(0.0, abs=1e-7)  # the angle knows no brightness


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarged_patches_are_the_papers_degradation(tmp_path, factor):
    whole = landscape(2, 70, 40).astype(np.float32)
    coarse = gaussian_decimation((70, 40), factor, 3.0).apply(whole)
    soft = bicubic_enlargement(coarse.shape[1:], factor).apply(coarse)[:, :70, :40]
    found = material(tmp_path, factor, bands=2, rows=70)
    for fine, enlarged in zip(found.training.fine, found.training.enlarged):
        places = [
            (row, column)
            for row in range(39)
            for column in range(9)
            if np.allclose(whole[:, row : row + 32, column : column + 32] / found.scale, fine, atol=1e-6)
        ]
        row, column = places[0]
        assert np.allclose(soft[:, row : row + 32, column : column + 32] / found.scale, enlarged, atol=1e-5)


def test_training_and_validation_share_no_pixel_and_no_missing_one(tmp_path):
    rows, columns = 100, 40
    place = np.arange(1, rows * columns + 1, dtype=np.float32).reshape(1, rows, columns)
    place[0, 5, :] = -1
    path = write(tmp_path / "places.tif", place, nodata=-1)
    with Scene([path]) as scene:
        found = training_patches.cut([scene], 2, np.random.default_rng(0), 40)
    learnt, held = (np.rint(pairs.fine * found.scale) for pairs in (found.training, found.validation))
    assert len(learnt) > 10 and len(held) >= 1
    assert not np.intersect1d(learnt, held).size
    assert learnt.min() > 6 * columns and held.min() > 6 * columns  # patches lie below the missing row


@pytest.mark.parametrize("missing", [np.nan, None])
def test_zeros_are_learnt_from_where_something_else_marks_what_is_missing(tmp_path, missing):
    values = landscape(2, 100, 40).astype(np.float32)
    values[:, 25, 20] = 0
    if missing is not None:
        values[:, 5, 3] = missing
    with Scene([write(tmp_path / "fine.tif", values)]) as scene:
        found = training_patches.cut([scene], 2, np.random.default_rng(0), 40)
    assert np.isfinite(found.training.fine).all()
    # With nothing else to mark it, 0 in all bands is fill.
    assert (found.training.fine == 0).any() == (missing is not None)


def test_bad_and_empty_bands_are_left_out(tmp_path):
    import rasterio

    cube = landscape(4, 70, 40).astype(np.float32)
    cube[1] = -9
    path = write(tmp_path / "four.tif", cube, nodata=-9)
    with rasterio.open(path, "r+") as file:
        file.update_tags(3, bbl="0")
    with Scene([path]) as scene:
        assert training_patches.cut([scene], 2, np.random.default_rng(0), 4).bands == 2


def test_training_lowers_loss_and_angle(tmp_path):
    found = material(tmp_path, most=16)
    # Batches this small are too restless for the paper's rate.
    trainer = Trainer(found.training, found.validation, Settings(batch=4, learning_rate=1e-3), 0, CPU)
    before = evaluate(trainer.network, found.validation, trainer.settings, CPU)
    assert before.loss == pytest.approx(trainer.baseline.loss) and before.psnr == pytest.approx(trainer.baseline.psnr)
    for _ in range(2):
        while not trainer.at_epochs_end:
            trainer.step()
        trainer.end_epoch()
    assert trainer.best_figures.loss < 0.7 * before.loss
    assert trainer.best_figures.psnr > before.psnr + 1.0 and trainer.best_figures.sam < before.sam


def test_network_sees_bands_of_mean_0_and_deviation_1(tmp_path):
    found = material(tmp_path, most=16)
    network = Trainer(found.training, found.validation, Settings(), 0, CPU).network
    seen = (torch.from_numpy(found.training.enlarged) - network.mean) / network.deviation
    assert seen.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    torch.testing.assert_close(seen.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-3, rtol=0)
    error = torch.full((1, 3, 1, 1), 0.1)
    assert float(loss(error, 0 * error, 1.0, network.deviation)) == pytest.approx(
        float((0.1 / network.deviation).square().mean() / 2)
    )


def test_learning_rate_falls_after_three_epochs_without_improvement(monkeypatch):
    flat = np.ones((2, 1, 32, 32), np.float32)
    trainer = Trainer(Pairs(flat, flat), Pairs(flat, flat), Settings(), 0, CPU)
    monkeypatch.setattr("dip_core.superresolution.trainer.evaluate", lambda *_: evaluate_flat())
    rates = []
    while not trainer.finished:
        rates.append(trainer.rate)
        trainer.end_epoch()
    # The enlarged image sets the mark; then three epochs at each rate, down to 1e-6 and no further.
    assert len(rates) == 3 * 5
    assert rates[2] == 0.01 and rates[3] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-6)


def test_patches_are_turned_in_all_ways_and_pairs_alike():
    patch = np.arange(2 * 4 * 4, dtype=np.float32).reshape(1, 2, 4, 4)
    every = turned(np.repeat(patch, 8, axis=0), np.arange(8))
    np.testing.assert_array_equal(every[0], patch[0])
    assert len({one.tobytes() for one in every}) == 8
    for one in every:  # bands stay together, and no pixel is lost
        np.testing.assert_array_equal(one[1] - one[0], 16)
        np.testing.assert_array_equal(np.sort(one[0].ravel()), np.arange(16))


def test_learning_rate_falls_before_a_time_budget_ends():
    flat = np.ones((2, 1, 32, 32), np.float32)
    trainer = Trainer(Pairs(flat, flat), Pairs(flat, flat), Settings(), 0, CPU)
    rates = []
    for trainer.spent in (0.0, 0.59, 0.6, 0.84, 0.85, 1.0):
        rates.append(trainer.rate)
    assert rates == pytest.approx([0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])
    assert not trainer.finished
    trainer.drops = 3  # the schedule itself was further
    assert trainer.rate == pytest.approx(1e-5)


def evaluate_flat():
    from dip_core.superresolution.trainer import Figures

    return Figures(1.0, 10.0, float("nan"))


def test_resumed_training_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    asked = job(tmp_path, raster(tmp_path))
    run(asked)
    wanted, _ = model_file.read(asked.outputs.model)
    os.remove(asked.outputs.model)

    steps = []
    whole_step = Trainer.step

    def breaks(trainer):
        if len(steps) == 3:  # in the middle of the second epoch
            raise errors.Cancelled()
        steps.append(1)
        return whole_step(trainer)

    monkeypatch.setattr(train_superresolver, "_SAVE_EVERY", 0.0)
    monkeypatch.setattr(Trainer, "step", breaks)
    with pytest.raises(errors.Cancelled):
        run(asked)
    assert set(os.listdir(tmp_path)) == {"fine.tif", "m.safetensors.checkpoint"}
    monkeypatch.setattr(Trainer, "step", whole_step)
    _, said = run(asked)
    found, card = model_file.read(asked.outputs.model)
    assert any("Going on where an earlier run ended, in epoch 2" in text for text in said)
    assert card.figures["epochs"] == 2 and card.figures["finished"]
    assert all(np.array_equal(wanted[name], found[name]) for name in wanted)
    assert not os.path.exists(asked.outputs.model + ".checkpoint")


def test_checkpoint_of_another_training_is_not_used(tmp_path):
    source = raster(tmp_path)
    run(job(tmp_path, source, budget=0.01), Settings(batch=4))
    assert os.path.exists(tmp_path / "m.safetensors.checkpoint")
    _, said = run(job(tmp_path, source, factor=3, budget=0.01), Settings(batch=4))
    assert any("of another training" in text for text in said)


def test_incomplete_checkpoint_is_not_used(tmp_path):
    source = raster(tmp_path)
    run(job(tmp_path, source, budget=0.01), Settings(batch=4))
    path = str(tmp_path / "m.safetensors.checkpoint")
    tensors, record = model_file.load(path, train_superresolver.ITEM)
    for damaged in (
        ({name: value for name, value in tensors.items() if name != "network.mean"}, record),
        (tensors, record | {"best_figures": None}),
        (tensors | {"best.mean": np.zeros((7, 1, 1), np.float32)}, record),
    ):
        model_file.save(path, damaged[0], train_superresolver.ITEM, damaged[1])
        numbers, said = run(job(tmp_path, source, budget=0.01), Settings(batch=4))
        assert any("is incomplete: the training starts anew" in text for text in said) and numbers["PSNR"] > 0


def test_too_short_a_budget_is_told(tmp_path):
    _, said = run(job(tmp_path, raster(tmp_path), budget=0.01), Settings(batch=4))
    assert any("TIME_BUDGET 0 s was too short" in text for text in said)


def test_time_budget_ends_with_a_model_and_keeps_the_checkpoint(tmp_path):
    asked = job(tmp_path, raster(tmp_path), budget=0.01)
    numbers, said = run(asked, Settings(batch=4, learning_rate=100.0))
    tensors, card = model_file.read(asked.outputs.model)
    assert card.figures["epochs"] == 0 and not card.figures["finished"]
    assert numbers["PSNR"] == pytest.approx(card.figures["psnr"]) and numbers["BICUBIC_SAM"] > 0
    assert any("time budget ended the training" in text for text in said)
    assert any("not better than bicubic" in text for text in said)
    assert os.path.exists(asked.outputs.model + ".checkpoint")
    Cascade(card.bands).load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})


def test_model_file_is_safetensors_with_a_readable_header(tmp_path):
    asked = job(tmp_path, raster(tmp_path, waves=[450, 550, 650]), budget=0.01)
    run(asked)
    with open(asked.outputs.model, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        card = json.loads(json.loads(file.read(size))["__metadata__"]["DEEP_PRIOR_MODEL"])
    assert card["format"] == model_file.FORMAT and card["bands"] == 3 and card["factor"] == 2
    assert card["wavelengths"] == pytest.approx([0.45, 0.55, 0.65])
    assert card["degradation"] == {"psf": "gaussian", "sigma": 3.0}
    assert card["loss"]["alpha"] == 0.5 and card["scale"] > 100
    assert {"psnr", "bicubic_psnr", "sam", "bicubic_sam", "epochs", "patches"} <= set(card["figures"])
    assert {"deep_prior", "torch"} <= set(card["made"]["versions"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_model_is_as_readable_as_any_file(tmp_path):
    """A model is there to be shared, so it must not be its owner's alone."""
    asked = job(tmp_path, raster(tmp_path), budget=0.01)
    run(asked)
    (tmp_path / "any").touch()
    modes = {os.stat(tmp_path / name).st_mode for name in ("any", "m.safetensors", "m.safetensors.checkpoint")}
    assert len(modes) == 1


def test_model_that_does_not_fit_is_refused_in_one_sentence():
    card = model_file.Card(2, 2, (0.45, None), 1.0)
    card.check("m", 2, (0.4501, 0.9), 2)
    for bands, waves, factor, words in (
        (2, (0.45, 0.9), 3, "it enlarges 2 times, not 3 times"),
        (3, (0.45, 0.9, 1.0), 2, "2 good bands are wanted and the raster has 3"),
        (2, (0.5, 0.9), 2, "good band 1 is at 500 nm in the raster instead of 450 nm"),
    ):
        with pytest.raises(errors.ModelMismatch) as caught:
            card.check("m", bands, waves, factor)
        assert words in str(caught.value) and "Choose another model" in str(caught.value)


def test_what_is_no_model_is_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not a model")
    for path in (other, tmp_path / "missing.safetensors"):
        with pytest.raises(errors.UnreadableModel):
            model_file.read(str(path))
    model_file.save(str(other), {"a": np.zeros(1)}, model_file.ITEM, {"format": 99})
    with pytest.raises(errors.UnreadableModel, match="another version"):
        model_file.read(str(other))


def test_rasters_that_do_not_go_together_or_are_too_small_are_refused(tmp_path):
    three, two = raster(tmp_path), raster(tmp_path, bands=2, name="two.tif")
    with pytest.raises(errors.BandsDiffer, match="3 good bands are wanted and the raster has 2"):
        run(job(tmp_path, three, two))
    with pytest.raises(errors.TooSmall, match="at least 64 x 32 pixels"):
        run(job(tmp_path, raster(tmp_path, rows=40, name="small.tif")))
    with pytest.raises(errors.InvalidJob, match="FACTOR is 5"):
        job(tmp_path, three, factor=5)
    with pytest.raises(errors.InvalidJob, match="No MODEL"):
        TrainJob((three,), Outputs())
