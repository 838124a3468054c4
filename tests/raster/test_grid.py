"""Grids: which rasters have the same pixels, and how georeferencing is upsampled."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import TRANSFORM, data, landscape, write
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from dip_core.errors import GridMismatch
from dip_core.raster.grid import Grid, grid_of
from dip_core.raster.scene import Scene

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def pixels():
    return landscape(3, 30, 40).astype(np.uint8)


def test_rasters_with_other_grids_are_errors(tmp_path, pixels):
    first = write(tmp_path / "a.tif", pixels)
    others = {
        "40 x 29 pixels instead of 40 x 30": {"pixels": pixels[:, :29]},
        "another CRS": {"pixels": pixels, "crs": "EPSG:32634"},
        "another position": {"pixels": pixels, "transform": TRANSFORM @ rasterio.Affine.translation(0, 0.5)},
    }
    for number, (reason, profile) in enumerate(others.items()):
        path = write(tmp_path / f"{number}.tif", profile.pop("pixels"), **profile)
        with pytest.raises(GridMismatch, match=reason) as caught:
            Scene([first, path])
        assert path in str(caught.value) and first in str(caught.value)


def test_small_differences_of_georeferencing_are_accepted(tmp_path, pixels):
    """A thousandth of a pixel is rounding; a raster without georeferencing is compared by size only."""
    first = write(tmp_path / "a.tif", pixels)
    near = write(tmp_path / "b.tif", pixels, transform=TRANSFORM @ rasterio.Affine.translation(2e-4, 0))
    bare = tmp_path / "c.tif"
    with rasterio.open(bare, "w", driver="GTiff", count=1, height=30, width=40, dtype="uint8") as file:
        file.write(pixels[:1])
    with Scene([first, near, str(bare)]) as scene:
        assert scene.count == 7


def test_rotated_transform_gcps_and_rpcs_are_part_of_the_grid():
    with rasterio.open(data("odd/odc-geo/au-3577-rotated.tif")) as file:
        assert grid_of(file).transform.b != 0
    with rasterio.open(data("odd/odc-geo/au-gcp.tif")) as file:
        grid = grid_of(file)
        assert len(grid.gcps) == 24 and grid.gcp_crs


def test_upsampled_georeferencing_points_to_the_same_places():
    points = (GroundControlPoint(2.0, 3.5, 10.0, 50.0, 0.0),)
    coefficients = [1.0] + [0.0] * 19
    rpcs = RPC(0, 1, 55, 1, coefficients, coefficients, 9.5, 20, 12, 1, coefficients, coefficients, 4.5, 10)
    grid = Grid(10, 20, "EPSG:32633", TRANSFORM, points, "EPSG:4326", rpcs).upsampled(2)
    assert grid.shape == (40, 20)
    for row, column in ((0, 0), (3, 8), (20, 10)):
        assert grid.transform @ (2 * column, 2 * row) == TRANSFORM @ (column, row)
    assert (grid.gcps[0].row, grid.gcps[0].col, grid.gcps[0].x) == (4.0, 7.0, 10.0)
    # RPCs refer to pixel centres: line 9.5 of the original grid is line 19.5 of the upsampled one.
    assert (grid.rpcs.line_off, grid.rpcs.samp_off) == (19.5, 9.5)
    assert (grid.rpcs.line_scale, grid.rpcs.samp_scale) == (40, 20)
    assert rpcs.line_off == 9.5  # the original is unchanged


def test_points_alone_give_no_transform_to_the_upsampled_grid():
    points = (GroundControlPoint(2.0, 3.5, 10.0, 50.0, 0.0),)
    identity = rasterio.Affine.identity()
    assert Grid(10, 20, None, identity, points, "EPSG:4326").upsampled(2).transform.is_identity
    assert not Grid(10, 20, None, identity).upsampled(2).transform.is_identity
