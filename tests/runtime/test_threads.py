"""Threads: how many are used, and which libraries are limited."""

from __future__ import annotations

import os
import subprocess
import sys

import torch
from core_scenes import ROOT

from dip_core.runtime.threads import set_torch_threads


def test_one_core_is_left_for_the_desktop():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    before = torch.get_num_threads()
    try:
        assert set_torch_threads(1) == torch.get_num_threads() == 1
        assert set_torch_threads(1000) == cores
        assert set_torch_threads() == (cores - 1 if cores > 2 else cores)
    finally:
        torch.set_num_threads(before)


def _blas_threads(**environ: str) -> list[int]:
    code = """if True:
        from dip_core.runtime.threads import limit_blas_threads
        from threadpoolctl import threadpool_info
        limit_blas_threads()
        import scipy.linalg
        print([pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"])
    """
    kept = {name: value for name, value in os.environ.items() if "_NUM_THREADS" not in name}
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=kept | environ, capture_output=True, text=True)
    return [int(number) for number in ran.stdout.strip("[] \n").split(",")]


def test_blas_libraries_use_one_thread():
    found = _blas_threads()
    assert found and set(found) == {1}


def test_the_users_number_of_blas_threads_has_priority():
    assert set(_blas_threads(OPENBLAS_NUM_THREADS="2")) <= {1, 2} and 2 in _blas_threads(OPENBLAS_NUM_THREADS="2")
