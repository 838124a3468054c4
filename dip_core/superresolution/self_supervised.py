"""Enlargement without a network: experts on principal images, taught by the image's own coarser copy.

They share their steps: ``back_projection`` is bicubic interpolation in accord with the observation; ``vectorial_tv``
starts from it; ``steered_ridge`` corrects the two. ``guided`` takes from a finer guide what that tells of the images,
and leaves the rest to the steered ridge. What they need to know of the scene (`Lessons`) is learned once from windows
of it, so that all tiles are enlarged alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..arrays import Cube, Mask
from ..imaging.back_projection import ConsistencyProjection, back_project
from ..imaging.pca import MaskedPixels, PrincipalComponents, fit_principal_components
from ..imaging.psf import Psf, enlarge_bicubic
from ..imaging.resampling import fill_nearest
from ..runtime.progress import SILENT, ProgressReporter
from .guide_fusion import Guidance, explain, learn_guidance
from .steered_ridge import Steering, Teacher, steered_ridge, steering, tensor
from .vectorial_tv import vectorial_tv

EXPERTS = ("back_projection", "vectorial_tv", "steered_ridge")
GUIDED = "guided"
_LEAST_SIDE = 4  # pixels of a coarser copy that can teach


@dataclass(frozen=True)
class Lessons:
    """What was learned of a scene: its principal images, the typical strength of their gradients when enlarged,
    and the steered ridge's coefficients ``(rank, term)``. ``guidance``: how the images depend on a guide's bands."""

    principal: PrincipalComponents
    typical: float
    coefficients: NDArray[np.float64]
    guidance: Guidance | None = None


def learn(
    pieces: Sequence[MaskedPixels],
    optics: Psf,
    progress: ProgressReporter = SILENT,
    guides: Sequence[Cube] = (),
) -> Lessons:
    """Learn from windows of a scene, in the data's units. ``progress`` can end the fit early.

    ``guides``: of each window ``(guide band, row, column)`` on the fine grid, if there is a guide.
    """
    principal = fit_principal_components(pieces)
    filled = [(principal.project(fill_nearest(values, seen)), np.asarray(seen.all(axis=0))) for values, seen in pieces]
    f, shifts = optics.factor, sorted({(a, b) for a in (0, optics.factor // 2) for b in (0, optics.factor // 2)})
    # Few windows are seen from all first pixels; of many, each from one.
    groups = [list(_copies(*piece, f, shifts[place :: len(filled)])) for place, piece in enumerate(filled)]
    copies = [copy for group in groups for copy in group]
    teacher = Teacher(principal.basis.shape[1])
    typical = _typical([_enlarged(_coarse(group[0][0], optics), optics)[1] for group in groups if group], f)
    for place, (truth, seen) in enumerate(copies):
        coarse = _coarse(truth, optics)
        agreement, smooth = _enlarged(coarse, optics)
        sharp = vectorial_tv(coarse, smooth, agreement)
        # A missing pixel was guessed, and what it was guessed as reaches as far as the optics and the filters do.
        near = 1 + 2 * (optics.radius * f + 3)
        known = ~ndimage.maximum_filter(~seen, near, mode="constant", cval=0)
        teacher.add(truth, smooth, sharp, steering(sharp, f, typical), known)
        if not progress.update((place + 1) / len(copies)):
            break
    here = _typical([_enlarged(images, optics)[1] for images, _ in filled], f)
    guidance = learn_guidance([(*piece, guide) for piece, guide in zip(filled, guides)], optics)
    return Lessons(principal, here, teacher.coefficients(max(1.0, len(copies) / len(pieces)) * f**2 / 4), guidance)


def enlarge(
    names: Sequence[str],
    values: NDArray,
    observed: Mask,
    lessons: Lessons,
    optics: Psf,
    guide: Cube | None = None,
) -> dict[str, Cube]:
    """The estimates of some of `EXPERTS` and `GUIDED` for ``(band, row, column)``, in accord with what was observed.

    ``guide``: on the fine grid, NaN where it shows nothing.
    """
    filled = fill_nearest(values, observed).astype(np.float64)
    shape = (filled.shape[1] * optics.factor, filled.shape[2] * optics.factor)
    operator = optics.operator(shape)

    def accorded(image: NDArray) -> NDArray[np.float64]:
        return back_project(image, values, observed, operator, optics.damping)

    if optics.damping:
        base = accorded(enlarge_bicubic(filled, optics.factor))
    else:
        # Nearly there in single precision, which saves most rounds of the exact way.
        mean = filled.mean(axis=(1, 2), keepdims=True)
        base = accorded(mean + _enlarged(filled - mean, optics)[1])
    found = {"back_projection": base}
    if any(name in names for name in ("vectorial_tv", "steered_ridge", GUIDED)):
        images = lessons.principal.project(filled)
        agreement, smooth = _enlarged(images, optics)
        told = None
        if GUIDED in names and guide is not None and lessons.guidance is not None:
            told = explain(images, np.asarray(observed.all(axis=0)), guide, lessons.guidance, optics)
            rest = images - told.coarse
            better = _steered(rest, agreement, lessons, optics)[1]
            found[GUIDED] = accorded(base + lessons.principal.reconstruct(told.fine + better - smooth))
        # The difference to interpolation carries over to the bands, and with it what the principal images leave over.
        if "steered_ridge" in names or (GUIDED in names and told is None):
            sharp, better = _steered(images, agreement, lessons, optics, smooth)
            found["steered_ridge"] = accorded(base + lessons.principal.reconstruct(better - smooth))
            found.setdefault(GUIDED, found["steered_ridge"])
        elif "vectorial_tv" in names:
            sharp = vectorial_tv(images, smooth, agreement)
        if "vectorial_tv" in names:
            found["vectorial_tv"] = accorded(base + lessons.principal.reconstruct(sharp - smooth))
    return {name: found[name].astype(np.float32) for name in names}


def _steered(
    images: Cube, agreement: ConsistencyProjection, lessons: Lessons, optics: Psf, smooth: Cube | None = None
) -> tuple[Cube, Cube]:
    """Total variation and the steered ridge of coarse images. ``smooth``: their interpolation, if it is at hand."""
    if smooth is None:
        smooth = _enlarged(images, optics, agreement)[1]
    sharp = vectorial_tv(images, smooth, agreement)
    steer: Steering = steering(sharp, optics.factor, lessons.typical)
    return sharp, steered_ridge(smooth, sharp, steer, lessons.coefficients)


def _copies(
    images: Cube, seen: NDArray[np.bool_], factor: int, shifts: Sequence[tuple[int, int]]
) -> Iterator[tuple[Cube, NDArray[np.bool_]]]:
    """The images cut to whole coarser pixels, from different first pixels: each cut has another coarser copy."""
    for top, left in shifts:
        rows, columns = ((size - first) // factor * factor for size, first in zip(seen.shape, (top, left)))
        if min(rows, columns) >= _LEAST_SIDE * factor:
            yield images[:, top : top + rows, left : left + columns], seen[top : top + rows, left : left + columns]


def _coarse(images: Cube, optics: Psf) -> Cube:
    return optics.operator((images.shape[1], images.shape[2])).apply(images).astype(np.float32)


def _enlarged(
    images: NDArray, optics: Psf, agreement: ConsistencyProjection | None = None
) -> tuple[ConsistencyProjection, Cube]:
    """Bicubic interpolation in accord with the images, and what brought it there."""
    start = enlarge_bicubic(images, optics.factor).astype(np.float32)
    agreement = agreement or ConsistencyProjection(optics, (start.shape[1], start.shape[2]))
    return agreement, agreement.project(start, agreement.transform(images))


def _typical(images: Sequence[Cube], factor: int) -> float:
    """The mean strength of gradients; 1 where there is no image."""
    strengths = [tensor(cube, factor)[0].ravel() for cube in images]
    return float(np.concatenate(strengths).mean()) if strengths else 1.0
