"""Assessing a restoration: the right pixels count, in the right units, and rasters that do not match are errors."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re

import numpy as np
import pytest
import rasterio
from matplotlib.image import imread

from dip_core.comparison import compare
from dip_core.errors import BandCountMismatch, GridMismatch, InvalidJob, UnreadableRaster
from dip_core.events import Message
from dip_core.job import AssessJob
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.runtime.context import Context
from dip_core.tasks import assess

TRANSFORM = rasterio.Affine(30.0, 0.0, 500000.0, 0.0, -30.0, 6200000.0)
NAMES = {"RMSE", "BIAS", "R2", "PEARSON_R2", "PSNR", "MPSNR", "MSSIM", "SAM", "ERGAS"}


def write(path, pixels, scale=1.0, offset=0.0, **profile):
    bands, rows, columns = pixels.shape
    options = {"crs": "EPSG:32633", "transform": TRANSFORM, "dtype": pixels.dtype.name, **profile}
    with rasterio.open(path, "w", driver="GTiff", count=bands, height=rows, width=columns, **options) as file:
        file.write(pixels)
        file.scales, file.offsets = (scale,) * bands, (offset,) * bands
    return str(path)


def assessed(tmp_path, restored, reference, mask=None):
    """The numbers, the rows of METRICS, the record of REPORT, and the warnings."""
    messages = []
    outputs = Outputs(metrics=str(tmp_path / "m.csv"), report=str(tmp_path / "r.html"))
    try:
        result = assess.run(AssessJob(restored, reference, outputs, mask), Context(messages.append))
    except BaseException:
        atomic.discard()
        raise
    atomic.commit()
    assert result.outputs == {"METRICS": outputs.metrics, "REPORT": outputs.report}
    assert set(result.numbers) == NAMES
    with open(outputs.metrics, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    record = json.loads(re.search(r'<script type="application/json"[^>]*>(.*)</script>', page).group(1))
    warnings = [event.text for event in messages if isinstance(event, Message) and event.level == "warning"]
    assert record["warnings"] == warnings
    return result.numbers, rows, record, warnings


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    row, column = np.mgrid[0:60, 0:80] / 60.0
    reference = np.stack([0.2 + row, 0.5 + 0.3 * np.sin(7 * column), 0.1 + row * column]).astype(np.float32)
    restored = reference.copy()
    filled = np.zeros((60, 80), bool)
    filled[20:34, 5:75] = True
    restored[:, filled] += generator.normal(0.02, 0.05, (3, int(filled.sum()))).astype(np.float32)
    return restored, reference, filled


def test_numbers_are_those_inside_the_mask(tmp_path, pair):
    restored, reference, filled = pair
    mask = write(tmp_path / "f.tif", filled[None].astype(np.uint8))
    numbers, rows, record, warnings = assessed(
        tmp_path, write(tmp_path / "y.tif", restored), write(tmp_path / "x.tif", reference), mask
    )
    expected = compare(restored, reference, filled)
    for name in NAMES:
        assert numbers[name] == pytest.approx(expected[name.lower()], rel=1e-6)
    assert [(row["region"], row["band"]) for row in rows] == [
        (region, str(band)) for region in ("everywhere", "inside", "outside") for band in (1, 2, 3)
    ]
    inside = next(row for row in rows if row["region"] == "inside" and row["band"] == "2")
    assert float(inside["rmse"]) == pytest.approx(expected.bands[1]["rmse"], rel=1e-6)
    assert int(inside["pixels"]) == filled.sum()
    outside = [row for row in rows if row["region"] == "outside"]
    assert all(float(row["rmse"]) == 0.0 and row["psnr"] == "" for row in outside)  # infinite
    everywhere = compare(restored, reference)
    assert record["data"]["scores"]["everywhere"]["rmse"] == pytest.approx(everywhere["rmse"], rel=1e-6)
    assert record["data"]["region"] == "inside"
    assert warnings == []


def test_without_a_mask_all_pixels_count(tmp_path, pair):
    restored, reference, _ = pair
    numbers, rows, _, _ = assessed(tmp_path, write(tmp_path / "y.tif", restored), write(tmp_path / "x.tif", reference))
    expected = compare(restored, reference)
    for name in NAMES:
        assert numbers[name] == pytest.approx(expected[name.lower()], rel=1e-6)
    assert {row["region"] for row in rows} == {"everywhere"}


def test_strips_give_the_same_numbers(tmp_path, pair, monkeypatch):
    """Strips of seven rows: the similarity of a pixel must not depend on where strips end."""
    restored, reference, filled = pair
    paths = [write(tmp_path / "y.tif", restored), write(tmp_path / "x.tif", reference)]
    mask = write(tmp_path / "f.tif", filled[None].astype(np.uint8))
    whole, *_ = assessed(tmp_path, *paths, mask)
    monkeypatch.setattr(assess, "MAX_STRIP_VALUES", 7 * 80 * 3)
    strips, *_ = assessed(tmp_path, *paths, mask)
    assert strips == pytest.approx(whole, rel=1e-9)


def test_scale_and_offset_are_applied(tmp_path, pair):
    """A Landsat-like integer reference against the same values stored as reflectance."""
    _, reference, _ = pair
    stored = np.rint((reference + 0.2) / 2.75e-5).astype(np.uint16)
    physical = (stored * 2.75e-5 - 0.2).astype(np.float32)
    numbers, *_ = assessed(
        tmp_path, write(tmp_path / "y.tif", physical), write(tmp_path / "x.tif", stored, 2.75e-5, -0.2, nodata=0)
    )
    assert numbers["RMSE"] < 1e-6
    assert numbers["R2"] == pytest.approx(1.0)


def test_missing_pixels_are_not_counted_and_reported(tmp_path, pair):
    restored, reference, _ = pair
    restored[0, :5, :10] = -9999
    reference[1, 50:, :] = -9999
    numbers, rows, _, warnings = assessed(
        tmp_path, write(tmp_path / "y.tif", restored, nodata=-9999), write(tmp_path / "x.tif", reference, nodata=-9999)
    )
    assert [int(row["pixels"]) for row in rows] == [60 * 80 - 50, 50 * 80, 60 * 80]
    assert numbers["RMSE"] < 0.1
    assert len(warnings) == 1 and warnings[0].startswith("50 values of the reference are missing")


def test_mask_per_band(tmp_path, pair):
    restored, reference, filled = pair
    mask = np.stack([filled, np.zeros_like(filled), filled]).astype(np.uint8)
    numbers, rows, record, _ = assessed(
        tmp_path,
        write(tmp_path / "y.tif", restored),
        write(tmp_path / "x.tif", reference),
        write(tmp_path / "f.tif", mask),
    )
    assert numbers["RMSE"] == pytest.approx(compare(restored, reference, mask > 0)["rmse"], rel=1e-6)
    second = next(row for row in rows if row["region"] == "inside" and row["band"] == "2")
    assert second["pixels"] == "0" and second["rmse"] == ""
    # The second band differs from its reference outside its own (empty) mask, but no untouched spectrum does.
    assert record["data"]["scores"]["outside"]["rmse"] > 0
    assert record["data"]["scores"]["outside"]["sam"] == pytest.approx(0.0, abs=1e-5)


def test_inverted_mask_is_noticed(tmp_path, pair):
    restored, reference, filled = pair
    mask = write(tmp_path / "m.tif", (~filled)[None].astype(np.uint8))
    *_, warnings = assessed(tmp_path, write(tmp_path / "y.tif", restored), write(tmp_path / "x.tif", reference), mask)
    assert len(warnings) == 1 and "perhaps the mask marks the observed pixels" in warnings[0]


def test_empty_mask_gives_undefined_numbers(tmp_path, pair):
    restored, reference, filled = pair
    mask = write(tmp_path / "m.tif", np.zeros((1, *filled.shape), np.uint8))
    numbers, _, _, warnings = assessed(
        tmp_path, write(tmp_path / "y.tif", restored), write(tmp_path / "x.tif", reference), mask
    )
    assert all(math.isnan(value) for value in numbers.values())
    assert any("No pixel inside the mask" in text for text in warnings)


def test_large_rasters_are_drawn_small(tmp_path, monkeypatch):
    """1000 rows in strips of 37: thumbnails of half size must fit together."""
    monkeypatch.setattr(assess, "MAX_STRIP_VALUES", 37 * 50)
    reference = np.random.default_rng(0).uniform(0, 1, (1, 1000, 50)).astype(np.float32)
    assessed(tmp_path, write(tmp_path / "y.tif", reference), write(tmp_path / "x.tif", reference))
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    pictures = [base64.b64decode(text) for text in re.findall(r"data:image/png;base64,([^\"]+)", page)]
    shapes = [imread(io.BytesIO(png), format="png").shape[:2] for png in pictures]
    assert shapes[:2] == [(500, 25)] * 2  # reference and restored raster; a plot follows


def test_mismatches_are_errors(tmp_path, pair):
    restored, reference, filled = pair
    y, x = write(tmp_path / "y.tif", restored), write(tmp_path / "x.tif", reference)
    moved = write(tmp_path / "moved.tif", reference, transform=TRANSFORM @ rasterio.Affine.translation(1, 0))
    with pytest.raises(GridMismatch, match=r"moved\.tif.*another position"):
        assessed(tmp_path, moved, x)
    small = write(tmp_path / "small.tif", filled[None, :30].astype(np.uint8))
    with pytest.raises(GridMismatch, match=r"small\.tif.*80 x 30 pixels instead of 80 x 60"):
        assessed(tmp_path, y, x, small)
    with pytest.raises(InvalidJob, match=r"has 2 bands and .* has 3: choose two rasters"):
        assessed(tmp_path, write(tmp_path / "two.tif", restored[:2]), x)
    with pytest.raises(BandCountMismatch, match="2 mask bands were given for 3 bands"):
        assessed(tmp_path, y, x, write(tmp_path / "m2.tif", np.ones((2, 60, 80), np.uint8)))
    with pytest.raises(UnreadableRaster, match="no such file"):
        assessed(tmp_path, y, str(tmp_path / "none.tif"))
    empty = write(tmp_path / "empty.tif", np.zeros_like(reference), nodata=0)
    with pytest.raises(InvalidJob, match="no valid pixel in common"):
        assessed(tmp_path, y, empty)
    assert not [entry.name for entry in tmp_path.iterdir() if entry.suffix in (".html", ".csv", ".part")]


@pytest.mark.parametrize("value, nodata, dtype", [(255, 255, "u1"), (np.nan, None, "f4"), (-1, -1, "i2")])
def test_nodata_of_the_mask_is_outside(tmp_path, value, nodata, dtype):
    rng = np.random.default_rng(4)
    reference = rng.normal(100, 20, (2, 40, 50)).astype("f4")
    inside = np.zeros((40, 50), bool)
    inside[5:20, 8:30] = True
    restored = reference + np.where(inside, 3, 0).astype("f4")
    mask = write(tmp_path / "mask.tif", np.where(inside, 1, value).astype(dtype)[None], nodata=nodata)
    paths = write(tmp_path / "restored.tif", restored), write(tmp_path / "reference.tif", reference)
    numbers, _, _, warnings = assessed(tmp_path, *paths, mask)
    assert numbers["RMSE"] == pytest.approx(3, rel=1e-4)
    assert warnings == []
