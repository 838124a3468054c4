"""The papers' scores: PSNR of the cube and of its bands, SSIM, spectral angle; PSNR and RMSE of the hidden pixels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dip_core.comparison import Comparison, similarity_map

from .protocols import Problem


def scores(image: NDArray, problem: Problem, similarity: bool = True) -> dict[str, float | None]:
    """Scores by name for data with a peak of 1; None if a score is not defined.

    ``hidden_psnr`` and ``hidden_rmse`` are included if pixels are hidden. ``similarity`` False omits SSIM, which is
    slow.
    """
    peaks = [1.0] * len(problem.clean)
    ssim = similarity_map(image, problem.clean, peaks) if similarity else None
    whole = Comparison(peaks)
    whole.add(image, problem.clean, similarity=ssim)
    found = whole.scores()
    values = {"psnr": found["psnr"], "mpsnr": found["mpsnr"], "ssim": found["mssim"], "sam": found["sam"]}
    if problem.hidden is not None:
        hidden = Comparison(peaks)
        hidden.add(image, problem.clean, problem.hidden)
        hidden_scores = hidden.scores()
        values |= {"hidden_psnr": hidden_scores["psnr"], "hidden_rmse": hidden_scores["rmse"]}
    # The angle of a spectrum of zeros is not defined: a mean over the other pixels would be misleading.
    if problem.hidden is not None and not np.any(np.abs(image)[problem.hidden]):
        values["sam"] = math.nan
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
