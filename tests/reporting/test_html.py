"""The report says everything, stands alone, escapes what is foreign, and its pictures show the data."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from dip_core.errors import UnwritableOutput
from dip_core.raster import atomic
from dip_core.reporting import html as report
from dip_core.reporting import plots

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects texts, tags and attributes, and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.record = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.record += data
        else:
            self.texts.append(data)


@pytest.fixture
def sample() -> report.Report:
    picture = plots.mask_picture(np.eye(20, dtype=bool))
    return report.Report(
        title='Gap-fill <scene> & "friends"',
        summary="All 12 gaps were filled.",
        key_numbers=[report.KeyNumber("RMSE", np.float32(0.125), "reflectance"), report.KeyNumber("Left", 0)],
        warnings=["</script><script>alert(1)</script>"],
        sections=[
            report.Section(
                "Scores",
                [
                    "One paragraph.",
                    report.Table(
                        ("Method", "RMSE"), [("best", 1.5), ("<b>fast</b>", math.nan)], "By method", emphasis=0
                    ),
                    report.Figure(picture, 'Caption "quoted"'),
                    report.Gallery([report.Figure(picture, "one"), report.Figure(picture, "two")]),
                ],
            )
        ],
        settings={"METHOD": "best", "INPUT": ["a.tif", "b.tif"], "GUIDE": None, "FILL_EXTERIOR": False},
        data={"rmse": np.array([1.0, np.nan]), "name": "</script>", "inf": math.inf, "n": np.int64(3)},
    )


def test_page_holds_everything_and_nests(sample):
    page = Page(report.to_html(sample))
    text = " ".join(page.texts)
    for wanted in (
        sample.title,
        sample.summary,
        "reflectance",
        "One paragraph.",
        "By method",
        "<b>fast</b>",
        "Settings",
        "METHOD",
        "b.tif",
        "0.1250",
        'Caption "quoted"',
    ):
        assert wanted in text
    assert page.tags.count("img") == 3
    assert 'class="emphasis"><td>best' in report.to_html(sample)


def test_page_stands_alone_and_runs_no_script(sample):
    text = report.to_html(sample)
    page = Page(text)
    scripts = [value for tag, name, value in page.attributes if tag == "script" and name == "type"]
    assert page.tags.count("script") == 1 and scripts == ["application/json"]
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in text and "@import" not in text
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_embedded_record_is_the_json(sample):
    record = json.loads(Page(report.to_html(sample)).record)
    assert record == json.loads(report.to_json(sample))
    assert record["data"] == {"rmse": [1.0, None], "name": "</script>", "inf": None, "n": 3}
    assert record["key_numbers"]["RMSE"] == 0.125
    assert record["settings"]["INPUT"] == ["a.tif", "b.tif"]
    assert record["warnings"] == list(sample.warnings)


def test_light_dark_and_print_are_styled(sample):
    text = report.to_html(sample)
    assert "prefers-color-scheme: dark" in text and "@media print" in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.1235"),
        (12.3456, "12.35"),
        (1234567, "1\u2009234\u2009567"),
        (-0.5, "\u22120.5000"),
        (0.0, "0"),
        (7, "7"),
        (1e-7, "1.000e\u221207"),
        (math.nan, "\u2013"),
        (math.inf, "\u221e"),
        (123456.7, "123\u2009457"),
    ],
)
def test_numbers_for_people(value, shown):
    assert report.format_number(value) == shown


def test_report_appears_with_the_commit_only(sample, tmp_path):
    path = tmp_path / "r.html"
    report.write_html(sample, str(path))
    assert not path.exists()
    atomic.commit()
    assert path.read_text(encoding="utf-8") == report.to_html(sample)
    assert os.listdir(tmp_path) == ["r.html"]


def test_csv_for_machines(tmp_path):
    table = report.Table(("name", "rmse", "pixels"), [("a, b", np.float64(0.1), 7), ("ü", math.nan, None)])
    report.write_csv(table, str(tmp_path / "m.csv"))
    atomic.commit()
    rows = list(csv.reader(io.StringIO((tmp_path / "m.csv").read_text(encoding="utf-8"))))
    assert rows == [["name", "rmse", "pixels"], ["a, b", "0.1", "7"], ["ü", "", ""]]


def test_unwritable_place_is_one_sentence(sample, tmp_path):
    with pytest.raises(UnwritableOutput, match=r"Cannot write .* does not exist"):
        report.write_html(sample, str(tmp_path / "none" / "r.html"))


def pixels(png: bytes) -> np.ndarray:
    return np.rint(255 * imread(io.BytesIO(png), format="png")).astype(int)


def test_picture_shows_stretch_gaps_and_exterior():
    image = np.zeros((3, 10, 20)) + np.linspace(0, 100, 20)
    observed = np.ones((3, 10, 20), bool)
    observed[1, 4] = False
    exterior = np.zeros((10, 20), bool)
    exterior[:, 0] = True
    shown = pixels(plots.picture(image, plots.Stretch((0.0,) * 3, (50.0,) * 3), observed, exterior))
    assert shown.shape == (10, 20, 4)
    assert tuple(shown[4, 5, :3]) == plots.GAP_COLOUR  # missing in one band only
    assert shown[0, 0, 3] == 0 and shown[0, 1, 3] == 255
    assert tuple(shown[0, 19, :3]) == (255, 255, 255)
    assert shown[0, 5, 0] == pytest.approx(255 * (5 * 100 / 19) / 50, abs=1)


def test_stretch_ignores_missing_pixels():
    """A fill value of -9999 on a tenth of the pixels would else be the second percentile."""
    image = np.random.default_rng(0).uniform(0, 1, (1, 100, 100))
    observed = np.ones(image.shape, bool)
    observed[:, :10] = False
    image[:, :10] = -9999
    stretch = plots.stretch_of(image, observed)
    assert stretch.low[0] == pytest.approx(0.02, abs=0.01)
    assert stretch.high[0] == pytest.approx(0.98, abs=0.01)
    assert plots.stretch_of(image, np.zeros(image.shape, bool)) == plots.Stretch((0.0,), (1.0,))


def test_thumbnail_averages_observed_pixels():
    image = np.arange(35.0).reshape(1, 5, 7)
    observed = np.ones(image.shape, bool)
    observed[0, 0, 0] = False
    observed[0, 0:2, 2:4] = False
    small, seen = plots.thumbnail(image, observed, 2)
    assert small.shape == seen.shape == (1, 3, 4)
    assert small[0, 0, 0] == pytest.approx((1 + 7 + 8) / 3)
    assert not seen[0, 0, 1] and seen.sum() == 11
    assert small[0, 2, 3] == 34.0  # an incomplete block


def test_step_for_keeps_pictures_small():
    assert [plots.step_for(*shape) for shape in ((349, 352), (900, 100), (901, 100), (7000, 8000))] == [1, 1, 2, 9]


def test_composite_bands():
    assert plots.composite_bands(1) == (0,)
    assert plots.composite_bands(2) == (0,)
    assert plots.composite_bands(6) == (2, 1, 0)
    assert plots.composite_bands(200, np.linspace(400, 2400, 200)) == (25, 15, 6)
    red, green, blue = plots.composite_bands(200)
    assert 200 > red > green > blue >= 0


def test_plots_are_png_and_repeatable():
    curves = {"best": ([1, 2, 3], [1.0, 1.5, 2.0]), "fast": ([1, 2], [1.2, 1.9])}
    drawings = [
        lambda: plots.error_by_distance(curves, "best", "DN"),
        lambda: plots.score_bars({"best": 1.0, "fast": 2.0, "broken": math.nan}, "best", "RMSE"),
        lambda: plots.calibration([0.5, 0.9], [0.4, 0.8]),
        lambda: plots.map_plot(np.random.default_rng(0).normal(size=(30, 40)), "error", diverging=True),
        lambda: plots.map_plot(np.full((30, 40), np.nan), "nothing"),
    ]
    for draw in drawings:
        png = draw()
        shown = pixels(png)
        assert shown.shape[1] > 300 and shown[..., :3].std() > 1  # something is drawn
        assert png == draw()


def test_score_bars_draw_the_method_in_use_in_another_colour():
    plain = pixels(plots.score_bars({"a": 1.0, "b": 2.0}, "", "RMSE"))
    used = pixels(plots.score_bars({"a": 1.0, "b": 2.0}, "b", "RMSE"))
    accent = np.array([0x0B, 0x6E, 0x8F])
    assert not (plain[..., :3] == accent).all(axis=-1).any()
    assert (used[..., :3] == accent).all(axis=-1).sum() > 1000


def test_style_is_free_of_custom_properties(sample):
    """The HTML view of QGIS 3.22 knows neither custom properties nor grid."""
    style = re.search(r"<style>(.*?)</style>", report.to_html(sample), re.S).group(1)
    assert "var(" not in style and "grid" not in style
