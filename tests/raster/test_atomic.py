"""Atomic output: temporary files next to their targets are renamed at the end, or removed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from core_scenes import ROOT

from dip_core.errors import DiskFull, UnwritableOutput
from dip_core.raster import atomic


@pytest.fixture(autouse=True)
def discard_temporary_files():
    atomic.discard()
    yield
    atomic.discard()


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_commit_renames_all_files(tmp_path):
    for name in ("a.tif", "b c [1].html"):
        path = atomic.create_temporary(str(tmp_path / name))
        assert os.path.dirname(path) == str(tmp_path) and os.path.basename(path).startswith(f".{name}.")
        with open(path, "w") as file:
            file.write(name)
    assert not any(name in names(tmp_path) for name in ("a.tif", "b c [1].html"))
    atomic.commit()
    assert names(tmp_path) == ["a.tif", "b c [1].html"]
    assert (tmp_path / "b c [1].html").read_text() == "b c [1].html"
    atomic.commit()  # nothing left to rename
    atomic.discard()
    assert len(names(tmp_path)) == 2


def test_discard_removes_temporary_files_and_their_sidecars(tmp_path):
    path = atomic.create_temporary(str(tmp_path / "a[1].tif"))
    for ending in (".aux.xml", ".msk", ".ovr"):
        with open(f"{path}{ending}", "w"):
            pass
    others = [".a[1].tif.0123456789ab.part", "a[1].tif", ".a1.tif.part"]
    for other in others:
        (tmp_path / other).write_text("")
    atomic.discard()
    assert names(tmp_path) == sorted(others)


def test_discard_ignores_files_that_are_gone(tmp_path):
    os.remove(atomic.create_temporary(str(tmp_path / "a.tif")))
    atomic.create_temporary(str(tmp_path / "b.tif"))
    atomic.discard()
    assert names(tmp_path) == []


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    atomic.create_temporary("a.tif")
    monkeypatch.chdir("/")
    atomic.commit()
    assert names(tmp_path) == ["a.tif"]


def test_a_target_that_became_a_folder_is_an_error(tmp_path):
    atomic.create_temporary(str(tmp_path / "a.tif"))
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "a.tif" / "full").write_text("")
    with pytest.raises(UnwritableOutput, match=r"Cannot write '.*a\.tif'"):
        atomic.commit()
    atomic.discard()
    assert names(tmp_path) == ["a.tif"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_an_error(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UnwritableOutput, match="permission denied"):
        atomic.create_temporary(str(tmp_path / "locked" / "a.tif"))


def test_the_token_comes_from_the_environment(tmp_path):
    """QGIS sets the token, to find the temporary files of a worker that was killed."""
    code = "from dip_core.raster import atomic; print(atomic.temporary_path('/x/a.tif'))"

    def run(**environment):
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
        ).stdout.strip()

    assert run(DEEP_PRIOR_TOKEN="abc") == "/x/.a.tif.abc.part"  # nosec: no secret
    free = {key: value for key, value in os.environ.items() if key != "DEEP_PRIOR_TOKEN"}
    found = {
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=free, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(found) == 2  # random in each process


def test_disk_space_is_checked(tmp_path):
    target = str(tmp_path / "o.tif")
    atomic.check_disk_space(target, 1)
    with pytest.raises(DiskFull, match="MB free, at least 1000000000000 MB needed"):
        atomic.check_disk_space(target, 10**18)


def test_a_disk_that_does_not_tell_its_space_is_accepted(tmp_path, monkeypatch):
    def unknown(folder):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(atomic.shutil, "disk_usage", unknown)
    atomic.check_disk_space(str(tmp_path / "o.tif"), 1 << 60)
