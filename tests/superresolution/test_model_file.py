"""Model files: what is written is read, and what does not fit is rejected in one sentence."""

from __future__ import annotations

import random
from dataclasses import asdict

import numpy as np
import pytest
from safetensors.numpy import save as serialise

from dip_core import errors
from dip_core.superresolution.cascade import Cascade, weight_shapes
from dip_core.superresolution.model_file import FORMAT, MODEL_ITEM, ModelCard, read_model, save_tensors, write_model

BANDS = 2
CARD = ModelCard(BANDS, 2, (0.45, None), 230.0, figures={"psnr": 31.5, "sam": None})


@pytest.fixture
def tensors():
    """Weights of a network as those of a trained one."""
    rng = np.random.default_rng(0)
    made = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in weight_shapes(BANDS).items()}
    return {**made, "deviation": np.ones((BANDS, 1, 1), np.float32)}


def saved(tmp_path, tensors, **changes):
    path = str(tmp_path / "m.safetensors")
    save_tensors(path, tensors, MODEL_ITEM, {"format": FORMAT, "network": "cascade", **asdict(CARD), **changes})
    return path


def test_what_is_written_is_read(tmp_path, tensors):
    path = str(tmp_path / "m.safetensors")
    write_model(path, tensors, CARD)
    read, same = read_model(path)
    assert same == CARD and read.keys() == tensors.keys()
    assert all(np.array_equal(read[name], tensors[name]) for name in tensors)


def test_weight_shapes_are_those_of_the_network():
    shapes = {name: tuple(value.shape) for name, value in Cascade(3).state_dict().items()}
    assert weight_shapes(3) == shapes


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("stages.0.0.weight", lambda array: np.where(array == array.max(), np.nan, array), "some are not numbers"),
        ("stages.5.4.bias", lambda array: array + np.float32(np.inf), "some are not numbers"),
        ("stages.2.2.weight", lambda array: array * np.float32(1e30), "too large"),
        ("mean", lambda array: array.astype(np.float64) + 1e300, "too large"),
        ("deviation", lambda array: 0 * array, "a standard deviation is not positive"),
        ("stages.0.0.weight", lambda array: array[:-1], "another network"),
        ("stages.0.0.weight", lambda array: array.astype(np.int32), "damaged"),
    ],
)
def test_weights_are_checked_when_read(tmp_path, tensors, name, change, words):
    with pytest.raises(errors.UnreadableModel, match=words):
        read_model(saved(tmp_path, {**tensors, name: change(tensors[name]).copy()}))


def test_missing_and_unknown_weights(tmp_path, tensors):
    for other in ({"mean": tensors["mean"]}, {**tensors, "more": tensors["mean"]}, {}):
        with pytest.raises(errors.UnreadableModel, match="another network"):
            read_model(saved(tmp_path, other))


@pytest.mark.parametrize(
    "change",
    [
        {"bands": "2"}, {"bands": True}, {"bands": 0}, {"bands": -1}, {"bands": 10**9}, {"bands": 2.0}, {"bands": 3},
        {"bands": None}, {"factor": -2}, {"factor": "2"}, {"factor": [2]}, {"factor": 2.0}, {"wavelengths": None},
        {"wavelengths": "ab"}, {"wavelengths": [0.4]}, {"wavelengths": [0.4, "0.5"]}, {"wavelengths": [0.4, -1]},
        {"wavelengths": [0.4, float("nan")]}, {"wavelengths": {"a": 1, "b": 2}}, {"scale": 0}, {"scale": -1.0},
        {"scale": float("inf")}, {"scale": float("nan")}, {"scale": 1e305}, {"scale": "1"}, {"scale": None},
        {"figures": [1]}, {"made": "yesterday"}, {"loss": None}, {"speed": 1},
    ],
    ids=str,
)  # fmt: skip
def test_descriptions_are_checked_when_read(tmp_path, tensors, change):
    with pytest.raises(errors.UnreadableModel, match=r"description|another version") as caught:
        read_model(saved(tmp_path, tensors, **change))
    assert "Train super-resolver" in str(caught.value)


def test_a_mutated_model_is_read_or_refused(tmp_path, tensors):
    """100 mutations of the header and of the weights: finite weights of the right shapes, or one sentence."""
    path = tmp_path / "m.safetensors"
    write_model(str(path), tensors, CARD)
    valid, rng = path.read_bytes(), random.Random(7)
    header = 8 + int.from_bytes(valid[:8], "little")
    refused = 0
    for number in range(100):
        content = bytearray(valid)
        if number % 10 == 0:
            content = content[: rng.randrange(len(content))]
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(header) if number % 2 else rng.randrange(header, len(valid))
            if place < len(content):
                content[place] = rng.choice([0, 255, rng.randrange(256)])
        path.write_bytes(content)
        try:
            found, card = read_model(str(path))
        except errors.UnreadableModel as error:
            refused += 1
            assert str(error).isprintable() and "Train super-resolver" in str(error)
            continue
        assert card.bands == BANDS and {name: array.shape for name, array in found.items()} == weight_shapes(BANDS)
        assert all(np.isfinite(array).all() for array in found.values())
    assert 20 < refused < 100


@pytest.mark.parametrize("header", [b"[" * 5000, b"{" * 5000, b'{"__metadata__":' + b"[" * 5000, b'{"a":1}', b"null"])
def test_nested_headers_are_refused(tmp_path, header):
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(errors.UnreadableModel):
        read_model(str(path))


def test_nested_descriptions_are_refused(tmp_path, tensors):
    path = str(tmp_path / "m.safetensors")
    with open(path, "wb") as file:
        file.write(serialise(tensors, metadata={MODEL_ITEM: "[" * 100_000}))
    with pytest.raises(errors.UnreadableModel):
        read_model(path)


def test_a_model_that_does_not_fit_is_rejected():
    card = ModelCard(2, 2, (0.45, None), 1.0)
    card.check("m", 2, (0.4501, 0.9), 2)
    for bands, wavelengths, factor, words in (
        (2, (0.45, 0.9), 3, "it enlarges 2 times, not 3 times"),
        (3, (0.45, 0.9, 1.0), 2, "2 good bands are expected, but the raster has 3"),
        (2, (0.5, 0.9), 2, "good band 1 is at 500 nm in the raster instead of 450 nm"),
    ):
        with pytest.raises(errors.ModelMismatch) as caught:
            card.check("m", bands, wavelengths, factor)
        assert words in str(caught.value)


def test_other_files_are_rejected(tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not a model")
    for path in (other, tmp_path / "missing.safetensors"):
        with pytest.raises(errors.UnreadableModel):
            read_model(str(path))
    save_tensors(str(other), {"a": np.zeros(1)}, MODEL_ITEM, {"format": 99})
    with pytest.raises(errors.UnreadableModel, match="another version"):
        read_model(str(other))
