"""Opening raster files: compressed ones, and errors with the path and the reason."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
from core_scenes import data, landscape, write

from dip_core.errors import UnreadableRaster
from dip_core.raster.scene import Scene
from dip_core.raster.source import open_raster

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def pixels():
    return landscape(3, 30, 40).astype(np.uint8)


def test_files_that_are_no_raster_are_errors(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    for path, reason in ((text, "not recognized"), (tmp_path / "none.tif", "no such file"), (tmp_path, ".")):
        with pytest.raises(UnreadableRaster, match=reason) as caught:
            Scene([str(path)])
        assert str(path) in str(caught.value) and "Check that the file is complete" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("odd/rasterio/corrupt.tif", "IReadBlock failed"),
        ("odd/rasterio/two-subs.h5", "choose one subdataset"),
        ("odd/rasterio/no_band.h5", "choose one subdataset"),
        ("odd/rasterio/RGB.byte.gcp.vrt", "No such file"),
        ("odd/rasterio/RGB.byte.tif.aux.xml", "not recognized"),
    ],
)
def test_broken_rasters_of_the_data_folder(name, reason):
    with pytest.raises(UnreadableRaster, match=reason), Scene([data(name)]) as scene:
        scene.valid()
        scene.read()


def test_gzip_files_are_read_without_unpacking(tmp_path, pixels):
    plain = write(tmp_path / "LE07_GM_B1.TIF", pixels[:1])
    with open(plain, "rb") as file, gzip.open(f"{plain}.gz", "wb") as packed:
        shutil.copyfileobj(file, packed)
    with open_raster(f"{plain}.gz") as source:
        np.testing.assert_array_equal(source.read(), pixels[:1])
    with pytest.raises(UnreadableRaster):
        open_raster(str(tmp_path / "none.TIF.gz"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["LE07_GM_B1.TIF", "LE07_GM_B1.TIF.gz"]
