"""A commit replaces all outputs or none: earlier files come back bit for bit, with their sidecars."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from core_scenes import ROOT

from dip_core import temporary_files
from dip_core.errors import UnwritableOutput
from dip_core.raster import atomic


@pytest.fixture(autouse=True)
def discard_temporary_files():
    atomic.discard()
    yield
    atomic.discard()


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


def contents(folder):
    return {entry.name: entry.read_text() for entry in sorted(folder.iterdir()) if entry.is_file()}


def make(folder, names, sidecars=()):
    """Temporary files for ``names``, with sidecars, all with the text ``new``."""
    for name in names:
        temporary = atomic.create_temporary(str(folder / name))
        put(temporary, "new")
        for ending in sidecars:
            put(temporary + ending, "new")


def refuse(monkeypatch, target, function="replace"):
    """Let ``os.replace`` (or another function) fail for one target."""
    real = getattr(os, function)

    def failing(*paths):
        if str(paths[-1]) == str(target) and (function != "replace" or str(paths[0]).endswith((".part", ".xml"))):
            raise PermissionError(13, "Permission denied")
        return real(*paths)

    monkeypatch.setattr(os, function, failing)


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("failing", ["a.tif", "b.tif", "c.csv", "b.tif.aux.xml"])
def test_a_failed_commit_restores_every_earlier_file(tmp_path, monkeypatch, failing, links):
    old = {name: f"old {name}" for name in ("a.tif", "a.tif.ovr", "a.tif.aux.xml", "b.tif", "b.tif.msk", "other.txt")}
    for name, text in old.items():
        put(tmp_path / name, text)
    make(tmp_path, ("a.tif", "b.tif", "c.csv"), (".aux.xml",))
    refuse(monkeypatch, tmp_path / failing)
    if not links:  # a file system without hard links
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(95, "Operation not supported")))
    with pytest.raises(UnwritableOutput, match=failing):
        atomic.commit()
    atomic.discard()
    assert contents(tmp_path) == old


def test_a_sidecar_that_cannot_be_removed_restores_all(tmp_path, monkeypatch):
    for name in ("a.tif", "a.tif.msk"):
        put(tmp_path / name, "old")
    make(tmp_path, ("a.tif",))
    refuse(monkeypatch, tmp_path / "a.tif.msk", "remove")
    with pytest.raises(UnwritableOutput):
        atomic.commit()
    monkeypatch.undo()
    atomic.discard()
    assert contents(tmp_path) == {"a.tif": "old", "a.tif.msk": "old"}


def test_sidecars_travel_with_their_file_and_old_ones_go(tmp_path):
    for name in ("a.tif", "a.tif.msk", "a.tif.ovr", "a.tif.aux.xml", "a.tif.txt", "a.tfw"):
        put(tmp_path / name, "old")
    make(tmp_path, ("a.tif",), (".aux.xml",))
    temporary = atomic.temporary_path(str(tmp_path / "a.tif"))
    put(temporary.removesuffix("part") + "wld", "new")
    atomic.commit()
    expected = {"a.tif": "new", "a.tif.aux.xml": "new", "a.wld": "new", "a.tif.txt": "old", "a.tfw": "old"}
    assert contents(tmp_path) == expected


def test_a_checkpoint_is_no_sidecar(tmp_path):
    make(tmp_path, ("m.safetensors",), (".checkpoint",))
    atomic.commit()
    assert "m.safetensors.checkpoint" not in contents(tmp_path)


def test_permissions_of_a_replaced_file_are_kept(tmp_path):
    put(tmp_path / "a.tif", "old")
    os.chmod(tmp_path / "a.tif", 0o640)
    make(tmp_path, ("a.tif",))
    atomic.commit()
    assert (tmp_path / "a.tif").stat().st_mode & 0o777 == 0o640 and contents(tmp_path) == {"a.tif": "new"}


@pytest.mark.parametrize("stage", ["kept", "half", "done"])
def test_a_killed_commit_loses_no_earlier_file(tmp_path, stage):
    """The process ends in the middle of a commit; the QGIS side cleans up by the token."""
    for name in ("a.tif", "a.tif.aux.xml", "b.tif"):
        put(tmp_path / name, "old")
    code = f"""
import os
from dip_core.raster import atomic
for name in ("a.tif", "b.tif"):
    with open(atomic.create_temporary(os.path.join({str(tmp_path)!r}, name)), "w") as file: file.write("new")
count, real = 0, os.replace
def replace(one, two):
    global count
    if count == {{"kept": 0, "half": 1, "done": 9}}[{stage!r}]: os._exit(9)
    count += 1
    real(one, two)
os.replace = replace
remove = os.remove
def refuse(path):
    if path.endswith(".old") and os.path.exists(path): os._exit(9)
    remove(path)
os.remove = refuse
atomic.commit()
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "DEEP_PRIOR_TOKEN": "f00"})  # nosec
    assert run.returncode == 9
    assert (tmp_path / "a.tif").read_text() in ("old", "new")  # there at all times
    for name in ("a.tif", "b.tif"):
        temporary_files.clean_up(str(tmp_path / name), "f00")
    assert contents(tmp_path) == {"a.tif": "old", "a.tif.aux.xml": "old", "b.tif": "old"}


def test_the_next_run_restores_a_file_that_a_killed_run_had_set_aside(tmp_path):
    put(tmp_path / ".a.tif.abc.old", "old")
    put(tmp_path / ".b.tif.abc.old", "old")
    put(tmp_path / "b.tif", "new")
    for name in ("a.tif", "b.tif"):
        atomic.check_writable(str(tmp_path / name))
    assert contents(tmp_path) == {"a.tif": "old", "b.tif": "new", ".b.tif.abc.old": "old"}


def test_a_link_is_followed(tmp_path):
    (tmp_path / "data").mkdir()
    put(tmp_path / "data" / "real.tif", "old")
    (tmp_path / "a.tif").symlink_to("data/real.tif")
    (tmp_path / "b.tif").symlink_to("data/not yet.tif")
    make(tmp_path, ("a.tif", "b.tif"), (".aux.xml",))
    assert not any(name.startswith(".") for name in os.listdir(tmp_path))
    atomic.commit()
    assert (tmp_path / "a.tif").is_symlink() and (tmp_path / "b.tif").is_symlink()
    names = ("real.tif", "real.tif.aux.xml", "not yet.tif", "not yet.tif.aux.xml")
    assert contents(tmp_path / "data") == dict.fromkeys(names, "new")


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    import socket

    socket.socket(socket.AF_UNIX).bind(str(path))


def make_read_only(path):
    put(path, "old")
    os.chmod(path, 0o444)


SPECIAL = {
    "a pipe": (make_fifo, "device, pipe or socket"),
    "a socket": (make_socket, "device, pipe or socket"),
    "a device": (lambda path: path.symlink_to("/dev/null"), "device, pipe or socket"),
    "a folder": (lambda path: path.mkdir(), "it is a folder"),
    "a link to a folder": (lambda path: path.symlink_to("."), "it is a folder"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "leads back to itself"),
    "a link into nowhere": (lambda path: path.symlink_to("nowhere/x.tif"), "does not exist"),
    "a read-only file": (make_read_only, "read-only"),
}


@pytest.mark.skipif(os.name != "posix", reason="special files of POSIX")
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_are_refused(tmp_path, kind):
    prepare, reason = SPECIAL[kind]
    prepare(tmp_path / "o.tif")
    before = os.lstat(tmp_path / "o.tif")
    with pytest.raises(UnwritableOutput, match=reason):
        atomic.check_writable(str(tmp_path / "o.tif"))
    after = os.lstat(tmp_path / "o.tif")
    assert os.listdir(tmp_path) == ["o.tif"] and (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)


@pytest.mark.parametrize("target", ["/dev/full", "/dev/stdout", "/vsimem/a.tif", "/vsizip/a.zip/b.tif"])
def test_devices_and_virtual_files_are_refused(target):
    with pytest.raises(UnwritableOutput, match=r"device, pipe or socket|virtual file"):
        atomic.check_writable(target)


@pytest.mark.parametrize(
    "name", ["a" * 251 + ".tif", "ü" * 125 + ".tif", "雪" * 83 + ".tif", "é" * 120 + "a.safetensors"]
)
def test_names_up_to_the_limit(tmp_path, name):
    put(tmp_path / name, "old")
    make(tmp_path, (name,))
    assert all(len(os.fsencode(found)) <= 255 - 16 for found in os.listdir(tmp_path) if found.startswith("."))
    atomic.commit()
    assert contents(tmp_path) == {name: "new"}


def test_long_names_with_one_beginning_have_different_temporary_files(tmp_path):
    names = ["x" * 240 + ending for ending in ("1.tif", "2.tif")]
    make(tmp_path, names)
    atomic.commit()
    assert contents(tmp_path) == dict.fromkeys(names, "new")


def test_a_name_over_the_limit_is_one_sentence(tmp_path):
    for path in (tmp_path / ("x" * 252 + ".tif"), tmp_path / "/".join(["y" * 200] * 30)):
        with pytest.raises(UnwritableOutput, match=r"longer than the file system allows|does not exist"):
            atomic.check_writable(str(path))


def test_a_mount_point_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_is_mount_point", lambda path: path.endswith("o.tif"))
    put(tmp_path / "o.tif", "old")
    with pytest.raises(UnwritableOutput, match="mount point"):
        atomic.check_writable(str(tmp_path / "o.tif"))


def test_a_full_quota_is_a_full_disk():
    from dip_core.errors import DiskFull, output_error

    assert isinstance(output_error("a", OSError(122, "Disk quota exceeded")), DiskFull)
    assert isinstance(output_error("a", OSError(28, "No space left on device")), DiskFull)
    assert "in use" in str(output_error("a", OSError(16, "busy")))
