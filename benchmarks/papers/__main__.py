"""Measures the papers' tables, one command per table; each row is stored when it is finished.

Usage: python -m benchmarks.papers inpaint|denoise|superresolve|volume|cascade [OPTIONS]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import RESULTS
from benchmarks.machine import limit_threads
from dip_core.runtime import devices

from . import cascade, tracing, untrained
from .methods import RunOptions

TABLES = {"inpaint": untrained.INPAINT, "denoise": untrained.DENOISE, "superresolve": untrained.SUPERRESOLVE}


def main() -> None:
    """Run the requested rows and write the table."""
    arguments = _arguments()
    options = RunOptions(
        device=str(devices.resolve_device(arguments.device)),
        iterations=getattr(arguments, "iterations", None),
        seed=arguments.seed,
        threads=limit_threads(),
        out=arguments.out,
        at=tuple(getattr(arguments, "at", ())),
    )
    if arguments.table == "inpaint":
        untrained.inpaint(arguments.row, options)
    elif arguments.table == "denoise":
        untrained.denoise(arguments.row, options, arguments.case)
    elif arguments.table == "superresolve":
        untrained.superresolve(arguments.row, options)
    elif arguments.table == "volume":
        untrained.volume(arguments.row, options, arguments.task, arguments.crop, arguments.bands)
    else:
        cascade.run(options, arguments.factor, arguments.alpha, arguments.minutes, arguments.every)


def _arguments() -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    shared.add_argument("--seed", type=int, default=0)
    shared.add_argument("--out", type=Path, default=RESULTS, help="folder for the table's .json and .md")
    networks = argparse.ArgumentParser(add_help=False)
    networks.add_argument(
        "--iterations",
        type=_positive,
        default=None,
        help="iterations of networks (default: 100 on a CPU, otherwise the published number)",
    )
    networks.add_argument(
        "--at",
        type=_positive,
        nargs="*",
        default=[],
        help="iterations at which networks are scored (default: 100, 250, 400, 500, 750, every 500 from 1000)",
    )
    networks.add_argument(
        "--row",
        nargs="*",
        default=[],
        metavar="NAME",
        help=f"rows to run (default: all); paper_2d also as paper_2d+VARIANT: {', '.join(tracing.VARIANTS)}",
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="table", required=True)
    for name in TABLES:
        command = commands.add_parser(name, parents=[shared, networks], help=TABLES[name].title)
        if name == "denoise":
            command.add_argument("--case", nargs="*", default=[], choices=("clipped", "unclipped"))
    command = commands.add_parser("volume", parents=[shared, networks], help=untrained.VOLUME.title)
    command.add_argument("--task", nargs="*", default=[], choices=tuple(untrained.VOLUME_SIDES))
    command.add_argument("--crop", type=int, default=None, help="side of the crop in pixels; 0: the whole image")
    command.add_argument("--bands", type=int, default=None, help="number of bands; 0: all")
    command = commands.add_parser("cascade", parents=[shared], help=cascade.TABLE.title)
    command.add_argument("--factor", type=int, nargs="*", default=[2, 3, 4], choices=(2, 3, 4))
    command.add_argument("--alpha", type=float, nargs="*", default=[0.5], help="weight of the squared error, 0 to 1")
    command.add_argument("--minutes", type=float, default=30.0, help="minutes of training per factor and alpha")
    command.add_argument("--every", type=float, default=120.0, help="seconds between two scores of the test image")
    arguments = parser.parse_args()
    for row in getattr(arguments, "row", []):
        base, *variants = row.split("+")
        order = (TABLES.get(arguments.table) or untrained.VOLUME).order
        if base not in order or (variants and not base.startswith("paper_")) or set(variants) - set(tracing.VARIANTS):
            parser.error(f"the row '{row}' is unknown: use {', '.join(order)}, or paper_2d+VARIANT")
    return arguments


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be a positive number")
    return number


if __name__ == "__main__":
    main()
