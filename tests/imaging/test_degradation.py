"""Decimation and enlargement: the weights of MATLAB and of the DHP code, exact adjoints, and no shift."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dip_core.imaging import degradation

SHAPE = (17, 23)
OPERATORS = {
    "bicubic": degradation.bicubic_decimation,
    "lanczos": degradation.lanczos_decimation,
    "gaussian": lambda shape, factor: degradation.gaussian_decimation(shape, factor, 1.3),
    "enlargement": degradation.bicubic_enlargement,
}


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
@pytest.mark.parametrize("name", OPERATORS)
def test_operator_is_its_dense_matrix(name, factor):
    """The whole operator as one explicit matrix (Kronecker product), forward and adjoint, odd sizes included."""
    rng = np.random.default_rng(0)
    operator = OPERATORS[name](SHAPE, factor)
    dense = np.kron(operator.rows.toarray(), operator.columns.toarray())
    image = rng.normal(size=(3, *SHAPE))
    small = operator.apply(image)
    shape = small.shape[1:]
    assert shape == tuple(size * factor if name == "enlargement" else -(-size // factor) for size in SHAPE)
    np.testing.assert_allclose(small, (image.reshape(3, -1) @ dense.T).reshape(3, *shape), atol=1e-12)
    other = rng.normal(size=(3, *shape))
    adjoint = operator.adjoint(other)
    np.testing.assert_allclose(adjoint, (other.reshape(3, -1) @ dense).reshape(3, *SHAPE), atol=1e-12)
    assert np.vdot(small, other) == pytest.approx(np.vdot(image, adjoint), rel=1e-12)


@pytest.mark.parametrize("name", OPERATORS)
def test_tensors_give_the_same_result_with_the_exact_gradient(name):
    operator = OPERATORS[name](SHAPE, 2)
    image = torch.rand(1, 2, *SHAPE, dtype=torch.float64, requires_grad=True)
    small = operator.as_torch(image)(image)
    np.testing.assert_allclose(small.detach().numpy(), operator.apply(image.detach().numpy()), atol=1e-12)
    other = torch.rand_like(small)
    (small * other).sum().backward()
    np.testing.assert_allclose(image.grad.numpy(), operator.adjoint(other.numpy()), atol=1e-12)
    assert operator.as_torch(torch.zeros(1))(torch.rand(*SHAPE)).dtype == torch.float32


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("name", OPERATORS)
def test_constants_are_kept_and_nothing_is_shifted(name, factor):
    """Coordinates become those of the centres of the coarse pixels, so the extent is kept."""
    operator = OPERATORS[name]((60, 60), factor)
    np.testing.assert_allclose(operator.apply(np.full((60, 60), 7.5)), 7.5, atol=1e-12)
    x = np.broadcast_to(np.arange(60.0) + 0.5, (60, 60))  # centres, in pixels from the left edge
    found = operator.apply(x)[30 // factor]
    scale = 1 / factor if name == "enlargement" else factor
    inside = slice(len(found) // 4, -len(found) // 4)
    np.testing.assert_allclose(found[inside], ((np.arange(len(found)) + 0.5) * scale)[inside], atol=1e-9)


def test_bicubic_by_2_equals_matlab():
    """imresize(x, 0.5): the cubic at 1/4, 3/4, 5/4 and 7/4, halved; by hand from Keys' polynomial, a = -1/2.

    k(1/4) = 1.5/64 - 2.5/16 + 1 = 0.8671875; k(3/4) = 0.2265625; k(5/4) = -0.0703125; k(7/4) = -0.0234375.
    """
    near, next_, third, last = 0.43359375, 0.11328125, -0.03515625, -0.01171875
    rows = degradation.bicubic_decimation((16, 16), 2).rows.toarray()
    assert rows.shape == (8, 16)
    np.testing.assert_allclose(rows[3, 3:11], [last, third, next_, near, near, next_, third, last], atol=1e-12)
    assert not rows[3, :3].any() and not rows[3, 11:].any()
    # The first coarse pixel is between samples 0 and 1; samples -1, -2 and -3 mirror 0, 1 and 2.
    np.testing.assert_allclose(rows[0, :5], [near + next_, near + third, next_ + last, third, last], atol=1e-12)
    assert not rows[0, 5:].any()


def test_bicubic_by_3_equals_matlab():
    """At factor 3 a coarse pixel is centred on a sample: the cubic at 0, 1/3, 2/3, 4/3 and 5/3, divided by 3.

    k(1/3) = (1.5 - 7.5 + 27)/27 = 7/9; k(2/3) = (12 - 30 + 27)/27 = 1/3;
    k(4/3) = (-32 + 120 - 144 + 54)/27 = -2/27; k(5/3) = (-62.5 + 187.5 - 180 + 54)/27 = -1/27.
    """
    rows = degradation.bicubic_decimation((21, 21), 3).rows.toarray()
    half = np.array([1, 7 / 9, 1 / 3, 0, -2 / 27, -1 / 27]) / 3
    np.testing.assert_allclose(rows[3, 5:16], [*half[:0:-1], *half], atol=1e-12)


def test_bicubic_enlargement_by_2_equals_matlab():
    """imresize(x, 2): the cubic, not widened, a quarter of a pixel off the sample."""
    rows = degradation.bicubic_enlargement((8, 8), 2).rows.toarray()
    taps = [-0.0234375, 0.2265625, 0.8671875, -0.0703125]
    np.testing.assert_allclose(rows[6, 1:5], taps, atol=1e-12)
    np.testing.assert_allclose(rows[7, 2:6], taps[::-1], atol=1e-12)
    np.testing.assert_allclose(rows[0, :2], [taps[1] + taps[2], taps[0] + taps[3]], atol=1e-12)


@pytest.mark.parametrize("factor", [2, 4])
def test_lanczos_is_the_downsampler_of_the_papers_code(factor):
    """The formula of that code: 4 x factor half-phase taps per side, edge pixels repeated, stride = factor."""
    taps = np.arange(1, 4 * factor + 1)
    distance = np.abs(taps + 0.5 - (4 * factor + 2) / 2) / factor
    line = 2 * np.sin(np.pi * distance) * np.sin(np.pi * distance / 2) / (np.pi * distance) ** 2
    kernel = np.outer(line, line)
    kernel /= kernel.sum()
    image = torch.rand(1, 1, 8 * factor, 6 * factor, dtype=torch.float64)
    padded = torch.nn.functional.pad(image, (int(1.5 * factor),) * 4, mode="replicate")
    expected = torch.nn.functional.conv2d(padded, torch.from_numpy(kernel)[None, None], stride=factor)
    found = degradation.lanczos_decimation(tuple(image.shape[2:]), factor).apply(image.numpy())
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3])
def test_gaussian_has_the_requested_width(factor):
    """3 pixels for all factors, as in the CASCADE paper; truncation at 4 sigma removes 0.2 % of the variance."""
    rows = degradation.gaussian_decimation((90, 90), factor, 3.0).rows.toarray()
    number = len(rows) // 2
    offset = np.arange(90) - ((number + 0.5) * factor - 0.5)
    assert rows[number] @ offset == pytest.approx(0, abs=1e-9)
    assert rows[number] @ offset**2 == pytest.approx(9, rel=0.01)
    assert (rows >= 0).all()


def test_a_narrow_gaussian_selects_the_nearest_pixels():
    even, odd = (degradation.gaussian_decimation((12, 12), factor, 0.01).rows.toarray() for factor in (2, 3))
    np.testing.assert_allclose(even[2, 4:6], [0.5, 0.5])
    assert odd[2, 7] == 1


def test_a_factor_of_1_changes_nothing():
    np.testing.assert_allclose(degradation.bicubic_decimation((6, 7), 1).rows.toarray(), np.eye(6), atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (3, 5)])
def test_images_smaller_than_the_kernel(shape):
    for factory in OPERATORS.values():
        operator = factory(shape, 4)
        np.testing.assert_allclose(operator.apply(np.full(shape, 2.0)), 2.0)


def test_invalid_parameters_are_errors():
    with pytest.raises(ValueError, match="factor is 0"):
        degradation.bicubic_decimation((8, 8), 0)
    with pytest.raises(ValueError, match="sigma is 0"):
        degradation.gaussian_decimation((8, 8), 2, 0)
