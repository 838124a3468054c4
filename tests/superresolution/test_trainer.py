"""The trainer: the paper's options, learning, and a learning rate that falls in time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from core_scenes import landscape

from dip_core.superresolution.trainer import Trainer, TrainingOptions, reorient
from dip_core.superresolution.training_data import PatchPairs
from dip_core.superresolution.training_patches import degrade_and_enlarge
from dip_core.superresolution.training_scores import evaluate

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def pairs(count=8, bands=2, seed=0) -> PatchPairs:
    """Random patches of a landscape, with values up to 1."""
    image = landscape(bands, 80, 40).astype(np.float32)
    enlarged = degrade_and_enlarge(image, 2).astype(np.float32)
    corners = np.random.default_rng(seed).integers(0, (49, 9), (count, 2))
    cut = ([source[:, row : row + 32, column : column + 32] for row, column in corners] for source in (image, enlarged))
    return PatchPairs(*(np.stack(patches) / image.max() for patches in cut))


def flat_trainer() -> Trainer:
    """A trainer without anything to learn."""
    flat = np.ones((2, 1, 32, 32), np.float32)
    return Trainer(PatchPairs(flat, flat), PatchPairs(flat, flat), TrainingOptions(), 0, CPU)


def test_options_are_the_papers():
    paper = TrainingOptions()
    assert (paper.batch_size, paper.learning_rate, paper.momentum, paper.weight_decay) == (128, 0.01, 0.9, 1e-4)
    assert (paper.patience, paper.rate_divisor, paper.min_learning_rate, paper.alpha) == (3, 10.0, 1e-6, 0.5)


def test_training_lowers_loss_and_angle():
    training, validation = pairs(12), pairs(2, seed=1)
    # Batches this small need a lower rate than the paper's.
    trainer = Trainer(training, validation, TrainingOptions(batch_size=3, learning_rate=1e-3), 0, CPU)
    before = evaluate(trainer.network, validation, 0.5, 2, CPU)
    assert before.loss == pytest.approx(trainer.baseline.loss, rel=1e-4)
    for _ in range(2):
        while not trainer.epoch_is_complete:
            trainer.step()
        trainer.end_epoch()
    assert trainer.best_scores.loss < 0.7 * before.loss
    assert trainer.best_scores.psnr > before.psnr + 1.0 and trainer.best_scores.sam < before.sam


def test_the_network_gets_bands_of_mean_0_and_deviation_1():
    training = pairs(bands=3)
    network = Trainer(training, training, TrainingOptions(), 0, CPU).network
    scaled = (torch.from_numpy(training.enlarged) - network.mean) / network.deviation
    assert scaled.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    torch.testing.assert_close(scaled.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-3, rtol=0)


def test_the_learning_rate_falls_after_three_epochs_without_improvement():
    trainer = flat_trainer()
    rates = []
    while not trainer.finished:
        rates.append(trainer.learning_rate)
        trainer.end_epoch()
    # The baseline is the first score; then three epochs at each rate, down to 1e-6.
    assert len(rates) == 3 * 5
    assert rates[2] == 0.01 and rates[3] == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-6)


def test_the_learning_rate_falls_before_a_time_budget_ends():
    trainer = flat_trainer()
    rates = []
    for trainer.budget_spent in (0.0, 0.59, 0.6, 0.84, 0.85, 1.0):
        rates.append(trainer.learning_rate)
    assert rates == pytest.approx([0.01, 0.01, 1e-3, 1e-3, 1e-4, 1e-4])
    assert not trainer.finished
    trainer.rate_drops = 3  # the schedule itself was further
    assert trainer.learning_rate == pytest.approx(1e-5)


def test_patches_are_reoriented_in_all_ways_and_pairs_alike():
    patch = np.arange(2 * 4 * 4, dtype=np.float32).reshape(1, 2, 4, 4)
    every = reorient(np.repeat(patch, 8, axis=0), np.arange(8))
    np.testing.assert_array_equal(every[0], patch[0])
    assert len({one.tobytes() for one in every}) == 8
    for one in every:  # bands stay together, and no pixel is lost
        np.testing.assert_array_equal(one[1] - one[0], 16)
        np.testing.assert_array_equal(np.sort(one[0].ravel()), np.arange(16))


def test_a_loaded_state_continues_exactly():
    data, options = pairs(4, 1), TrainingOptions(batch_size=2)
    whole = Trainer(data, data, options, 0, CPU)
    whole.step()
    tensors, record = whole.state()
    whole.step()
    continued = Trainer(data, data, options, 0, CPU)
    continued.load_state(tensors, record)
    assert continued.batch == 1
    continued.step()
    for one, other in zip(whole.network.parameters(), continued.network.parameters()):
        assert torch.equal(one, other)


def test_a_state_of_another_network_changes_nothing():
    data = pairs(4, 1)
    trainer, other = (Trainer(data, data, TrainingOptions(), seed, CPU) for seed in (0, 1))
    tensors, record = other.state()
    before = trainer.state()[0]
    with pytest.raises(ValueError, match="another network"):
        trainer.load_state(tensors | {"best.mean": np.zeros((7, 1, 1), np.float32)}, record)
    with pytest.raises(TypeError):
        trainer.load_state(tensors, record | {"best_figures": None})
    after = trainer.state()[0]
    assert all(np.array_equal(before[name], after[name]) for name in before)
