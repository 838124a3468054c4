"""The papers' tables, one command each; rows are kept as they are finished and take the place of their earlier selves.

Usage: python -m benchmarks.papers inpaint|denoise|superresolve|volume|cascade [OPTIONS]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import common
from dip_core.runtime import devices

from . import cascade, tracing, untrained
from .methods import Options

TABLES = {"inpaint": untrained.INPAINT, "denoise": untrained.DENOISE, "superresolve": untrained.SUPERRESOLVE}


def main() -> None:
    """Run what is asked for and write the table."""
    chosen = _arguments()
    options = Options(
        device=str(devices.resolve_device(chosen.device)),
        iterations=getattr(chosen, "iterations", None),
        seed=chosen.seed,
        threads=common.threads(),
        out=chosen.out,
        at=tuple(getattr(chosen, "at", ())),
    )
    if chosen.table == "inpaint":
        untrained.inpaint(chosen.row, options)
    elif chosen.table == "denoise":
        untrained.denoise(chosen.row, options, chosen.case)
    elif chosen.table == "superresolve":
        untrained.superresolve(chosen.row, options)
    elif chosen.table == "volume":
        untrained.volume(chosen.row, options, chosen.task, chosen.crop, chosen.bands)
    else:
        cascade.run(options, chosen.factor, chosen.alpha, chosen.minutes, chosen.every)


def _arguments() -> argparse.Namespace:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    shared.add_argument("--seed", type=int, default=0)
    shared.add_argument("--out", type=Path, default=common.RESULTS, help="folder for the table's .json and .md")
    untrained_ = argparse.ArgumentParser(add_help=False)
    untrained_.add_argument(
        "--iterations",
        type=_positive,
        default=None,
        help="of networks (default: 100 on a CPU, else the published number)",
    )
    untrained_.add_argument(
        "--at",
        type=_positive,
        nargs="*",
        default=[],
        help="iterations to look at (default: 100, 250, 400, 500, 750, then by 500)",
    )
    untrained_.add_argument(
        "--row",
        nargs="*",
        default=[],
        metavar="NAME",
        help=f"rows to run (default: all); paper_2d also as paper_2d+VARIANT: {', '.join(tracing.VARIANTS)}",
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks.papers", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="table", required=True)
    for name in TABLES:
        command = commands.add_parser(name, parents=[shared, untrained_], help=TABLES[name].title)
        if name == "denoise":
            command.add_argument("--case", nargs="*", default=[], choices=("clipped", "unclipped"))
    command = commands.add_parser("volume", parents=[shared, untrained_], help=untrained.VOLUME.title)
    command.add_argument("--task", nargs="*", default=[], choices=tuple(untrained.VOLUME_SIZES))
    command.add_argument("--crop", type=int, default=None, help="pixels along each side; 0: the whole image")
    command.add_argument("--bands", type=int, default=None, help="number of bands; 0: all")
    command = commands.add_parser("cascade", parents=[shared], help=cascade.TABLE.title)
    command.add_argument("--factor", type=int, nargs="*", default=[2, 3, 4], choices=(2, 3, 4))
    command.add_argument("--alpha", type=float, nargs="*", default=[0.5], help="weight of the squared error, 0 to 1")
    command.add_argument("--minutes", type=float, default=30.0, help="of training, for each factor and alpha")
    command.add_argument("--every", type=float, default=120.0, help="seconds between two looks at the test part")
    chosen = parser.parse_args()
    for row in getattr(chosen, "row", []):
        base, *variants = row.split("+")
        order = (TABLES.get(chosen.table) or untrained.VOLUME).order
        if base not in order or (variants and not base.startswith("paper_")) or set(variants) - set(tracing.VARIANTS):
            parser.error(f"the row '{row}' is unknown: use {', '.join(order)}, or paper_2d+VARIANT")
    return chosen


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a positive number")
    return number


if __name__ == "__main__":
    main()
