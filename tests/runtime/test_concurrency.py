"""Concurrent work: results in order, tasks made only when needed, errors raised in their place."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np
import pytest
import torch
from core_scenes import landscape

from dip_core.denoising import deep_prior
from dip_core.dip import image_fit
from dip_core.events import Progress
from dip_core.runtime.concurrency import SharedProgress, map_in_order, run_all
from dip_core.runtime.context import Context
from dip_core.runtime.executors import LocalExecutor, budgeted_progress
from dip_core.runtime.progress import ProgressReporter


def test_workers_run_at_the_same_time_and_results_keep_their_order():
    meeting = threading.Barrier(3, timeout=10)  # passes only if three workers run at the same time

    def work(task):
        meeting.wait()
        time.sleep(0.02 * (3 - task % 3))
        return task * task

    assert list(map_in_order(work, range(9), 3)) == [task * task for task in range(9)]


def test_one_worker_is_the_calling_thread():
    assert set(map_in_order(lambda task: threading.get_ident(), range(3), 1)) == {threading.get_ident()}


def test_tasks_are_made_no_faster_than_they_are_needed():
    made = []

    def tasks():
        for task in range(50):
            made.append(task)
            yield task

    results = map_in_order(lambda task: task, tasks(), 2)
    assert next(results) == 0 and len(made) <= 4
    results.close()
    assert len(made) <= 4


def test_an_error_is_raised_in_its_place_and_ends_the_work():
    begun = []

    def work(task):
        begun.append(task)
        if task == 2:
            raise ValueError("two")
        time.sleep(0.01)
        return task

    found = []
    with pytest.raises(ValueError, match="two"):
        for result in map_in_order(work, range(100), 2):
            found.append(result)
    assert found == [0, 1] and len(begun) < 10


def test_shared_progress_never_falls():
    emitted = []
    shares = SharedProgress(4, lambda done, piece: emitted.append((done, piece)))
    for place, fraction in ((1, 0.5), (0, 1.0), (1, 0.25), (1, 1.0), (2, 1.0), (3, 1.0)):
        shares.update(place, fraction)
    assert emitted == [(0.125, 1), (0.375, 2), (0.375, 2), (0.5, 3), (0.75, 4), (1.0, 4)]


def test_an_error_stops_the_pieces_that_still_run():
    """A concurrent fit would otherwise continue for minutes after another one failed."""
    shares = SharedProgress(2, lambda done, piece: True)
    running, failed = threading.Event(), threading.Event()
    steps = []

    def work(place):
        with shares.piece(place) as note:
            if place == 1:
                assert running.wait(10)
                failed.set()
                raise ValueError("one")
            while note.update(0.01 * len(steps)) and len(steps) < 1000:
                steps.append(place)
                running.set()
                time.sleep(0.01)

    with pytest.raises(ValueError, match="one"):
        list(map_in_order(work, range(2), 2))
    assert failed.is_set() and len(steps) < 500


def test_a_piece_that_ends_early_counts_as_complete():
    emitted = []
    shares = SharedProgress(2, lambda done, piece: emitted.append(done))
    for place in (0, 1):
        with shares.piece(place) as progress:
            assert progress.update(0.4)  # no answer lets the work continue
    assert emitted == [0.2, 0.5, 0.7, 1.0]


def test_a_piece_stops_on_request():
    with SharedProgress(1, lambda done, piece: done < 0.5).piece(0) as progress:
        assert progress.update(0.4) and not progress.update(0.6)


def test_progress_of_concurrent_tiles_is_monotonic_and_ends_at_1():
    emitted = []

    def work(recipe, task, progress):
        for step in range(1, 6):
            time.sleep(0.001 * (task % 3))
            assert progress.update(step / 5)
        return np.zeros((1, 1, 1)), np.full((1, 1, 1), task)

    tiles = LocalExecutor(Context(emitted.append), work, "Filling")
    assert [int(places[0, 0, 0]) for _, places in tiles.results(None, iter(range(8)), 8, 3)] == list(range(8))
    progress = [event.fraction for event in emitted if isinstance(event, Progress)]
    assert progress == sorted(progress) and progress[-1] == 1.0
    assert emitted[-1].step == "Filling tile 8 of 8"


def test_concurrent_tiles_share_the_remaining_time():
    context = Context(time_budget=4.0)
    progress = budgeted_progress(context, 0, 4, workers=2)
    context._start -= 1.5  # each of two concurrent tiles may use half of the remaining time
    assert progress.update(0.5)
    context._start -= 1.0
    assert not progress.update(0.5)


def test_concurrent_seeds_give_the_same_mean(monkeypatch):
    images = landscape(3, 40, 44).astype(np.float32)
    seen = np.ones((40, 44), bool)
    at_once, most = [], []
    whole = image_fit.fit

    def counted(*args, **options):
        at_once.append(torch.get_num_threads())
        most.append(len(at_once))
        try:
            return whole(*args, **options)
        finally:
            at_once.pop()

    monkeypatch.setattr(image_fit, "fit", counted)
    before = torch.get_num_threads()
    means, emitted = [], []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            most.clear(), emitted.clear()
            means.append(
                deep_prior.denoise_eigen_images(
                    images,
                    seen,
                    iterations=4,
                    seeds=2,
                    progress=ProgressReporter(lambda done: emitted.append(done) or True),
                )
            )
            assert max(most) == threads and torch.get_num_threads() == threads
            assert (
                emitted == sorted(emitted) and emitted[-1] == 1.0 and len(emitted) == 10
            )  # 4 iterations and the end of each fit
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*means)


def test_a_stopped_network_stops_the_concurrent_one():
    images, emitted = landscape(2, 36, 36).astype(np.float32), []
    stopped = deep_prior.denoise_eigen_images(
        images,
        np.ones((36, 36), bool),
        seeds=2,
        progress=ProgressReporter(lambda done: emitted.append(done) or len(emitted) < 6),
    )
    assert len(emitted) <= 10 and np.isfinite(stopped).all()


def test_all_jobs_run_and_the_first_error_is_raised():
    def fail(number):
        raise ValueError(number)

    for workers in (1, 2):
        done = []
        run_all([partial(done.append, number) for number in range(5)], workers)
        assert sorted(done) == list(range(5))
        with pytest.raises(ValueError, match=r"^3$"):
            run_all([lambda: None, partial(fail, 3), partial(fail, 4)], workers)


def test_an_error_beside_a_long_job_drops_the_rest():
    failed, begun = threading.Event(), []

    def fail():
        failed.set()
        raise MemoryError

    def long():
        failed.wait(10)
        time.sleep(0.3)  # in which the other worker would take the next job

    def next_job():
        time.sleep(0.05)
        begun.append(True)

    with pytest.raises(MemoryError):
        run_all([long, fail, *[next_job] * 20], 2)
    assert len(begun) <= 2


def test_a_long_job_does_not_keep_the_others_waiting():
    """One worker has the long job; the other one does all others in the meantime."""
    rest = threading.Event()
    left = list(range(6))

    def short():
        left.pop()
        if not left:
            rest.set()

    in_time = []
    run_all([lambda: in_time.append(rest.wait(10)), *[short] * 6], 2)
    assert in_time == [True]
