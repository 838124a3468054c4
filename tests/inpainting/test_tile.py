"""Restoring a tile, and turning estimates into pixels that keep the file's promises."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from core_scenes import landscape, slanted_gaps

from dip_core.imaging.observation import Observation
from dip_core.inpainting import tile as restore
from dip_core.inpainting.experts.plug_and_play import PASSES
from dip_core.inpainting.features import CLASSES, TERMS
from dip_core.inpainting.stacking import Mixture, Rule, no_samples
from dip_core.inpainting.tile import Options, Recipe, TileTask, restore_tile, run_experts
from dip_core.inpainting.uncertainty import Spread
from dip_core.raster.writer import to_stored_pixels
from dip_core.runtime.progress import ProgressReporter
from dip_core.runtime.tiling import tile_seed

LOW, HIGH = np.array([10.0]), np.array([200.0])


def pixels(values, dtype, nodata=None, low=LOW, high=HIGH):
    return to_stored_pixels(np.array(values, float).reshape(1, 1, -1), np.dtype(dtype), low, high, nodata)[0, 0]


def test_estimates_are_rounded_and_stay_within_the_observed_range():
    assert pixels([9.4, 10.4, 10.6, 1e9, -1e9], "uint8").tolist() == [10, 10, 11, 200, 10]
    assert pixels([9.4, 10.4, 250.0], "float32").tolist() == pytest.approx([10, 10.4, 200])
    for dtype in ("uint8", "int8", "int16", "uint32", "float64"):
        assert pixels([50.2], dtype).dtype == dtype


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "float32", "float64"])
@pytest.mark.parametrize("nodata", [11, 50, 105, 199])
def test_no_filled_pixel_is_nodata_by_accident(dtype, nodata):
    """A value that would read as missing moves by the least step, towards the middle of the range."""
    found = pixels([nodata], dtype, nodata)
    assert found[0] != nodata
    assert abs(float(found[0]) - nodata) <= (1 if np.dtype(dtype).kind != "f" else 1e-4)
    assert LOW[0] <= found[0] <= HIGH[0]
    assert pixels([nodata - 1], dtype, nodata)[0] == nodata - 1


def test_the_fill_value_0_is_avoided_at_the_end_of_the_range():
    """Dark pixels of 0 may be observed where 0 also marks gaps."""
    zero = np.array([0.0])
    assert pixels([0.0, -3.0], "uint8", 0.0, zero, HIGH).tolist() == [1, 1]
    assert pixels([0.0], "float32", 0.0, zero, HIGH)[0] > 0


def test_nan_as_nodata_needs_no_care():
    assert pixels([50.0], "float32", np.nan)[0] == 50


def test_a_constant_band_stays_constant():
    seven = np.array([7.0])
    assert pixels([7.0, 6.0, 8.0], "uint8", 0, seven, seven).tolist() == [7, 7, 7]


def test_tile_seeds_are_stable_and_differ():
    """The same place has the same seed wherever and whenever the tile runs."""
    seeds = {tile_seed(seed, row, column) for seed in range(3) for row in range(5) for column in range(5)}
    assert len(seeds) == 75 and all(0 <= seed < 2**32 for seed in seeds)
    assert tile_seed(1, 2, 3) == 3822189696


# A tile


def recipe(names=("linear", "harmonic", "kriging"), weights=(0.0, 0.5, 0.5)):
    empty = np.zeros(0)
    rule = Rule("one weight", np.tile(weights, (1, CLASSES, 1)), np.zeros(0))
    spread = Spread(np.zeros(CLASSES), np.eye(TERMS)[1], np.ones(2))
    return Recipe(Mixture(names, rule, spread, {}, empty, empty, no_samples(names)), Options())


def task(gap=True):
    values = ((landscape(2, 48, 60) - 125) / 40).astype(np.float32)
    missing = np.broadcast_to(slanted_gaps(48, 60) if gap else np.False_, values.shape)
    return TileTask(np.where(missing, 0, values).astype(np.float32), ~missing, missing, 3)


def test_a_tile_is_the_mixture_of_its_experts():
    wanted = task()
    estimate, deviation = restore_tile(recipe(), wanted)
    observation = Observation(wanted.values, wanted.observed, wanted.target)
    harmonic, kriging = run_experts(("harmonic", "kriging"), observation, Options(), 3)
    np.testing.assert_allclose(estimate, (harmonic + kriging) / 2, atol=1e-6)
    # The model of this recipe: the variance is the spread of the two experts, and a floor of 0.01 squared.
    spread = np.sqrt(np.square((harmonic - kriging) / 2) + 1e-4)
    np.testing.assert_allclose(deviation[wanted.target], spread[wanted.target], rtol=1e-3)
    assert (deviation[wanted.observed] == 0).all()


def test_a_tile_without_gaps_costs_nothing():
    wanted = task(gap=False)
    estimate, deviation = restore_tile(recipe(), wanted, ProgressReporter(lambda share: pytest.fail("an expert ran")))
    np.testing.assert_array_equal(estimate, wanted.values)
    assert (deviation == 0).all()


def test_progress_runs_over_all_experts():
    """Those that can stop are asked to go on, until they are done; the others only count."""
    told = []
    names = ("harmonic", "kriging", "plug_and_play")
    restore_tile(recipe(names, (0.2, 0.4, 0.4)), task(), lambda share: told.append(share) or True)
    assert len(told) >= PASSES - 1 and told == sorted(told) and 1 / 3 <= told[0] < told[-1] < 1


def test_nobody_is_asked_on_behalf_of_experts_that_cannot_stop():
    """The answer would tell of a method that the time budget has cut short, where none was."""
    restore_tile(recipe(weights=(0.2, 0.4, 0.4)), task(), ProgressReporter(lambda share: pytest.fail("asked")))


def test_what_fails_beside_the_experts_stops_them(monkeypatch):
    """An expert that goes on until it is asked to stop, or for a minute."""
    begun, asked_to_stop = threading.Event(), []

    def endless(name, **options):
        def run(observation):
            begun.set()
            end = time.monotonic() + 60
            while time.monotonic() < end and not asked_to_stop:
                if not options["progress"].update(0.5):
                    asked_to_stop.append(name)
                time.sleep(0.01)
            return observation.values

        return run

    def fail():
        begun.wait(60)
        raise ValueError("beside")

    monkeypatch.setattr(restore, "expert", endless)
    monkeypatch.setattr(restore, "usable_threads", lambda wanted: wanted)
    wanted = task()
    observation = Observation(wanted.values, wanted.observed, wanted.target)
    with pytest.raises(ValueError, match="beside"):
        run_experts(("linear",), observation, Options(device="cpu", threads=2), 3, beside=[fail])
    assert asked_to_stop == ["linear"]


def test_a_tile_with_a_network_depends_on_its_seed_alone():
    import dataclasses

    one = recipe(("deep_prior",), (1.0,))
    one = Recipe(one.mixture, Options(device="cpu", iterations=2, threads=1))
    first, again, other = (restore_tile(one, dataclasses.replace(task(), seed=seed))[0].tobytes() for seed in (3, 3, 4))
    assert first == again != other
