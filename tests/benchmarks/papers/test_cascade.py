"""Training of the cascade with scores on the test image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.papers import cascade
from dip_core.superresolution.trainer import Trainer, TrainingOptions
from dip_core.superresolution.training_data import PatchPairs

FINE = np.random.default_rng(0).random((2, 40, 36)).astype(np.float32)


@pytest.fixture
def test_pairs():
    return cascade.make_test_pairs(FINE, 2, scale=2.0)


def trainer(test_pairs, **options):
    patches = PatchPairs(*(array[:, :, :32, :32].repeat(4, axis=0) for array in (test_pairs.fine, test_pairs.enlarged)))
    return Trainer(patches, patches, TrainingOptions(batch_size=2, **options), 0, torch.device("cpu"))


def test_the_test_image_is_blurred_and_enlarged_again(test_pairs):
    np.testing.assert_array_equal(test_pairs.fine[0], FINE / 2)
    assert test_pairs.enlarged.shape == test_pairs.fine.shape
    assert test_pairs.enlarged.std() < 0.5 * test_pairs.fine.std()


def test_without_time_there_is_one_step_and_a_score_of_the_best_weights(test_pairs):
    points = []
    facts = cascade.train(trainer(test_pairs), test_pairs, budget=1e-9, interval=60.0, add_point=points.append)
    assert [point["iteration"] for point in points] == [1] and set(points[0]["images"]) == {"best"}
    assert points[0]["seconds"] > 0 and facts["epochs"] == 0 and len(facts["history"]) == 1


def test_the_test_image_is_scored_at_intervals_and_at_the_end(test_pairs):
    points = []
    cascade.train(trainer(test_pairs, epochs=2), test_pairs, budget=60.0, interval=0.0, add_point=points.append)
    assert [set(point["images"]) for point in points] == [{"present"}] * 4 + [{"best"}]
