"""GRASS as a peer: its commands, and notes instead of a result."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import grass


def test_every_band_is_filled_in_a_temporary_project(tmp_path):
    scene = tmp_path / "a scene.tif"
    commands = grass.commands("/usr/bin/grass", scene, tmp_path, bands=2)
    project = tmp_path / "project"
    assert commands[0] == ["/usr/bin/grass", "-c", str(scene), "-e", str(project)]
    assert all(command[:3] == ["/usr/bin/grass", str(project / "PERMANENT"), "--exec"] for command in commands[1:])
    assert [command[3] for command in commands[1:5]] == ["r.in.gdal", "g.region", "r.fillnulls", "r.out.gdal"]
    assert "band=2" in commands[5] and f"input={scene}" in commands[5]
    assert commands[7][4:6] == ["input=band_2", "output=filled_2"]
    assert f"output={tmp_path / 'filled_2.tif'}" in commands[8]


def test_a_missing_grass_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(grass, "find", lambda: None)
    with pytest.raises(grass.GrassError, match="not installed"):
        grass.fill(np.zeros((1, 2, 2)), np.ones((1, 2, 2), bool), tmp_path, tmp_path)


def test_a_command_that_fails_is_an_error():
    with pytest.raises(grass.GrassError, match="failed: out of order"):
        grass.run([sys.executable, "-S", "-c", "import sys; sys.exit('out of order')"], 20.0)
    assert grass.error_line("Filling\nERROR: no hole\nCleaning up\n") == "ERROR: no hole"


def test_a_command_that_takes_too_long_is_stopped():
    with pytest.raises(grass.GrassError, match="stopped after"):
        grass.run([sys.executable, "-S", "-c", "import time; time.sleep(60)"], 0.3)
