"""The memory that a run may use: limits of containers and of the process count, and a refusal gives true figures."""

from __future__ import annotations

import math
import subprocess
import sys

import psutil
import pytest

from dip_core.errors import OutOfMemory
from dip_core.runtime import memory, memory_limits
from dip_core.runtime.blocks import MAX_BLOCK_ROWS, MAX_BLOCK_VALUES, band_groups, block_rows
from dip_core.runtime.memory import available_memory, format_bytes, require_memory, total_memory
from dip_core.runtime.memory_limits import MemoryLimit, memory_group

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="control groups are Linux's")


def tree(root, cgroup: str, files: dict[str, str]):
    """A file system with the control groups of a process."""
    for name, text in {"proc/self/cgroup": cgroup, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@linux
def test_version_2_of_control_groups(tmp_path):
    root = tree(
        tmp_path,
        "0::/app/run\n",
        {
            "sys/fs/cgroup/app/run/memory.max": "max\n",
            "sys/fs/cgroup/app/run/memory.current": "7\n",
            "sys/fs/cgroup/app/run/memory.stat": "anon 5\ninactive_file 1\n",
            "sys/fs/cgroup/app/memory.max": "4000000000\n",
            "sys/fs/cgroup/app/memory.current": "3000000000\n",
            "sys/fs/cgroup/app/memory.stat": "anon 5\ninactive_file 500000000\n",
        },
    )
    assert memory_group(root) == MemoryLimit(4e9, 1.5e9)


@linux
def test_version_1_of_control_groups(tmp_path):
    folder = "sys/fs/cgroup/memory/docker/7"
    root = tree(
        tmp_path,
        "5:cpu,cpuacct:/docker/7\n4:memory:/docker/7\n0::/\n",
        {
            f"{folder}/memory.limit_in_bytes": "2000000000",
            f"{folder}/memory.usage_in_bytes": "900000000",
            f"{folder}/memory.stat": "cache 1\ntotal_inactive_file 100000000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "5000000000",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 0\n",
        },
    )
    assert memory_group(root) == MemoryLimit(2e9, 1.2e9)


@linux
def test_a_container_shows_its_own_group_as_the_root(tmp_path):
    files = {"memory.max": "1000000000", "memory.current": "1200000000", "memory.stat": "inactive_file 0"}
    root = tree(tmp_path, "0::/../../kubepods/x\n", {f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    assert memory_group(root) == MemoryLimit(1e9, 0.0)


@linux
def test_no_control_groups(tmp_path):
    assert memory_group(tmp_path) == MemoryLimit() == MemoryLimit(math.inf, math.inf)
    assert memory_group(tree(tmp_path, "0::/\n", {"sys/fs/cgroup/memory.max": "max"})) == MemoryLimit()


def test_the_strictest_limit_counts(monkeypatch):
    machine = psutil.virtual_memory()
    assert 0 < available_memory() <= machine.total and 0 < total_memory() <= machine.total
    monkeypatch.setattr(memory, "memory_group", lambda: MemoryLimit(5e6, 3e6))
    assert (available_memory(), total_memory()) == (3e6, 5e6)
    monkeypatch.setattr(memory, "address_space", lambda: MemoryLimit(9e6, 1e6))
    assert (available_memory(), total_memory()) == (1e6, 5e6)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_limit_of_the_address_space():
    code = (
        "import resource; from dip_core.runtime.memory_limits import address_space; before = address_space().limit;"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, resource.getrlimit(resource.RLIMIT_AS)[1]));"
        "print(address_space().limit, 0 < address_space().free < 3 << 30)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(float(3 << 30)), "True"]
    assert memory_limits.address_space().free > 0


def test_a_refusal_gives_both_figures_and_the_advice(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1.26e9)
    require_memory(1.25e9, "nothing", "")
    with pytest.raises(OutOfMemory, match=r"the work needs about 34 GB, and 1\.3 GB are available\)\. Use less"):
        require_memory(34.4e9, "the work", "Use less.")
    assert [format_bytes(value) for value in (9.96e5, 2.5e7, 9.9e9, 1.04e12)] == [
        "1.0 MB",
        "25 MB",
        "9.9 GB",
        "1040 GB",
    ]


@pytest.mark.parametrize(
    ("bands", "columns", "rows"),
    [
        (1, 100, 512),
        (6, 1000, 512),
        (224, 1000, 32),
        (224, 30_000, 1),
        (200, 1_000_000, 1),
        (3, 700_000, 3),
        (1, 0, 512),
    ],
)
def test_the_rows_of_a_block(bands, columns, rows):
    assert block_rows(bands, columns) == rows
    assert rows == 1 or (rows <= MAX_BLOCK_ROWS and rows * bands * columns <= MAX_BLOCK_VALUES)


def test_groups_of_bands():
    assert band_groups(3, 100) == [slice(0, 3)]
    assert band_groups(5, MAX_BLOCK_VALUES // 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert band_groups(2, 10 * MAX_BLOCK_VALUES) == [slice(0, 1), slice(1, 2)]
