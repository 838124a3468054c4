"""Progress of a piece of work: reports the completed fraction and asks whether to continue."""

from __future__ import annotations

from collections.abc import Callable


class ProgressReporter:
    """Reports the completed fraction (0 to 1) of a piece of work to ``on_progress``.

    ``on_progress`` stops the work by returning False; any other value lets it continue.
    """

    def __init__(self, on_progress: Callable[[float], bool | None] | None = None) -> None:
        self._on_progress = on_progress

    def update(self, fraction: float) -> bool:
        """Report the completed fraction; returns whether the work should continue."""
        return self._on_progress is None or self._on_progress(fraction) is not False

    def part(self, begin: float, share: float) -> ProgressReporter:
        """The reporter of the part of the work that begins at the fraction ``begin`` and is ``share`` of it."""
        return ProgressReporter(lambda fraction: self.update(begin + share * fraction))

    def split(self, count: int) -> list[ProgressReporter]:
        """Reporters of ``count`` equal parts that run one after another."""
        return [self._equal_part(index, count) for index in range(count)]

    def _equal_part(self, index: int, count: int) -> ProgressReporter:
        return ProgressReporter(lambda fraction: self.update((index + fraction) / count))


SILENT = ProgressReporter()
STOP = ProgressReporter(lambda fraction: False)
