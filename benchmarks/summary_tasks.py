"""The comparisons of the summary: their figures by method, scores and targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dip_core.inpainting.experts.registry import gap_expert_names

PRODUCT = ("fast", "best")
OWN = gap_expert_names(published=False)
UNRESTORED = ("do nothing", "noisy")  # never counted as peers
# By score: its name, the number of digits shown, and whether a higher value is better.
SCORES = {
    "percent": ("RMSE, % of fill-nodata", 1, False),
    "psnr": ("PSNR", 2, True),
    "mpsnr": ("MPSNR", 2, True),
    "ssim": ("SSIM", 3, True),
    "sam": ("SAM", 2, False),
}
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """Target of a method of the product: main score, seconds and spectral angle; None: no target."""

    score: float
    seconds: float | None = None
    sam: float | None = None


@dataclass(frozen=True)
class Task:
    """One comparison: its name, its main score, the figures by method, and the targets of the product's methods."""

    name: str
    score: str
    rows: Mapping[str, Figures]
    targets: Mapping[str, Target] = field(default_factory=dict)

    def best_of(self, methods: Iterable[str], score: str) -> str | None:
        """The method with the best value of a score; None if no method has the score."""
        known = [name for name in methods if self.rows[name].get(score) is not None]
        sign = -1 if SCORES[score][2] else 1
        return min(known, key=lambda name: sign * self.rows[name][score], default=None)

    def peers(self) -> list[str]:
        """The methods that are not ours; presets count as methods of their paper."""
        return [name for name in self.rows if name not in (*PRODUCT, *OWN, *UNRESTORED)]

    def format(self, method: str, score: str) -> str | None:
        """A score as the tables show it; None if there is none."""
        value = self.rows[method].get(score) if method in self.rows else None
        return None if value is None else f"{value:.{SCORES[score][1]}f}"
