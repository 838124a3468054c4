"""Runs the tiles of a restoration, on this machine or on a Dask cluster, and blends their results.

An executor offers ``results(recipe, tasks, count, workers)``, which yields the results of the tiles in the order of the
tasks. Tasks are made one by one; only as many as the workers need exist at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from ..arrays import Cube
from .concurrency import SharedProgress, map_in_order
from .context import Context
from .progress import SILENT, ProgressReporter
from .tiling import Tile, TileResults, TileWork, blend_tiles, tile_seed


class Executor(Protocol):
    """Where tiles run."""

    def results(self, recipe: Any, tasks: Iterable[Any], count: int, workers: int = 1) -> TileResults:
        """Results of ``count`` tasks in the order of the tasks."""


def make_executor(scheduler: str | None, context: Context, work: TileWork, verb: str) -> Executor:
    """The executor for the address of a Dask scheduler, or for this machine if there is no address.

    ``work`` restores one tile; ``verb`` describes it in the progress ("Filling"). Raises SchedulerUnavailable.
    """
    if not scheduler:
        return LocalExecutor(context, work, verb)
    from .dask_executor import DaskExecutor

    return DaskExecutor(scheduler, context, work, verb)


def restore_tiles(
    executor: Executor,
    recipe: Any,
    rows: list[list[Tile]],
    make_task: Callable[[Tile, int], Any],
    seed: int,
    bands: int,
    columns: int,
    *,
    workers: int = 1,
    output_rows: list[list[Tile]] | None = None,
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Run all tiles and blend their results; yields full-width windows and ``(layer, band, row, column)`` arrays.

    ``make_task``: makes the task of a tile from the tile and its seed; called when the tile is due. ``bands``,
    ``columns``: of the output. ``output_rows``: the tiles on the output's grid, where it differs from the input's.
    """
    numbered = [(row, column, tile) for row, tiles in enumerate(rows) for column, tile in enumerate(tiles)]
    tasks = (make_task(tile, tile_seed(seed, row, column)) for row, column, tile in numbered)
    return blend_tiles(output_rows or rows, executor.results(recipe, tasks, len(numbered), workers), bands, columns)


def budgeted_progress(
    context: Context, index: int, count: int, workers: int = 1, progress: ProgressReporter = SILENT
) -> ProgressReporter:
    """The reporter of tile ``index`` of ``count``: stops the tile at the end of its share of the time budget.

    The remaining time is divided equally among the remaining tiles, of which ``workers`` run at a time.
    """
    left = max(context.seconds_left, 0.0) * min(workers, count - index) / (count - index)
    end = context.seconds_spent + left

    def update(fraction: float) -> bool:
        going = progress.update(fraction)
        if fraction < 1 and context.seconds_spent >= end:
            context.cut_short = True
            context.warn(
                "TIME_BUDGET stopped an iterative method (a network, plug and play) before it had finished, so the "
                "result is worse than it could be. Give more time."
            )
            return False
        return going

    return ProgressReporter(update)


class LocalExecutor:
    """Runs tiles in this process, one after another or several at a time."""

    def __init__(self, context: Context, work: TileWork, verb: str) -> None:
        self._context = context
        self._work = work
        self._verb = verb

    def results(self, recipe: Any, tasks: Iterable[Any], count: int, workers: int = 1) -> TileResults:
        """Results of ``count`` tasks in order, with progress within each tile; ``workers`` tiles run at a time."""
        shared = SharedProgress(
            count, lambda done, tile: self._context.progress(done, f"{self._verb} tile {tile} of {count}")
        )

        def run(numbered: tuple[int, Any]) -> tuple[Cube, Cube]:
            index, task = numbered
            with shared.piece(index) as progress:
                return self._work(recipe, task, budgeted_progress(self._context, index, count, workers, progress))

        return map_in_order(run, enumerate(tasks), workers)
