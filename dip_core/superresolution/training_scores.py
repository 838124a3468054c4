"""Loss and scores of the cascade's training.

The loss is ``alpha * l1 + (1 - alpha) * l2`` with alpha = 0.5, of the final output and of the third stage (CASCADE
paper, equations 1 to 3). ``l1`` is half the squared error. For ``l2`` the paper prints the mean *cosine* between true
and estimated spectra, which is largest for equal spectra, and minimises it; its aim, measured by SAM, is a small angle.
So ``l2`` is ``1 - cosine`` here. As printed, ``l1`` sums the squares of a patch; with a learning rate of 0.01 that sum
diverges. So ``l1`` is a mean over pixels and bands here, of errors in standard deviations of the bands.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..runtime.devices import has_fast_bfloat16
from .cascade import Cascade
from .training_data import PatchPairs


@dataclass(frozen=True)
class TrainingScores:
    """Scores on pairs: loss, PSNR (peak 1, in dB), and mean spectral angle in degrees (NaN for one band)."""

    loss: float
    psnr: float
    sam: float

    def for_json(self) -> dict[str, float | None]:
        """The scores by name; None for values that are not finite, which JSON cannot represent."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


def loss(output: Tensor, fine: Tensor, alpha: float, deviation: Tensor) -> Tensor:
    """``alpha * MSE / 2 + (1 - alpha) * (1 - cosine)`` of ``(patch, band, row, column)``; a scalar.

    ``deviation`` ``(band, 1, 1)``: the divisor of errors.
    """
    half_square = ((output - fine) / deviation).square().mean() / 2
    angle = 1 - functional.cosine_similarity(output, fine, dim=1).mean()
    return alpha * half_square + (1 - alpha) * angle


def run_network(network: Cascade, enlarged: Tensor) -> list[Tensor]:
    """Both outputs; convolutions are in bfloat16 on devices where that is fast."""
    with torch.autocast(enlarged.device.type, torch.bfloat16, enabled=has_fast_bfloat16(enlarged.device)):
        return [output.float() for output in network(enlarged)]


def evaluate(
    network: Cascade, pairs: PatchPairs, alpha: float, batch_size: int, device: torch.device
) -> TrainingScores:
    """The scores of the network's final output; the loss is that of both outputs."""
    network.eval()
    total = squares = angles = 0.0
    with torch.no_grad():
        for start in range(0, len(pairs), batch_size):
            fine, enlarged = (
                torch.from_numpy(array[start : start + batch_size]).to(device) for array in (pairs.fine, pairs.enlarged)
            )
            outputs = run_network(network, enlarged)
            total += len(fine) * float(sum(loss(output, fine, alpha, network.deviation) for output in outputs))
            square, angle = _error_sums(outputs[1], fine)
            squares, angles = squares + square, angles + angle
    return _scores(total / len(pairs), squares, angles, pairs)


def bicubic_scores(pairs: PatchPairs, alpha: float, deviation: Tensor) -> TrainingScores:
    """The scores of the enlarged patches: the baseline. Its loss counts them as both outputs."""
    fine, enlarged = torch.from_numpy(pairs.fine), torch.from_numpy(pairs.enlarged)
    value = 2 * float(loss(enlarged, fine, alpha, deviation.cpu()))
    return _scores(value, *_error_sums(enlarged, fine), pairs)


def _error_sums(output: Tensor, fine: Tensor) -> tuple[float, float]:
    """Sum of squared errors, and sum of spectral angles in degrees."""
    cosine = functional.cosine_similarity(output.double(), fine.double(), dim=1).clamp(-1, 1)
    return float((output - fine).double().square().sum()), math.degrees(float(torch.arccos(cosine).sum()))


def _scores(value: float, squares: float, angles: float, pairs: PatchPairs) -> TrainingScores:
    mean = squares / pairs.fine.size
    psnr = math.inf if mean == 0 else -10 * math.log10(mean)
    bands = pairs.fine.shape[1]
    return TrainingScores(value, psnr, angles * bands / pairs.fine.size if bands > 1 else math.nan)
