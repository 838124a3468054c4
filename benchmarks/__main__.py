"""Runs all parts of `make bench`, then writes the summary into benchmarks/results/ and the README.

Each part runs in a separate process, so that its peak memory is its own. On a CPU the papers' networks run only on
request: a hundred iterations, far fewer than published, take some minutes each.

Usage: python -m benchmarks [--part NAME...] [--presets] [--device NAME] [--out FOLDER]
       python -m benchmarks --pages [--out FOLDER]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import RESULTS, ROOT, peers, stored_pages, summary
from benchmarks.summary_tasks import PRODUCT
from dip_core.inpainting.experts.registry import gap_expert_names
from dip_core.runtime import devices

PRESET = "paper_2d"


@dataclass(frozen=True)
class Part:
    """The page that a part writes, its module with the first arguments, and the rows to run (None: all)."""

    page: str
    module: tuple[str, ...]
    rows: tuple[str, ...] | None = None


PARTS = {
    "scenes": Part("gap_scenes", ("benchmarks.gap_scenes",)),
    "inpaint": Part(
        "papers_inpaint",
        ("benchmarks.papers", "inpaint"),
        ("do nothing", *peers.INPAINTERS, *gap_expert_names(network=False, needs_guide=False), *PRODUCT),
    ),
    "denoise": Part("papers_denoise", ("benchmarks.papers", "denoise"), ("noisy", *peers.DENOISERS, *PRODUCT)),
    "superresolve": Part(
        "papers_superresolve", ("benchmarks.papers", "superresolve"), ("nearest", "bicubic", *PRODUCT)
    ),
}


def main() -> None:
    """Run the requested parts, print their pages, and write the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--presets", action="store_true", help="also run the papers' networks (always on a GPU)")
    parser.add_argument(
        "--pages", action="store_true", help="measure nothing; make all pages and the summary from the stored results"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results (default: also the README)")
    arguments = parser.parse_args()
    device = str(devices.resolve_device(arguments.device))
    failed = []
    if arguments.pages:
        stored_pages.rewrite(arguments.out)
    else:
        failed = [name for name in arguments.part if not run_part(name, device, arguments.presets, arguments.out)]
    # The README contains the default results only.
    readme = ROOT / "README.md" if arguments.out.resolve() == RESULTS.resolve() else None
    print(summary.write(arguments.out, device, readme))
    if failed:
        raise SystemExit(f"These parts failed; the summary shows their earlier results: {', '.join(failed)}.")


def run_part(name: str, device: str, presets: bool, out: Path) -> bool:
    """Run a part and print its page; returns whether it succeeded."""
    start = time.monotonic()
    done = subprocess.run(command(name, device, presets, out), cwd=ROOT, check=False)
    page = out / f"{PARTS[name].page}.md"
    if done.returncode or not page.is_file():
        return False
    print(f"\n{page.read_text(encoding='utf-8')}\n{name}: {time.monotonic() - start:.0f} s\n", flush=True)
    return True


def command(name: str, device: str, presets: bool, out: Path) -> list[str]:
    """The command line of a part."""
    part = PARTS[name]
    # -W ignore: warnings of the experts' libraries do not concern the user.
    line = [sys.executable, "-W", "ignore", "-m", *part.module, "--device", device, "--out", str(out.resolve())]
    if part.rows is None:
        return line
    with_preset = presets or not device.startswith("cpu")
    return [*line, "--row", *part.rows, *((PRESET,) if with_preset else ())]


if __name__ == "__main__":
    main()
