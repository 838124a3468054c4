"""The papers' scores: PSNR of the cube and of its bands, SSIM, spectral angle; PSNR and RMSE of what was hidden."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dip_core.comparison import Comparison, similarity_map

from .protocols import Problem


def scores(image: NDArray, problem: Problem, similarity: bool = True) -> dict[str, float | None]:
    """By name, peak 1; ``hidden_psnr`` and ``hidden_rmse`` where pixels are hidden.

    ``similarity`` False leaves the slow SSIM out. None where a score is not defined.
    """
    peaks = [1.0] * len(problem.clean)
    map_ = similarity_map(image, problem.clean, peaks) if similarity else None
    whole = Comparison(peaks)
    whole.add(image, problem.clean, similarity=map_)
    found = whole.scores()
    out = {"psnr": found["psnr"], "mpsnr": found["mpsnr"], "ssim": found["mssim"], "sam": found["sam"]}
    if problem.hidden is not None:
        hidden = Comparison(peaks)
        hidden.add(image, problem.clean, problem.hidden)
        of_hidden = hidden.scores()
        out |= {"hidden_psnr": of_hidden["psnr"], "hidden_rmse": of_hidden["rmse"]}
    # A spectrum of zeros has no direction: where a method leaves such pixels, the mean angle misses them.
    if problem.hidden is not None and not np.any(np.abs(image)[problem.hidden]):
        out["sam"] = math.nan
    return {name: value if math.isfinite(value) else None for name, value in out.items()}
