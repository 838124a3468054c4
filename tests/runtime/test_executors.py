"""Executors: a Dask cluster gives the same result as this machine, and a missing cluster is reported in time."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from core_scenes import ROOT, fill, landscape, read, slanted_gaps, write

from dip_core.errors import SchedulerUnavailable
from dip_core.events import Message, Progress
from dip_core.runtime.context import Context
from dip_core.runtime.dask_executor import DaskExecutor
from dip_core.runtime.executors import LocalExecutor, make_executor

distributed = pytest.importorskip("distributed", reason="Dask is an extra of the engine")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers in processes of their own, which can only import what is sent to them."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    dask = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-E", "-m", "dask"]
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    commands = [
        [*dask, "scheduler", *common, "--port", "0", "--host", "127.0.0.1"],
        [*dask, "worker", *common, "--nworkers", "2", "--nthreads", "1", "--memory-limit", "0"],
    ]
    running = []
    try:
        for command in commands:
            running.append(subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL))
        with distributed.Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(20)


def test_no_address_means_this_machine():
    assert isinstance(make_executor(None, Context(), double, "Doubling"), LocalExecutor)
    assert isinstance(make_executor("", Context(), double, "Doubling"), LocalExecutor)


def double(recipe, task, progress=None):
    """Work that is easy to check."""
    time.sleep(0.05 * (task % 3))  # so that tiles do not end in the order of their start
    values = np.full((1, 2, 2), recipe * task, np.float32)
    return values, values + 1


double.__module__ = "__main__"  # sent by value, because the workers cannot import this file


def test_results_have_the_order_of_the_tasks(cluster):
    emitted = []
    dask = DaskExecutor(cluster, Context(emitted.append), double, "Doubling")
    assert "2 Dask workers" in next(event.text for event in emitted if isinstance(event, Message))
    results = list(dask.results(2, iter(range(12)), 12))
    assert [int(values[0, 0, 0]) for values, _ in results] == [2 * task for task in range(12)]
    progress = [event.fraction for event in emitted if isinstance(event, Progress)]
    assert progress == sorted(progress) and progress[-1] == 1.0 and len(progress) == 12


def test_tasks_are_made_no_faster_than_they_are_needed(cluster):
    """A scene of a thousand tiles must not be in memory at once: each worker has two tiles."""
    made = []

    def tasks():
        for task in range(50):
            made.append(task)
            yield task

    results = DaskExecutor(cluster, Context(), double, "Doubling").results(1, tasks(), 50)
    for taken in range(1, 6):
        next(results)
        assert len(made) <= 4 + taken
    results.close()  # for example because the consumer failed
    assert len(made) < 12


def fail(recipe, task, progress=None):
    raise ZeroDivisionError("by zero")


fail.__module__ = "__main__"


def test_an_error_on_a_worker_is_reported(cluster):
    with pytest.raises(SchedulerUnavailable, match=r"a tile failed on a worker with 'ZeroDivisionError: by zero'"):
        list(DaskExecutor(cluster, Context(), fail, "Failing").results(1, range(3), 3))


def test_a_cluster_gives_the_same_file_as_this_machine(cluster, tmp_path):
    gap = slanted_gaps(150, 170)
    path = write(tmp_path / "in.tif", np.where(gap, 0, landscape(2, 150, 170)).astype("u1"), nodata=0)
    options = {"tile_size": 64, "overlap": 16, "seed": 3}
    local, here, _ = fill(tmp_path / "here", path, **options)
    remote, there, _ = fill(tmp_path / "there", path, **options, scheduler=cluster)
    assert local.numbers == remote.numbers and local.numbers["PIXELS_LEFT"] == 0
    for name in ("output", "filled"):
        np.testing.assert_array_equal(read(here[name]), read(there[name]))
    # Other processes may sum in another order, which changes the last digits of single precision.
    np.testing.assert_allclose(read(here["uncertainty"]), read(there["uncertainty"]), rtol=1e-4)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "missing port"),
        ("127.0.0.1", "missing port"),
        ("foo://bar:1", "unknown address scheme 'foo'"),
        ("tcp://127.0.0.1:1", "refused"),
        ("127.0.0.1:1", "refused"),
        ("tls://127.0.0.1:1", "refused"),
    ],
)
def test_wrong_addresses_are_rejected_at_once(address, reason):
    started = time.monotonic()
    with pytest.raises(SchedulerUnavailable, match=reason) as caught:
        make_executor(address, Context(), double, "Doubling")
    assert str(caught.value).startswith(f"Cannot use the Dask scheduler '{address}': ")
    assert str(caught.value).endswith("Leave SCHEDULER empty to run on this machine.")
    assert time.monotonic() - started < 3


def test_waiting_for_a_silent_scheduler_times_out():
    """A port that accepts and stays silent, as of another program; 15 s in use, 3 s here.

    In a process of its own, which leaves as the worker does: a client that never connected waits 20 s for its end.
    """
    code = """if True:
        import os, sys, time
        from dip_core import errors
        from dip_core.runtime.context import Context
        from dip_core.runtime.dask_executor import DaskExecutor

        started = time.monotonic()
        try:
            DaskExecutor(sys.argv[1], Context(), None, "", timeout=3.0)
        except errors.SchedulerUnavailable as error:
            print(error, time.monotonic() - started, sep="|", flush=True)
        os._exit(0)
    """
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        command = [sys.executable, "-c", code, address]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    sentence, seconds = ran.stdout.strip().split("|")
    assert address in sentence and float(seconds) < 5


def test_a_cluster_without_workers_is_rejected():
    with (
        distributed.LocalCluster(n_workers=0, processes=True, dashboard_address=":0", protocol="tcp://") as empty,
        pytest.raises(SchedulerUnavailable, match="it has no worker"),
    ):
        make_executor(empty.scheduler_address, Context(), double, "Doubling")
