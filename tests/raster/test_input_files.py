"""Files that GDAL reads for an input are not replaced by an output."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from core_scenes import write

from dip_core.errors import InvalidJob
from dip_core.job_fields import Outputs
from dip_core.raster.input_files import check_inputs_are_kept
from dip_core.restoration_jobs import GapFillJob


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "source.tif", np.ones((2, 8, 9), np.uint8))


def refuse(inputs, output, **options):
    with pytest.raises(InvalidJob, match=r"would (overwrite|replace)"):
        check_inputs_are_kept(GapFillJob(tuple(map(str, inputs)), Outputs(str(output)), **options))


def vrt(source, path):
    rasterio.shutil.copy(source, path, driver="VRT")
    return str(path)


def test_sources_of_a_vrt(tmp_path, source):
    inner, outer = vrt(source, tmp_path / "inner.vrt"), str(tmp_path / "outer.vrt")
    text = (tmp_path / "inner.vrt").read_text()
    (tmp_path / "outer.vrt").write_text(text.replace(">source.tif<", ">inner.vrt<"))
    assert "inner.vrt" in (tmp_path / "outer.vrt").read_text()
    refuse([outer], source)
    refuse([outer], inner)
    refuse([write(tmp_path / "scene.tif", np.ones((1, 8, 9), np.uint8))], source, gap_masks=(outer,))
    check_inputs_are_kept(GapFillJob((outer,), Outputs(str(tmp_path / "free.tif"))))


def test_headers_and_sidecars(tmp_path, source):
    with rasterio.open(source) as file:
        rasterio.shutil.copy(file, tmp_path / "cube.img", driver="ENVI")
    refuse([tmp_path / "cube.img"], tmp_path / "cube.hdr")
    check_inputs_are_kept(GapFillJob((str(tmp_path / "cube.img"),), Outputs(str(tmp_path / "cube.tif"))))


def test_inputs_that_cannot_be_opened_are_left_to_the_task(tmp_path):
    (tmp_path / "text.tif").write_text("no raster")
    job = GapFillJob((str(tmp_path / "text.tif"), "missing.tif"), Outputs(str(tmp_path / "o.tif")))
    check_inputs_are_kept(job)
