"""All that `make bench` measures, then its summary: printed, stored in benchmarks/results/, and put into the README.

Each part runs in a process of its own, so that the memory it takes is its own. On a CPU the papers' networks are left
out unless asked for: a hundred iterations, far from the published number, take some minutes each.

Usage: python -m benchmarks [--part NAME...] [--presets] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import common, peers, summary
from dip_core.inpainting.experts.registry import gap_expert_names
from dip_core.runtime import devices

PRESET = "paper_2d"
# By part: the table it writes, the module that makes it with its first words, and the rows of a quick run (None: all).
PARTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...] | None]] = {
    "scenes": ("gap_scenes", ("benchmarks.gap_scenes",), None),
    "inpaint": (
        "papers_inpaint",
        ("benchmarks.papers", "inpaint"),
        ("do nothing", *peers.INPAINTERS, *gap_expert_names(network=False, needs_guide=False), *summary.PRODUCT),
    ),
    "denoise": ("papers_denoise", ("benchmarks.papers", "denoise"), ("noisy", *peers.DENOISERS, *summary.PRODUCT)),
    "superresolve": (
        "papers_superresolve",
        ("benchmarks.papers", "superresolve"),
        ("nearest", "bicubic", *summary.PRODUCT),
    ),
}


def main() -> None:
    """Run the parts asked for, print their tables, and write the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--presets", action="store_true", help="the papers' networks too (on a GPU always)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder of the tables (default: and README)")
    chosen = parser.parse_args()
    device = str(devices.resolve_device(chosen.device))
    failed = []
    for part in chosen.part:
        start = time.monotonic()
        done = subprocess.run(command(part, device, chosen.presets, chosen.out), cwd=common.ROOT, check=False)
        page = chosen.out / f"{PARTS[part][0]}.md"
        if done.returncode or not page.is_file():
            failed.append(part)
            continue
        print(f"\n{page.read_text(encoding='utf-8')}\n{part}: {time.monotonic() - start:.0f} s\n", flush=True)
    # A trial's figures do not belong in the README.
    readme = common.ROOT / "README.md" if chosen.out.resolve() == common.RESULTS.resolve() else None
    print(summary.write(chosen.out, device, readme))
    if failed:
        raise SystemExit(f"These parts failed, and the summary shows what an earlier run found: {', '.join(failed)}.")


def command(part: str, device: str, presets: bool, out: Path) -> list[str]:
    """What runs a part."""
    _, words, rows = PARTS[part]
    # The experts' libraries warn of what is no fault of the run.
    line = [sys.executable, "-W", "ignore", "-m", *words, "--device", device, "--out", str(out.resolve())]
    if rows is None:
        return line
    with_preset = presets or not device.startswith("cpu")
    return [*line, "--row", *rows, *((PRESET,) if with_preset else ())]


if __name__ == "__main__":
    main()
