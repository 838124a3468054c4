"""Files that open but cannot be read, and guides that cannot be warped, are named in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, landscape, slanted_gaps, write

from dip_core import __main__
from dip_core.errors import UnreadableRaster
from dip_core.raster.source import open_raster

GAP = slanted_gaps(60, 70)
IMAGE = landscape(3, 60, 70).astype("u1")
NOISE = np.random.default_rng(0).integers(1, 255, (1, 60, 70)).astype("u1")


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "scene.tif", np.where(GAP, 0, IMAGE).astype("u1"), nodata=0)


def truncated(tmp_path, share: float = 0.6, **profile) -> str:
    path = Path(write(tmp_path / "damaged.tif", NOISE, **profile))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return str(path)


def without_source(tmp_path) -> str:
    """A VRT whose source is missing."""
    path = tmp_path / "damaged.vrt"
    crs = rasterio.CRS.from_epsg(32633).to_wkt()
    path.write_text(
        f"""<VRTDataset rasterXSize="70" rasterYSize="60"><SRS>{crs}</SRS>
        <GeoTransform>500000, 30, 0, 6200000, 0, -30</GeoTransform><VRTRasterBand dataType="Byte" band="1">
        <SimpleSource><SourceFilename>gone.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
        </VRTRasterBand></VRTDataset>"""
    )
    return str(path)


def run(tmp_path, job):
    """The exit code and the last event of a job; no output may be left after an error."""
    output = tmp_path / "o.tif"
    (tmp_path / "job.json").write_text(json.dumps({**job, "outputs": {"output": str(output)}}))
    emitted: list = []
    code = __main__.run_file(str(tmp_path / "job.json"), emitted.append)
    assert output.exists() is (code == 0) and not list(tmp_path.glob(".*"))
    return code, emitted[-1]


@pytest.mark.parametrize("damage", [truncated, without_source])
@pytest.mark.parametrize("role", ["input", "second band", "mask", "guide", "qa"])
def test_the_damaged_file_is_named(tmp_path, scene, damage, role):
    path = damage(tmp_path)
    job = {"task": "gap_fill", "inputs": [scene], "method": "fast"}
    job |= {
        "input": {"inputs": [path]},
        "second band": {"inputs": [scene, path]},
        "mask": {"gap_masks": [path]},
        "guide": {"guide": path},
        "qa": {"qa": path},
    }[role]
    code, event = run(tmp_path, job)
    assert code == 1 and event.kind == "UnreadableRaster", event
    assert event.text.startswith(f"Cannot read the raster '{path}'")


@pytest.mark.parametrize("damage", [truncated, without_source])
@pytest.mark.parametrize("task", ["denoise", "inpaint_stripes", "superresolve", "detect_stripes", "simulate_gaps"])
def test_every_task_names_the_damaged_file(tmp_path, damage, task):
    path = damage(tmp_path)
    code, event = run(tmp_path, {"task": task, "input": path})
    assert code == 1 and event.kind == "UnreadableRaster" and path in event.text


DEGREES = rasterio.Affine(0.001, 0, 15, 0, -0.001, 56)


@pytest.mark.parametrize(
    ("crs", "transform", "words"),
    [
        ("+proj=longlat +R=1737400 +no_defs", DEGREES, "no transformation leads"),
        ('LOCAL_CS["site",UNIT["metre",1]]', TRANSFORM, "no transformation leads"),
        ("EPSG:32632", rasterio.Affine(0, 0, 500000, 0, 0, 6200000), "geotransform"),
        (None, DEGREES, "no CRS"),
    ],
)
@pytest.mark.parametrize("task", ["gap_fill", "superresolve"])
def test_a_guide_that_cannot_be_warped_is_refused(tmp_path, scene, crs, transform, words, task):
    guide = write(tmp_path / "guide.tif", IMAGE[:, :50, :60], crs=crs, transform=transform)
    job = {"task": task, "method": "fast", "guide": guide, **({"inputs": [scene]} if task == "gap_fill" else {})}
    if task == "superresolve":
        job["input"] = write(tmp_path / "whole.tif", IMAGE)
    code, event = run(tmp_path, job)
    assert code == 1 and event.kind == "GridMismatch" and words in event.text, event
    assert guide in event.text and len(event.text) < 500


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_a_raw_file_that_is_too_short_is_refused(tmp_path, dtype, interleave):
    path = tmp_path / "cube.dat"
    profile = {"driver": "ENVI", "count": 3, "height": 60, "width": 70, "dtype": dtype, "interleave": interleave}
    with rasterio.open(path, "w", transform=TRANSFORM, **profile) as file:
        file.write(IMAGE.astype(dtype))
    with open_raster(str(path)) as source:
        np.testing.assert_array_equal(source.read(), IMAGE.astype(dtype))
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnreadableRaster, match=f"its data file has {size - 1} bytes instead of {size}"):
        open_raster(str(path))
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text().replace("header offset = 0", "header offset = 40"))
    path.write_bytes(bytes(40) + path.read_bytes() + b"\0")
    open_raster(str(path)).close()
