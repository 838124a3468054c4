"""Runs a Dask cluster with one worker until standard input ends; prints the address of the scheduler.

This is a separate program because the import path of the worker must contain no checkout: the job sends its code.
"""

from __future__ import annotations

import sys

from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp://", memory_limit=0
    ) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
