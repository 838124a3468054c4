"""Command line: runs the cases in both checkouts and prints one line per case and a summary.

The exit code is 0 if no case differs, 1 if one does, 2 for invalid arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import __doc__ as description
from .cases import MODEL, MODEL_CASE, all_cases, select_cases
from .comparison import Comparison, compare_runs
from .rasters import make_rasters
from .runner import Runner

THIS_CHECKOUT = Path(__file__).resolve().parents[2]
MAX_PRINTED_DIFFERENCES = 4  # per case


def main(arguments: list[str] | None = None) -> int:
    """Compare two checkouts; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.compare_outputs", description=description.splitlines()[0])
    parser.add_argument("before", nargs="?", type=Path, help="the checkout with the old code")
    parser.add_argument(
        "after", nargs="?", type=Path, default=THIS_CHECKOUT, help="the checkout with the new code (default: this one)"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=["*"], help="run only these cases; * and ? match as in file names"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep inputs, jobs and outputs in this new folder")
    parser.add_argument(
        "--no-fork", action="store_true", help="start a new interpreter for every job (slower; always so on Windows)"
    )
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    options = parser.parse_args(arguments)
    try:
        names = [case.name for case in select_cases(all_cases(Path(), Path()), options.only)]
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        print(*names, sep="\n")
        return 0
    if options.before is None:
        parser.error("name the checkout with the old code")
    for checkout in (options.before, options.after):
        if not (checkout / "dip_core" / "__main__.py").exists():
            parser.error(f"{checkout} contains no dip_core")
    if options.keep and options.keep.exists():
        parser.error(f"{options.keep} exists")
    with _work_folder(options.keep) as folder:
        return compare_checkouts(options.before.resolve(), options.after.resolve(), names, folder, not options.no_fork)


def compare_checkouts(before: Path, after: Path, names: list[str], folder: Path, fork: bool = True) -> int:
    """Run and compare the cases with these names and print the results; returns the exit code.

    All files go to ``folder``.
    """
    # Both checkouts use the model of the first, so that a difference in training is reported once.
    model = folder / "before" / MODEL_CASE / "outputs" / MODEL["model"]
    cases = [case for case in all_cases(folder / "rasters", model) if case.name in names]
    (folder / "rasters").mkdir()
    make_rasters(folder / "rasters")
    width = max(len(case.name) for case in cases)
    start, different, changed, skipped = time.monotonic(), 0, 0, 0
    with Runner(fork) as runner:
        for case in cases:
            missing = case.missing_library()
            if missing:
                skipped += 1
                print(f"{case.name:{width}}  skipped: {missing} is not installed", flush=True)
                continue
            case_start = time.monotonic()
            runs = [
                runner.run(case, checkout, folder / side / case.name)
                for side, checkout in (("before", before), ("after", after))
            ]
            comparison = compare_runs(case, *runs)
            different += bool(comparison.differences)
            changed += bool(comparison.changed_texts)
            seconds = time.monotonic() - case_start
            print(f"{case.name:{width}}  {_describe(comparison)}  {seconds:.1f} s", flush=True)
    print(
        f"{len(cases)} cases: {different} different, {changed} with changed texts, {skipped} skipped; "
        f"{time.monotonic() - start:.0f} s"
    )
    return 1 if different else 0


def _describe(comparison: Comparison) -> str:
    """The result of a case in one line."""
    text = "same"
    if comparison.differences:
        text = "DIFFERENT: " + "; ".join(comparison.differences[:MAX_PRINTED_DIFFERENCES])
        more = len(comparison.differences) - MAX_PRINTED_DIFFERENCES
        text += f"; and {more} more" if more > 0 else ""
    if comparison.changed_texts:
        text += f" (changed texts: {', '.join(sorted(set(comparison.changed_texts)))})"
    return text


@contextlib.contextmanager
def _work_folder(keep: Path | None) -> Iterator[Path]:
    """The folder ``keep``, made here, or a temporary folder."""
    if keep:
        keep.mkdir(parents=True)
        yield keep.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="compare_outputs_", ignore_cleanup_errors=True) as folder:
            yield Path(folder).resolve()


if __name__ == "__main__":
    sys.exit(main())
