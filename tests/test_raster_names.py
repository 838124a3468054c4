"""Headers, compressed files and archives open as the raster that they stand for, or the message names the rasters."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from core_scenes import landscape, write

from dip_core.errors import InvalidJob, UnreadableRaster
from dip_core.job import DetectStripesJob
from dip_core.job_fields import Outputs
from dip_core.raster.source import open_raster
from dip_core.raster_names import NoSingleRaster, data_file_of, name_in_archive, name_to_open

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
PIXELS = landscape(2, 20, 24).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder whose name has spaces, umlauts and the suffix of an archive."""
    made = tmp_path / "Szenen für x.zip & y"
    made.mkdir()
    return made


@pytest.fixture
def tif(tmp_path) -> bytes:
    return Path(write(tmp_path / "made.tif", PIXELS)).read_bytes()


def pack(path, members: dict[str, bytes]) -> str:
    """An archive with members of these names; its kind follows from the suffix."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return str(path)
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    with tarfile.open(path, mode, format=tarfile.GNU_FORMAT) as archive:  # as that of the program tar
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return str(path)


def pixels_of(name: str) -> np.ndarray:
    with open_raster(name) as source:
        return source.read()


# Headers


@pytest.mark.parametrize("suffix", ["", ".dat", ".img", ".bsq", ".bil", ".bip", ".raw", ".IMG"])
@pytest.mark.parametrize("header", [".hdr", ".HDR"])
def test_a_header_opens_its_data_file(folder, suffix, header):
    with rasterio.open(
        folder / f"cube{suffix}", "w", driver="ENVI", count=2, height=20, width=24, dtype="uint8"
    ) as file:
        file.write(PIXELS)
    os.replace(folder / "cube.hdr", folder / f"cube{header}")
    (folder / "cube.aux.xml").write_text("<PAMDataset/>")
    (folder / "cube2.dat").write_text("of another cube")
    assert name_to_open(str(folder / f"cube{header}")) == str(folder / f"cube{suffix}")
    np.testing.assert_array_equal(pixels_of(str(folder / f"cube{header}")), PIXELS)


def test_a_header_that_is_named_after_the_whole_data_file(folder):
    path = folder / "cube.img"
    with rasterio.open(path, "w", driver="ENVI", count=2, height=20, width=24, dtype="uint8", SUFFIX="ADD") as file:
        file.write(PIXELS)
    assert (folder / "cube.img.hdr").exists()
    np.testing.assert_array_equal(pixels_of(f"{path}.hdr"), PIXELS)


def test_a_header_without_its_data_file_is_explained(folder):
    header = folder / "cube.hdr"
    header.write_text("ENVI\nsamples = 3\n")
    with pytest.raises(UnreadableRaster, match=r"header of an ENVI raster.*Put the data file 'cube' beside it"):
        open_raster(str(header))
    for name in ("cube.dat", "cube.img"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(UnreadableRaster, match=r"several data files\. Choose one of cube\.dat, cube\.img"):
        open_raster(str(header))
    with pytest.raises(UnreadableRaster, match="no such file"):
        open_raster(str(folder / "none.hdr"))


def test_another_file_named_hdr_is_left_alone(folder):
    other = folder / "photo.hdr"
    other.write_text("#?RADIANCE")
    assert name_to_open(str(other)) == str(other)
    with pytest.raises(UnreadableRaster, match="not recognized"):
        open_raster(str(other))


# Archives


@pytest.mark.parametrize("kind", [".tar", ".tar.gz", ".tgz", ".zip", ".ZIP", ".TAR"])
@pytest.mark.parametrize("member", ["B1.TIF", "sub folder/b ü.tif", "sub/B1.TIF.gz"])
def test_an_archive_with_one_raster_opens_it(folder, tif, kind, member):
    content = gzip.compress(tif) if member.endswith(".gz") else tif
    path = pack(
        folder / f"scene{kind.lower()}", {"MTL.txt": b"x", "quick.jpg": b"x", member: content, "b.tif.aux.xml": b""}
    )
    os.replace(path, folder / f"scene{kind}")
    np.testing.assert_array_equal(pixels_of(str(folder / f"scene{kind}")), PIXELS)


@pytest.mark.parametrize("kind", [".tar", ".tgz", ".zip"])
def test_an_archive_with_several_rasters_says_how_to_name_one(tmp_path, tif, kind):
    names = [f"LE07_B{number}.TIF" for number in range(1, 9)]
    path = pack(tmp_path / f"scene{kind}", {**dict.fromkeys(names, tif), "gap_mask/GM_B1.TIF.gz": gzip.compress(tif)})
    with pytest.raises(UnreadableRaster) as caught:
        open_raster(path)
    text = str(caught.value)
    assert "an archive with 9 rasters (LE07_B1.TIF, LE07_B2.TIF" in text and "..." in text and "Check that" not in text
    example = text.split("such as '")[1].split("'")[0]
    np.testing.assert_array_equal(pixels_of(example), PIXELS)
    vsi = "/vsizip/" if kind == ".zip" else "/vsitar/"
    np.testing.assert_array_equal(pixels_of(f"{vsi}{path}/gap_mask/GM_B1.TIF.gz"), PIXELS)  # without /vsigzip/
    with pytest.raises(UnreadableRaster, match="9 rasters"):
        open_raster(vsi + path)


def test_archives_without_a_raster_and_damaged_ones(tmp_path, tif):
    with pytest.raises(UnreadableRaster, match=r"an archive that holds no raster\. Choose another"):
        open_raster(pack(tmp_path / "a.tar", {"a.txt": b"x"}))
    whole = pack(tmp_path / "b.tar.gz", {"a.tif": tif * 3, "b.tif": tif})
    content = Path(whole).read_bytes()
    for name, part in (("c.tar.gz", content[: len(content) // 2]), ("d.zip", b"PK\3\4 broken"), ("e.tar", b"")):
        (tmp_path / name).write_bytes(part)
        with pytest.raises(UnreadableRaster, match="archive") as caught:
            open_raster(str(tmp_path / name))
        assert str(caught.value).isprintable()


def test_pictures_count_only_if_there_is_nothing_else(tmp_path):
    assert name_in_archive(pack(tmp_path / "a.zip", {"a.jpg": b"", "__MACOSX/._a.jpg": b""})).endswith("/a.jpg")
    assert name_in_archive(pack(tmp_path / "b.zip", {"cube.hdr": b"", "cube": b"", "a.jpg": b""})).endswith("/cube")
    with pytest.raises(NoSingleRaster, match="2 rasters"):
        name_in_archive(pack(tmp_path / "c.zip", {"a.tif": b"", "b.tif": b""}))


def test_other_names_stay_as_they_are(tmp_path):
    (tmp_path / "archive.tar.d").mkdir()
    for name in ("a.tif", "/vsizip/a.zip/b.tif", 'NETCDF:"a.nc":x', "no.tar", "/vsigzip//x/a.TIF.gz", str(tmp_path)):
        assert name_to_open(name) == name and name_in_archive(name) is None
    assert name_to_open("/vsitar//x/a.tar/b.TIF.gz") == "/vsigzip//vsitar//x/a.tar/b.TIF.gz"


def test_no_output_overwrites_what_an_input_stands_for(tmp_path, tif):
    (tmp_path / "cube.hdr").write_text("ENVI\n")
    (tmp_path / "cube.dat").write_text("")
    shutil.copy(tmp_path / "made.tif", tmp_path / "x.tif")
    archive = pack(tmp_path / "a.tar", {"a.tif": tif})
    assert data_file_of(archive) == archive
    for name, output in (
        (str(tmp_path / "cube.hdr"), str(tmp_path / "cube.dat")),
        (f"/vsitar/{archive}/a.tif", archive),
        (f"/vsigzip//vsitar/{{{archive}}}/a.tif.gz", archive),
    ):
        with pytest.raises(InvalidJob, match="OUTPUT would overwrite"):
            DetectStripesJob(name, Outputs(output=output))
