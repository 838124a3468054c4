"""Bands that hold classes are found by what the file says and by their names; measurements are not."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from core_scenes import write

from dip_core.raster.categories import find_categories, mark_categories
from dip_core.raster.scene import Scene
from dip_core.runtime.context import Context

SHAPE = (40, 50)
COLOURS = {1: (200, 30, 30, 255), 2: (20, 120, 40, 255), 5: (30, 60, 220, 255), 9: (240, 220, 20, 255)}
QA = np.array([21824, 21890, 22280, 23888, 1], np.uint16)


def codes(values=(1, 2, 5, 9), dtype="u1", seed=0) -> np.ndarray:
    """A single band of classes in areas of 5 x 5 pixels."""
    drawn = np.random.default_rng(seed).choice(np.asarray(values), size=(SHAPE[0] // 5, SHAPE[1] // 5))
    return np.kron(drawn, np.ones((5, 5), int)).astype(dtype)[None]


def measurements(dtype="u1", top=255) -> np.ndarray:
    """A band of many different values."""
    return np.random.default_rng(1).integers(0, top + 1, (1, *SHAPE)).astype(dtype)


def found_in(path, *more) -> dict[int, str]:
    with Scene([str(path), *map(str, more)]) as scene:
        return find_categories(scene)


def add_xml(path, band: int, xml: str) -> None:
    path.with_name(path.name + ".aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="{band}">{xml}</PAMRasterBand></PAMDataset>', encoding="utf-8"
    )


def with_colours(path, table) -> None:
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, table)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_colour_table_makes_classes(tmp_path, dtype):
    path = write(tmp_path / "a.tif", codes(dtype=dtype), photometric="palette")
    with_colours(path, COLOURS)
    assert found_in(path) == {0: "colour table"}


def test_a_colour_table_of_many_classes(tmp_path):
    path = write(tmp_path / "a.tif", codes(range(10, 90)), photometric="palette")
    rng = np.random.default_rng(2)
    with_colours(path, {value: (*rng.integers(0, 256, 3).tolist(), 255) for value in range(256)})
    assert found_in(path) == {0: "colour table"}


@pytest.mark.parametrize(
    "colour",
    [
        lambda i: (i, i, i, 255),  # grey
        lambda i: (255 - i, 255 - i, 255 - i, 255),  # inverted
        lambda i: (i, 255 - i, abs(128 - i), 255),  # a ramp of colours
        lambda i: (i // 16 * 16, 0, 255 - i // 16 * 16, 255),  # 16 shades
    ],
)
def test_a_ramp_of_colours_shades_measurements(tmp_path, colour):
    path = write(tmp_path / "a.tif", measurements(), photometric="palette")
    with_colours(path, {value: colour(value) for value in range(256)})
    said = []
    with Scene([path]) as scene:
        assert find_categories(scene, Context(lambda event: said.append(event.text))) == {}
    assert "ramp" in said[0]


def test_a_ramp_of_one_colour_for_each_class_is_no_ramp(tmp_path):
    path = write(tmp_path / "a.tif", codes(range(1, 41)), photometric="palette")
    with_colours(path, {value: (6 * value, 255 - 6 * value, 100, 255) for value in range(1, 41)})
    assert found_in(path) == {0: "colour table"}


def test_a_grey_palette_of_few_values_shades_measurements(tmp_path):
    path = write(tmp_path / "a.tif", codes((10, 11, 12, 200)), photometric="palette")
    with_colours(path, {value: (value, value, value, 255) for value in range(256)})
    assert found_in(path) == {}


def test_category_names_of_one_band(tmp_path):
    path = tmp_path / "a.tif"
    write(path, np.concatenate([measurements(), codes()]), photometric="minisblack")
    add_xml(path, 2, "<CategoryNames><Category>None</Category><Category>Water</Category></CategoryNames>")
    assert found_in(path) == {1: "class names"}


def attribute_table(usage: int, kind: int) -> str:
    rows = "".join(f'<Row index="{n}"><F>{n}</F><F>{text}</F></Row>' for n, text in enumerate(("Water", "Forest")))
    return (
        '<GDALRasterAttributeTable><FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>'
        f'<FieldDefn index="1"><Name>Name</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>{rows}'
        "</GDALRasterAttributeTable>"
    )


def test_an_attribute_table_with_class_names(tmp_path):
    path = tmp_path / "a.tif"
    write(path, codes(dtype="i2"))
    add_xml(path, 1, attribute_table(usage=2, kind=2))
    assert found_in(path) == {0: "class names"}


def test_an_attribute_table_without_names_is_a_histogram(tmp_path):
    path = tmp_path / "a.tif"
    write(path, measurements())
    add_xml(path, 1, attribute_table(usage=1, kind=0).replace("Water", "3").replace("Forest", "7"))
    assert found_in(path) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("QA_PIXEL", "BQA", "pixel_qa", "SCL", "QA_RADSAT", "RADSAT", "Fmask", "class", "Classification", "landcover"),
        *("Land cover 2018", "land_cover", "LandCover", "QA60", "SR_QA_AEROSOL", "pixelQA", "lccs_class"),
    ],
)
def test_a_name_of_codes(tmp_path, name):
    path = write(tmp_path / "a.tif", np.concatenate([measurements("u2", 9000), codes(QA, "u2")]))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(2, name)
    assert found_in(path) == {1: f"named '{name}'"}


@pytest.mark.parametrize(
    "stem", ["LC08_L2SP_187018_20200601_02_T1_QA_PIXEL", "T32TQM_20200101T100319_SCL_20m", "class"]
)
def test_the_name_of_a_file_with_one_band(tmp_path, stem):
    first = write(tmp_path / "B4.tif", measurements("u2", 9000))
    path = write(tmp_path / f"{stem}.tif", codes(QA, "u2"))
    assert found_in(path) == {0: f"named '{stem}'"}
    assert found_in(first, path) == {1: f"named '{stem}'"}


@pytest.mark.parametrize(
    "name",
    [
        "ST_QA",
        "class probability",
        "classic",
        "B4",
        "SCL confidence",
        "Aqua",
        "landscape",
        "radsat count",
        "nir class std",
    ],
)
def test_names_of_measurements(tmp_path, name):
    path = write(tmp_path / "a.tif", codes(QA, "u2"))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, name)
    assert found_in(path) == {}


def test_floats_and_many_values_are_no_codes_whatever_their_name(tmp_path):
    assert found_in(write(tmp_path / "class.tif", codes().astype("f4"))) == {}
    assert found_in(write(tmp_path / "qa.tif", measurements("u2", 9000))) == {}
    assert found_in(write(tmp_path / "landcover.tif", measurements())) == {}
    # Heights in flat terrain: neighbours are equal or similar.
    heights = (np.arange(100) + np.arange(60)[:, None])[None].astype("i2")
    assert found_in(write(tmp_path / "qa_site.tif", np.repeat(heights, 3, axis=2))) == {}
    assert found_in(write(tmp_path / "qa_site.tif", np.repeat(heights * 37, 3, axis=2))) != {}
    # A file's name does not name several bands.
    assert found_in(write(tmp_path / "classification.tif", np.concatenate([codes(), codes()]))) == {}


def test_flag_meanings(tmp_path):
    path = write(tmp_path / "a.tif", codes())
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, flag_values="1,2,5,9", flag_meanings="water forest field town")
    assert found_in(path) == {0: "flag meanings"}


def test_classes_are_reported_once_with_the_remedy(tmp_path):
    path = write(tmp_path / "a.tif", np.concatenate([codes(QA, "u2"), codes(QA, "u2"), measurements("u2", 9000)]))
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("QA_PIXEL", "QA_RADSAT", "B4")
    context = Context()
    with Scene([path]) as scene:
        assert scene.categorical == frozenset()
        mark_categories(scene, context)
        assert scene.categorical == {0, 1}
    assert len(context.warnings) == 1
    assert "QA_PIXEL (named 'QA_PIXEL'), QA_RADSAT (named 'QA_RADSAT')" in context.warnings[0]
    assert "classes" in context.warnings[0] and "renaming" in context.warnings[0]
