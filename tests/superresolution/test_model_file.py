"""Model files: what is written is read, and what does not fit is rejected in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from dip_core import errors
from dip_core.superresolution.model_file import MODEL_ITEM, ModelCard, read_model, save_tensors, write_model


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "m.safetensors")
    tensors = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    card = ModelCard(2, 3, (0.45, None), 230.0, figures={"psnr": 31.5, "sam": None})
    write_model(path, tensors, card)
    read, same = read_model(path)
    assert np.array_equal(read["weights"], tensors["weights"]) and same == card


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
