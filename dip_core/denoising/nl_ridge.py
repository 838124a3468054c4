"""Non-local ridge: similar patches are denoised together, each as a linear combination of all.

A *group* holds the k patches of p x p pixels that are most similar to a reference patch; all channels share the
groups. In a channel the group is a matrix G of n = p p rows and k columns, m is the mean of its columns, R = G - m. The
estimate is ``R Theta + m`` with the weights that minimise the expected squared error for noise of variance 1:

- stage 1, from the noisy patches (Stein's unbiased risk): ``Theta = I - n (R'R)^-1``, where eigenvalues of R'R below n
  are noise and count as n;
- stage 2, with the centred stage-1 estimate Q for the unknown truth: ``Theta = (Q'Q + n I)^-1 Q'Q``; run twice, the
  second time with its own result as Q and for matching.

Overlapping estimates of a pixel are averaged with weights ``1 / (sum_i Theta_ij^2 + 1 / k)``, the inverse of the noise
variance that patch j keeps. The *leverage* of a pixel is the weight of its own value in its estimate for fixed Theta:
``Theta_jj`` and its share in the mean, averaged in the same way.

Source: Herbreteau and Kervrann, Towards a unified view of unsupervised non-local methods for image denoising: the
NL-Ridge approach (2022). Shared groups and the handling of unobserved pixels are our own.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import Cube, Mask
from ..imaging.resampling import fill_nearest_common
from ..runtime.progress import SILENT, ProgressReporter
from .batched_inverse import inverse
from .denoiser import Denoised
from .patch_groups import WORKING_FLOATS, GroupSizes, find_groups, patch_offsets, smooth

_MAX_MATCHED_CHANNELS = 8
_MAX_CHANNELS_AT_ONCE = 8
_STRONG_SIGNAL = 1e3  # signal variance, in noise variances, above which groups need double precision

WEAK_NOISE = GroupSizes(7, 18, 40, step=5)
STRONG_NOISE = GroupSizes(9, 18, 48, step=7)
LARGE_PATCHES = GroupSizes(11, 18, 64, step=6)
_MIN_POWER_OF_WEAK_NOISE = 60.0  # total signal variance, in noise variances; below it larger patches are better
_MAX_SMALL_WEIGHT, _HALF_POWER = 0.75, 0.3  # weight of small patches for a strong signal; signal for half of it


def nl_ridge(
    images: Cube,
    observed: Mask,
    *,
    sizes: GroupSizes | None = None,
    seed: int = 0,
    device: torch.device | None = None,
    iterations: int | None = None,
    progress: ProgressReporter = SILENT,
) -> Denoised:
    """Denoise images ``(channel, row, column)`` whose noise has variance 1, independent between pixels.

    ``observed`` ``(row, column)``: other pixels are not used and are 0 in the result. ``sizes`` None: chosen by the
    strength of the noise. ``progress`` can end the work after the current pass. ``seed`` and ``iterations`` belong to
    the signature of denoisers and have no effect.
    """
    return Denoised(*_denoise(images, observed, sizes, device, progress))


def nl_ridge_pair(
    images: Cube,
    observed: Mask,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    iterations: int | None = None,
    progress: ProgressReporter = SILENT,
) -> Denoised:
    """Weighted mean of `nl_ridge` with small and with large patches, whose errors differ; same arguments.

    Weak signals need larger patches: the weight of the small ones is ``0.75 P / (P + 0.3)`` in a channel whose signal
    has P noise variances.
    """
    if not observed.any():
        return Denoised(np.zeros_like(images), np.zeros_like(images))
    small = _denoise(images, observed, WEAK_NOISE, device, progress.part(0.0, 0.55))
    large = _denoise(images, observed, LARGE_PATCHES, device, progress.part(0.55, 0.45))
    power = _signal_power(images, observed)[:, None, None]
    weight = _MAX_SMALL_WEIGHT * power / (power + _HALF_POWER)
    return Denoised(*((weight * one + (1.0 - weight) * other).astype(np.float32) for one, other in zip(small, large)))


def double_precision_device(device: torch.device | None) -> torch.device:
    """The device, or the CPU if it has no double precision (Apple's GPU), which strong signals need."""
    return torch.device("cpu") if device is None or device.type == "mps" else device


def ridge_pass(
    noisy: Tensor,
    pilot: Tensor | None,
    groups: Tensor,
    patch: int,
    progress: ProgressReporter = SILENT,
    with_leverage: bool = True,
) -> tuple[Tensor, Tensor]:
    """One estimate from all groups, and the pixels' leverage (empty unless requested), ``(channel, row, column)``.

    ``pilot``: the estimate that stands for the truth in stage 2; None: stage 1. ``groups``: from `find_groups`. Pixels
    in no group stay as they are.
    """
    channels, rows, columns = noisy.shape
    sums = torch.zeros((channels, rows * columns), device=noisy.device)
    weights = torch.zeros_like(sums)
    leverages = torch.zeros_like(sums) if with_leverage else sums[:0]
    offsets = patch_offsets(patch, columns, noisy.device)
    flat_noisy = noisy.reshape(channels, -1)
    flat_pilot = None if pilot is None else pilot.reshape(channels, -1)
    strong = noisy.flatten(1).var(dim=1, correction=0) > _STRONG_SIGNAL
    # Channels come in the order of their strength; a part holds only strong or only weak ones.
    strong_count = int(strong.sum())
    edges = sorted({0, channels, strong_count, *range(0, channels, _MAX_CHANNELS_AT_ONCE)})
    parts = [slice(low, high) for low, high in zip(edges[:-1], edges[1:])]
    members = groups.shape[1]
    floats = min(channels, _MAX_CHANNELS_AT_ONCE) * members * (patch * patch + 2 * members)
    batch = max(1, WORKING_FLOATS // floats)
    for begin in range(0, len(groups), batch):
        corner = groups[begin : begin + batch]
        index = corner[:, None, :] + offsets[None, :, None]  # (group, pixel of a patch, patch)
        flat = index.reshape(-1)
        for part in parts:
            noisy_patches, pilot_patches = _gather(flat_noisy[part], index), None
            if flat_pilot is not None:
                pilot_patches = noisy_patches if pilot is noisy else _gather(flat_pilot[part], index)
            estimate, weight, leverage = _combine(noisy_patches, pilot_patches, bool(strong[part].any()))
            weight = weight[:, None].expand(estimate.shape)
            sums[part].index_add_(1, flat, (estimate * weight).permute(2, 0, 1, 3).flatten(1))
            weights[part].index_add_(1, flat, weight.permute(2, 0, 1, 3).flatten(1))
            if with_leverage:
                leverages[part].index_add_(1, flat, (leverage[:, None] * weight).permute(2, 0, 1, 3).flatten(1))
        progress.update(min(1.0, (begin + batch) / len(groups)))
    covered = weights > 0
    weights.clamp_(min=1e-20)
    averaged = torch.where(covered, sums / weights, flat_noisy).reshape(channels, rows, columns)
    if not with_leverage:
        return averaged, leverages
    return averaged, torch.where(covered, leverages / weights, 1.0).reshape(averaged.shape)


def _denoise(
    images: Cube,
    observed: Mask,
    sizes: GroupSizes | None,
    device: torch.device | None,
    progress: ProgressReporter,
) -> tuple[Cube, Cube]:
    """Denoised images and leverage, both stages."""
    if not observed.any():
        return np.zeros_like(images), np.zeros_like(images)
    power = _signal_power(images, observed)
    default = STRONG_NOISE if power.sum() < _MIN_POWER_OF_WEAK_NOISE else WEAK_NOISE
    sizes = (sizes or default).limited_to(observed.shape)
    device = double_precision_device(device)
    filled = fill_nearest_common(images, observed)
    noisy = torch.from_numpy(np.ascontiguousarray(filled, np.float32)).to(device)
    mask = torch.from_numpy(observed).to(device)
    matched = np.argsort(-power, kind="stable")[:_MAX_MATCHED_CHANNELS]
    # Similarity in a channel with less signal than noise says less about the similarity of the signal.
    signal_share = torch.from_numpy((power[matched] / (1.0 + power[matched])).astype(np.float32)).to(device)
    guide = smooth(noisy[matched]) * signal_share.sqrt()[:, None, None]
    groups = find_groups(guide, mask, sizes, sizes.first_members)
    estimate, leverage = ridge_pass(noisy, None, groups, sizes.patch, progress.part(0.0, 0.2))
    for number in range(2):
        done = 0.2 + 0.4 * number
        if not progress.update(done):
            break
        groups = find_groups(estimate[matched], mask, sizes, sizes.second_members)
        estimate, leverage = ridge_pass(noisy, estimate, groups, sizes.patch, progress.part(done, 0.4))
    denoised, leverages = (
        np.where(observed, result.cpu().numpy(), 0).astype(np.float32) for result in (estimate, leverage)
    )
    return denoised, leverages


def _signal_power(images: Cube, observed: Mask) -> NDArray[np.float64]:
    """The signal's variance in each channel, in noise variances, ``(channel,)``."""
    return np.array([max(float(image[observed].var()) - 1.0, 0.0) for image in images])


def _gather(flat_images: Tensor, index: Tensor) -> Tensor:
    """Patches ``(group, pixel, channel, patch)``."""
    return flat_images[:, index].permute(1, 2, 0, 3)


def _combine(noisy: Tensor, pilot: Tensor | None, strong: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates like ``noisy`` ``(group, pixel, channel, patch)``, weights and leverage ``(group, channel, patch)``.

    ``strong``: the signal is so strong that single precision would lose the noise.
    """
    members = noisy.shape[-1]
    pixels = noisy.shape[1]
    matrices = noisy.permute(0, 2, 1, 3)  # (group, channel, pixel, patch)
    centred = matrices - matrices.mean(dim=-1, keepdim=True)
    reference = centred
    if pilot is not None and pilot is not noisy:
        reference = pilot.permute(0, 2, 1, 3)
        reference = reference - reference.mean(dim=-1, keepdim=True)
    reference = reference.double() if strong else reference
    # I - Theta is small where the signal is strong, so it is computed instead of Theta.
    gram = reference.transpose(-1, -2) @ reference
    identity = torch.eye(members, dtype=gram.dtype, device=gram.device)
    if pilot is None:
        values, vectors = torch.linalg.eigh(gram)
        removed = (vectors * (pixels / values.clamp(min=pixels))[..., None, :]) @ vectors.transpose(-1, -2)
    else:
        try:
            removed = pixels * inverse(gram + pixels * identity)
        except torch.linalg.LinAlgError:  # rounding of a strong signal exceeds the noise
            reference = reference.double()
            gram = reference.transpose(-1, -2) @ reference
            removed = pixels * inverse(gram + pixels * identity.double())
    weight = 1.0 / ((identity - removed).square().sum(dim=-2) + 1.0 / members)
    leverage = 1.0 - removed.diagonal(dim1=-2, dim2=-1) + removed.mean(dim=-2)
    estimate = matrices - centred @ removed.to(matrices.dtype)
    return estimate.permute(0, 2, 1, 3), weight.to(matrices.dtype), leverage.to(matrices.dtype)
