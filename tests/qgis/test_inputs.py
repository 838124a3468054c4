"""Every kind of raster that QGIS can read reaches the worker as a path that it can open."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from qgis_helpers import error_sentence, read_pixels

pytestmark = pytest.mark.qgis


@pytest.fixture
def fill(run_fake, output):
    """Runs gapfillslcoff with a fake worker, which copies its input to the output."""
    return lambda parameters, **options: run_fake("gapfillslcoff", {"OUTPUT": output, **parameters}, **options)


def test_gzipped_masks_as_delivered_by_usgs(fill, scene, make_raster, scene_with_gaps, tmp_path):
    plain = make_raster(tmp_path / "LE07_GM_B1.TIF", (scene_with_gaps[:1] > 0).astype("u1"), None)
    packed = plain + ".gz"
    Path(packed).write_bytes(gzip.compress(Path(plain).read_bytes()))
    job = fill({"INPUT": scene, "GAP_MASK": [packed, f"/vsigzip/{packed}"]}).job
    assert [path.replace("/vsigzip/", "") for path in job["gap_masks"]] == [packed, packed]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_headers_and_archives_stand_for_their_raster(fill, make_raster, scene_with_gaps, tmp_path, kind):
    """As INPUT, in BANDS and among the masks."""
    from osgeo import gdal

    folder = tmp_path / "Szenen für Öl"
    folder.mkdir()
    flat = make_raster(folder / "B1.TIF", scene_with_gaps[:1])
    gdal.Translate(str(folder / "b2.dat"), gdal.Open(flat), format="ENVI")
    members = {"B1.TIF": Path(flat).read_bytes(), "gap_mask/GM_B1.TIF.gz": gzip.compress(Path(flat).read_bytes())}
    both, single = str(folder / f"both.{kind}"), str(folder / f"single.{kind}")
    for path, names in ((both, list(members)), (single, ["B1.TIF"])):
        if kind == "zip":
            with zipfile.ZipFile(path, "w") as archive:
                for name in names:
                    archive.writestr(name, members[name])
        else:
            with tarfile.open(path, "w") as archive:
                for name in names:
                    info = tarfile.TarInfo(name)
                    info.size = len(members[name])
                    archive.addfile(info, io.BytesIO(members[name]))
    member = f"/vsi{kind}/{both}/gap_mask/GM_B1.TIF.gz"
    header = str(folder / "b2.hdr")
    parameters = {"INPUT": single, "BANDS": [header, f"/vsi{kind}/{both}/B1.TIF"], "GAP_MASK": [member]}
    # The fake worker copies its first input, which is no plain file here.
    replace = f"job['given'], job['inputs'] = job['inputs'], [{flat!r}]"
    job = fill(parameters, first=replace).job
    assert job["gap_masks"] == [f"/vsigzip/{member}"]
    assert job["given"][1:] == [str(folder / "b2.dat"), f"/vsi{kind}/{both}/B1.TIF"]
    assert job["given"][0] in (f"/vsi{kind}/{single}/B1.TIF", f"/vsi{kind}/{single}", single)
    assert fill({"INPUT": header}).job["inputs"] == [str(folder / "b2.dat")]
    sentence = error_sentence(fill, {"INPUT": both})
    assert f"INPUT '{both}' cannot be read: it is an archive with 2 rasters (B1.TIF, " in sentence
    assert f"/vsi{kind}/{both}/B1.TIF" in sentence


def test_layers_layer_ids_and_joined_paths(fill, scene, qgis_new_project, make_raster, whole_scene, tmp_path):
    from qgis.core import QgsProject, QgsRasterLayer

    other, third = (make_raster(tmp_path / f"b{number}.tif", whole_scene[:1]) for number in (2, 3))
    layer = QgsRasterLayer(scene, "my scene")
    QgsProject.instance().addMapLayer(layer)
    assert fill({"INPUT": layer}).job["inputs"] == [scene]
    assert fill({"INPUT": layer.id(), "BANDS": f"{other};{third}"}).job["inputs"] == [scene, other, third]
    assert fill({"INPUT": "my scene"}).job["inputs"] == [scene]


def test_memory_raster_is_staged(fill, make_raster, scene_with_gaps, output):
    """Another process cannot read GDAL's memory files."""
    from osgeo import gdal

    source = make_raster("/vsimem/scene.tif", scene_with_gaps, wavelength="0.48")
    job = fill({"INPUT": source}).job
    gdal.Unlink(source)
    assert not job["inputs"][0].startswith("/vsimem") and not Path(job["inputs"][0]).exists()  # removed after the run
    copy = gdal.Open(output)
    assert (copy.ReadAsArray() == scene_with_gaps).all()
    assert copy.GetRasterBand(2).GetMetadataItem("wavelength") == "0.48" and copy.GetRasterBand(1).GetNoDataValue() == 0


def test_layer_of_another_provider_is_staged(fill, qgis_new_project, scene, output):
    """GDAL cannot read QGIS's virtual rasters and WCS layers, so QGIS writes their pixels."""
    from qgis.core import QgsProject, QgsRasterLayer

    source = QgsRasterLayer(scene, "b")
    QgsProject.instance().addMapLayer(source)
    extent = source.extent()
    corners = f"{extent.xMinimum()},{extent.yMinimum()},{extent.xMaximum()},{extent.yMaximum()}"
    uri = (
        f'?crs=EPSG:32622&extent={corners}&width={source.width()}&height={source.height()}&formula="b@1" + 1'
        f"&b:uri={scene}&b:provider=gdal"
    )
    layer = QgsRasterLayer(uri, "computed", "virtualraster")
    assert layer.isValid()
    assert fill({"INPUT": layer}).job["inputs"][0].endswith(".tif")
    computed, original = read_pixels(output), read_pixels(scene)[0]
    assert (computed[original > 0] == original[original > 0] + 1.0).all()


def test_raster_that_the_worker_cannot_open_is_staged(fill, make_raster, scene_with_gaps, output, tmp_path):
    from osgeo import gdal

    envi = str(tmp_path / "cube.dat")
    flat = gdal.Open(make_raster(tmp_path / "flat.tif", scene_with_gaps))
    gdal.Translate(envi, flat, format="ENVI").SetMetadataItem("fwhm", "{1,2,3}", "ENVI")
    reject = """
    if not job["inputs"][0].endswith(".tif"):
        emit("error", text="no", kind="UnreadableRaster", facts={"path": job["inputs"][0], "reason": "driver"})
        sys.exit(1)
    """
    done = fill({"INPUT": envi}, first=reject)
    assert done.job["inputs"][0].endswith(".tif")
    assert "QGIS made a copy" in done.feedback.textLog()
    assert (read_pixels(output) == scene_with_gaps).all()


def test_raster_that_nobody_can_read_is_tried_once(fill, scene, tmp_path):
    body = """
    with open(job["outputs"]["output"] + ".count", "a") as file:
        file.write("x")
    emit("error", text="Cannot read it.", kind="UnreadableRaster", facts={"path": job["inputs"][0], "reason": "r"})
    sys.exit(1)
    """
    # QGIS can open the header, but the pixels are cut off.
    data = Path(scene).read_bytes()
    Path(scene).write_bytes(data[: len(data) // 3])
    assert error_sentence(fill, {"INPUT": scene}, body=body) == "Cannot read it."
    assert (tmp_path / "out.tif.count").read_text() == "x"
