"""Block matching: groups of similar patches.

Patches of a grid of *reference patches* are compared with all patches in a search window around them, by the squared
difference summed over channels. Source: Dabov et al., Image denoising by sparse 3-D transform-domain collaborative
filtering (2007), for block matching.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

# Float32 numbers of most large arrays: 8 MiB, which the allocator keeps instead of giving them back.
WORKING_FLOATS = 1 << 21
_KERNEL = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)


@dataclass(frozen=True)
class GroupSizes:
    """Sizes of block matching, in pixels.

    ``patch``: side of a patch. ``first_members``, ``second_members``: patches per group in the first and second stage.
    ``search_radius``: largest distance from a reference patch along rows and columns. ``step``: distance between
    reference patches. ``thinning``: every n-th row and column of a patch is compared.
    """

    patch: int
    first_members: int
    second_members: int
    search_radius: int = 18
    step: int = 4
    thinning: int = 1

    def limited_to(self, shape: tuple[int, ...]) -> GroupSizes:
        """Sizes that fit an image ``(row, column)``: a patch is at most half its shorter side."""
        patch = min(self.patch, (min(shape) + 1) // 2)
        return replace(self, patch=patch, step=min(self.step, patch), thinning=min(self.thinning, (patch + 1) // 2))


def find_groups(
    guide: Tensor, mask: Tensor, sizes: GroupSizes, members: int, *, wanted: Tensor | None = None, first: int = 0
) -> Tensor:
    """Groups of similar patches of ``guide`` ``(channel, row, column)``: reference patch and nearest patches.

    Returns flat indices of the patches' upper left corners, ``(group, patch)``, the reference patch first. ``mask``:
    observed pixels; patches with unobserved ones are taken last. ``wanted``: pixels whose estimates are needed (None:
    the observed ones); reference patches without such pixels have no group. ``first``: first row and column of the
    grid of reference patches.
    """
    _, rows, columns = guide.shape
    patch = sizes.patch
    tops = _grid_positions(rows - patch, sizes.step, first)
    lefts = _grid_positions(columns - patch, sizes.step, first)
    radius = sizes.search_radius
    count = min(members, (min(rows - patch, radius) + 1) * (min(columns - patch, radius) + 1))
    offsets = patch_offsets(patch, columns, guide.device)
    needed = (mask if wanted is None else wanted).reshape(-1)
    strip = max(1, WORKING_FLOATS // ((2 * radius + 1) ** 2 * len(lefts)))
    groups = []
    for start in range(0, len(tops), strip):
        corners = _match(guide, mask, tops[start : start + strip], lefts, sizes, count)
        groups.append(corners[needed[corners[:, :1] + offsets].any(dim=1)])
    return torch.cat(groups)


def patch_offsets(patch: int, columns: int, device: torch.device) -> Tensor:
    """Flat offsets of a patch's pixels from its upper left corner."""
    inside = torch.arange(patch, device=device)
    return (inside[:, None] * columns + inside[None]).reshape(-1)


def smooth(images: Tensor) -> Tensor:
    """Images ``(channel, row, column)`` filtered by a separable (1, 2, 3, 2, 1) / 9 kernel; edges are repeated."""
    kernel = torch.tensor(_KERNEL, device=images.device)
    padded = torch.nn.functional.pad(images[:, None], (2, 2, 2, 2), mode="replicate")
    across = torch.nn.functional.conv2d(padded, kernel.reshape(1, 1, 1, 5))
    return torch.nn.functional.conv2d(across, kernel.reshape(1, 1, 5, 1))[:, 0]


def _match(guide: Tensor, mask: Tensor, tops: list[int], lefts: list[int], sizes: GroupSizes, count: int) -> Tensor:
    """Flat indices of the upper left corners of the patches most similar to each reference, ``(reference, patch)``."""
    _, rows, columns = guide.shape
    patch, radius = sizes.patch, sizes.search_radius
    distances = _distances(guide, tops, lefts, sizes)
    shifts = [(down, right) for down in range(-radius, radius + 1) for right in range(-radius, radius + 1)]
    itself = len(shifts) // 2
    row, column = torch.tensor(tops, device=guide.device), torch.tensor(lefts, device=guide.device)
    shift = torch.tensor(shifts, device=guide.device)
    match_row, match_column = row[None] + shift[:, :1], column[None] + shift[:, 1:]
    inside_row = (match_row >= 0) & (match_row <= rows - patch)
    inside_column = (match_column >= 0) & (match_column <= columns - patch)
    if not bool(mask.all()):
        has_gap = torch.nn.functional.avg_pool2d((~mask).float()[None], patch, stride=1)[0] > 0
        clamped = match_row.clamp(0, rows - patch), match_column.clamp(0, columns - patch)
        distances.masked_fill_(has_gap[clamped[0][:, :, None], clamped[1][:, None]], 1e30)
    distances.masked_fill_(~(inside_row[:, :, None] & inside_column[:, None]), float("inf"))
    distances[itself] = -1.0
    nearest = torch.topk(distances.reshape(len(shifts), -1).T, count, dim=1, largest=False, sorted=False).indices
    corner = (row[:, None] * columns + column[None]).reshape(-1, 1)
    matches = corner + (shift[:, 0] * columns + shift[:, 1])[nearest]
    # Move the reference patch to the first position.
    position = nearest.eq(itself).long().argmax(dim=1, keepdim=True)
    return matches.scatter(1, position, matches[:, :1].clone()).scatter(1, torch.zeros_like(position), corner)


def _distances(guide: Tensor, tops: list[int], lefts: list[int], sizes: GroupSizes) -> Tensor:
    """Squared differences of reference patches to their neighbours at all shifts, ``(shift, row, column)``."""
    channels, rows, columns = guide.shape
    patch, radius, thinning = sizes.patch, sizes.search_radius, sizes.thinning
    used_rows = max(0, tops[0] - radius), min(rows, tops[-1] + patch + radius)
    part = guide[:, used_rows[0] : used_rows[1]]
    box_down = _box_sums([top - used_rows[0] for top in tops], patch, part.shape[1], guide.device)[:, ::thinning]
    box_right = _box_sums(lefts, patch, columns, guide.device)[:, ::thinning]
    side = 2 * radius + 1
    distances = torch.empty((side * side, len(tops), len(lefts)), device=guide.device)
    padded = torch.nn.functional.pad(part[None], (radius, radius, radius, radius))[0]
    width = columns + 2 * radius
    part = part[:, ::thinning, ::thinning]
    # All shifts to the right, for one or more shifts down, as a view of the padded image.
    strides = (width, 1, padded.stride(0), thinning * width, thinning)
    batch = min(side, max(1, WORKING_FLOATS // (part.shape[1] * part.shape[2] * side)))
    squares = torch.empty((batch, side, *part.shape[1:]), device=guide.device)
    difference = torch.empty_like(squares)
    for begin in range(0, side, batch):
        some = min(batch, side - begin)
        moved = padded.as_strided((some, side, *part.shape), strides, begin * width)
        squares[:some] = 0.0
        for channel in range(channels):
            torch.sub(moved[:, :, channel], part[channel], out=difference[:some])
            squares[:some].addcmul_(difference[:some], difference[:some])
        sums = box_down @ squares[:some].flatten(0, 1) @ box_right.T
        distances[begin * side : (begin + some) * side] = sums
    return distances


def _box_sums(starts: list[int], patch: int, length: int, device: torch.device) -> Tensor:
    """A matrix that sums ``patch`` neighbours from each start, ``(start, length)``."""
    distance = torch.arange(length, device=device)[None] - torch.tensor(starts, device=device)[:, None]
    return ((distance >= 0) & (distance < patch)).float()


def _grid_positions(last: int, step: int, first: int = 0) -> list[int]:
    """0; first, first + step, first + 2 step...; and the last."""
    return sorted({0, *range(first % step, last + 1, step), last})
