"""The zip of `make package` is one that the QGIS plugin repository accepts."""

from __future__ import annotations

import configparser
import re
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What the repository's upload validator asks for.
REQUIRED_KEYS = (
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
)
LARGEST_ZIP = 25 * 1024 * 1024
FORBIDDEN_SUFFIXES = {".pyc", ".exe", ".dll", ".so", ".dylib", ".bat", ".sh", ".ps1", ".cmd"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("package")
    done = subprocess.run([ROOT / "tools" / "build-package", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(done.stdout.strip()) as opened:
        yield opened


@pytest.fixture(scope="module")
def metadata(package: zipfile.ZipFile) -> configparser.SectionProxy:
    # As QGIS reads it: names of keys keep their case, and a percent sign is only a percent sign.
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read_string(package.read("deep_prior/metadata.txt").decode("utf-8"))
    return parser["general"]


def files(package: zipfile.ZipFile) -> list[str]:
    return [name for name in package.namelist() if not name.endswith("/")]


def test_all_is_in_one_folder_named_as_the_package(package: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in package.namelist()} == {"deep_prior"}


def test_what_the_plugin_needs_is_in(package: zipfile.ZipFile) -> None:
    wanted = {
        "metadata.txt",
        "LICENSE",
        "__init__.py",
        "plugin.py",
        "algorithms/provider.py",
        "algorithms/engine_process.py",
        "dip_core/__main__.py",
        "dip_core/requirements.txt",
        "resources/help/gapfillslcoff.html",
        "resources/templates/report.html",
    }
    assert wanted <= {name.removeprefix("deep_prior/") for name in files(package)}


def test_development_files_stay_out(package: zipfile.ZipFile) -> None:
    parts = {part for name in files(package) for part in name.split("/")[1:]}
    assert not parts & {
        "tests",
        "benchmarks",
        "tools",
        "docs",
        "Makefile",
        "pyproject.toml",
        "mkdocs.yml",
        "__pycache__",
    }
    assert not [part for part in parts if part.startswith(".")]


def test_no_file_looks_like_a_program(package: zipfile.ZipFile) -> None:
    programs = [
        info.filename
        for info in package.infolist()
        if not info.is_dir()
        and (Path(info.filename).suffix in FORBIDDEN_SUFFIXES or (info.external_attr >> 16) & stat.S_IXUSR)
    ]
    assert programs == []


def test_no_link_and_no_backslash(package: zipfile.ZipFile) -> None:
    assert not [info.filename for info in package.infolist() if stat.S_ISLNK(info.external_attr >> 16)]
    assert not [name for name in package.namelist() if "\\" in name]


def test_it_is_small_enough(package: zipfile.ZipFile) -> None:
    assert Path(str(package.filename)).stat().st_size < LARGEST_ZIP


def test_metadata_has_all_that_is_required(metadata: configparser.SectionProxy) -> None:
    assert [key for key in REQUIRED_KEYS if not metadata.get(key, "").strip()] == []
    assert metadata["hasProcessingProvider"] == "yes"  # otherwise qgis_process does not see the provider
    assert "/" not in metadata["author"]
    assert all(metadata[key].startswith("https://") for key in ("tracker", "repository"))


def test_the_icon_is_in(package: zipfile.ZipFile, metadata: configparser.SectionProxy) -> None:
    assert "deep_prior/" + metadata["icon"] in package.namelist()


def test_the_version_is_the_same_everywhere(package: zipfile.ZipFile, metadata: configparser.SectionProxy) -> None:
    core = package.read("deep_prior/dip_core/__init__.py").decode("utf-8")
    version = re.search(r'^__version__ = "(.+)"$', core, re.MULTILINE)
    assert version is not None
    assert version.group(1) == metadata["version"]
    assert Path(str(package.filename)).name == f"deep_prior.{metadata['version']}.zip"
    assert f"## [{metadata['version']}]" in package.read("deep_prior/CHANGELOG.md").decode("utf-8")
