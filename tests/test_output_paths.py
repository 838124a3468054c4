"""No output replaces an input, another output, or a file that belongs to one."""

from __future__ import annotations

import os

import pytest

from dip_core import output_paths
from dip_core.errors import InvalidJob
from dip_core.output_paths import files_in_name, require_distinct_paths


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.tif").write_text("")
    return tmp_path


@pytest.mark.parametrize("ending", [".msk", ".ovr", ".aux.xml", ".msk.ovr"])
def test_sidecars_of_outputs_and_inputs(folder, ending):
    (folder / f"out.tif{ending}").write_text("")
    with pytest.raises(InvalidJob, match=r"OUTPUT 'out.tif' would replace the input"):
        require_distinct_paths({"OUTPUT": "out.tif"}, [f"out.tif{ending}"])
    with pytest.raises(InvalidJob, match="a name that GDAL takes for a part of the input"):
        require_distinct_paths({"OUTPUT": f"in.tif{ending}"}, ["in.tif"])
    with pytest.raises(InvalidJob, match="cannot be written together"):
        require_distinct_paths({"OUTPUT": "out.tif", "FILLED": f"./out.tif{ending}"}, ["in.tif"])
    with pytest.raises(InvalidJob, match="cannot be written together"):
        require_distinct_paths({"MASK": f"o.tif{ending}", "REPORT": "o.tif"}, ["in.tif"])


def test_links_of_both_kinds(folder):
    os.link("in.tif", "hard.tif")
    os.symlink("in.tif", "soft.tif")
    os.symlink("new.tif", "dangling.tif")
    for name in ("hard.tif", "soft.tif"):
        with pytest.raises(InvalidJob, match=r"OUTPUT would overwrite the input 'in.tif'"):
            require_distinct_paths({"OUTPUT": name}, ["in.tif"])
    with pytest.raises(InvalidJob, match="same file"):
        require_distinct_paths({"OUTPUT": "new.tif", "FILLED": "dangling.tif"}, ["in.tif"])


NAMES = {
    "/vsigzip/{}/in.tif": "in.tif",
    "/vsizip/{}/in.tif/scene/B1.tif": "in.tif",
    "/vsigzip//vsitar/{}/in.tif/B1.tif.gz": "in.tif",
    "/vsizip/{{{}/in.tif}}/B1.tif": "in.tif",
    'NETCDF:"{}/in.tif":temperature': "in.tif",
    "HDF5:{}/in.tif://group/data": "in.tif",
    "GTIFF_DIR:2:{}/in.tif": "in.tif",
    "vrt://{}/in.tif?bands=2,1": "in.tif",
    "/vsisubfile/100_200,{}/in.tif": "in.tif",
}


@pytest.mark.parametrize("name", NAMES)
def test_files_in_the_names_of_gdal(folder, name):
    given = name.format(folder)
    assert str(folder / "in.tif") in [os.path.normpath("/" + file.lstrip("/")) for file in files_in_name(given)]
    with pytest.raises(InvalidJob, match="OUTPUT would overwrite"):
        require_distinct_paths({"OUTPUT": str(folder / "in.tif")}, [given])
    require_distinct_paths({"OUTPUT": str(folder / "out.tif")}, [given])


def test_case_matters_only_where_the_file_system_says_so(folder, monkeypatch):
    paths = {"OUTPUT": "Out.tif", "FILLED": "out.TIF"}
    require_distinct_paths(paths, ["in.tif"])  # Linux
    monkeypatch.setattr(output_paths, "_ignores_case", lambda folder: True)  # macOS
    with pytest.raises(InvalidJob, match="same file"):
        require_distinct_paths(paths, ["in.tif"])
    with pytest.raises(InvalidJob, match="overwrite"):
        require_distinct_paths({"OUTPUT": "IN.tif"}, ["in.tif"])


def test_similar_names_are_no_conflict(folder):
    outputs = {"OUTPUT": "in.tif.tif", "FILLED": "in_msk.tif", "UNCERTAINTY": "in.ovr", "REPORT": "in.tif.html"}
    require_distinct_paths(outputs, ["in.tif", "not there.tif", "WMS:http://server/x?y=in", ""])


def test_a_nul_is_refused(folder):
    with pytest.raises(InvalidJob, match="NUL"):
        require_distinct_paths({"OUTPUT": "a\0.tif"}, ["in.tif"])


def test_the_open_options_of_a_layer_hide_no_file(folder):
    with pytest.raises(InvalidJob, match="overwrite"):
        require_distinct_paths({"OUTPUT": "in.tif"}, [f"{folder}/in.tif|option:OVERVIEW_LEVEL=0"])
