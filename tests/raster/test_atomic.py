"""Half-written files: beside their target, renamed when whole, removed when not, and nobody else's touched."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from core_scenes import ROOT

from dip_core.errors import UnwritableOutput
from dip_core.raster import atomic


@pytest.fixture(autouse=True)
def nothing_left():
    atomic.discard()
    yield
    atomic.discard()


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_commit_gives_all_their_names(tmp_path):
    for name in ("a.tif", "b c [1].html"):
        path = atomic.create_temporary(str(tmp_path / name))
        assert os.path.dirname(path) == str(tmp_path) and os.path.basename(path).startswith(f".{name}.")
        with open(path, "w") as file:
            file.write(name)
    assert not any(name in names(tmp_path) for name in ("a.tif", "b c [1].html"))
    atomic.commit()
    assert names(tmp_path) == ["a.tif", "b c [1].html"]
    assert (tmp_path / "b c [1].html").read_text() == "b c [1].html"
    atomic.commit()  # nothing more to do
    atomic.discard()
    assert len(names(tmp_path)) == 2


def test_discard_removes_its_own_and_what_lies_beside_them(tmp_path):
    path = atomic.create_temporary(str(tmp_path / "a[1].tif"))
    for ending in (".aux.xml", ".msk", ".ovr"):
        with open(f"{path}{ending}", "w"):
            pass
    others = [".a[1].tif.0123456789ab.part", "a[1].tif", ".a1.tif.part"]
    for other in others:
        (tmp_path / other).write_text("")
    atomic.discard()
    assert names(tmp_path) == sorted(others)


def test_discard_survives_a_partial_that_is_gone(tmp_path):
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


def test_a_target_that_became_a_folder(tmp_path):
    atomic.create_temporary(str(tmp_path / "a.tif"))
    (tmp_path / "a.tif").mkdir()
    (tmp_path / "a.tif" / "full").write_text("")
    with pytest.raises(UnwritableOutput, match=r"Cannot write '.*a\.tif'"):
        atomic.commit()
    atomic.discard()
    assert names(tmp_path) == ["a.tif"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UnwritableOutput, match="permission denied"):
        atomic.create_temporary(str(tmp_path / "locked" / "a.tif"))


def test_the_token_is_the_parents_where_it_gives_one(tmp_path):
    """QGIS names the token, so that it finds the partials of a worker that was killed."""
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
    assert len(found) == 2  # drawn anew by each process
