"""The page holds the whole report, needs nothing outside itself, and escapes everything that is inserted."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from dip_core.reporting.html import to_html, to_json
from dip_core.reporting.page import Figure, Gallery, KeyNumber, Report, Section, Table
from dip_core.reporting.pictures import mask_picture

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
def sample() -> Report:
    picture = mask_picture(np.eye(20, dtype=bool))
    return Report(
        title='Gap-fill <scene> & "friends"',
        summary="All 12 gaps were filled.",
        key_numbers=[KeyNumber("RMSE", np.float32(0.125), "reflectance"), KeyNumber("Left", 0)],
        warnings=["</script><script>alert(1)</script>"],
        sections=[
            Section(
                "Scores",
                [
                    "One paragraph.",
                    Table(("Method", "RMSE"), [("best", 1.5), ("<b>fast</b>", math.nan)], "By method", emphasis=0),
                    Figure(picture, 'Caption "quoted"'),
                    Gallery([Figure(picture, "one"), Figure(picture, "two")]),
                ],
            )
        ],
        settings={"METHOD": "best", "INPUT": ["a.tif", "b.tif"], "GUIDE": None, "FILL_EXTERIOR": False},
        data={"rmse": np.array([1.0, np.nan]), "name": "</script>", "inf": math.inf, "n": np.int64(3)},
    )


def test_page_holds_everything_and_nests(sample):
    page = Page(to_html(sample))
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
    assert 'class="emphasis"><td>best' in to_html(sample)


def test_page_stands_alone_and_runs_no_script(sample):
    text = to_html(sample)
    page = Page(text)
    scripts = [value for tag, name, value in page.attributes if tag == "script" and name == "type"]
    assert page.tags.count("script") == 1 and scripts == ["application/json"]
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in text and "@import" not in text
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_embedded_record_is_the_json(sample):
    record = json.loads(Page(to_html(sample)).record)
    assert record == json.loads(to_json(sample))
    assert record["data"] == {"rmse": [1.0, None], "name": "</script>", "inf": None, "n": 3}
    assert record["key_numbers"]["RMSE"] == 0.125
    assert record["settings"]["INPUT"] == ["a.tif", "b.tif"]
    assert record["warnings"] == list(sample.warnings)


def test_light_dark_and_print_are_styled(sample):
    text = to_html(sample)
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_style_is_free_of_custom_properties(sample):
    """The HTML view of QGIS 3.22 knows neither custom properties nor grid."""
    style = re.search(r"<style>(.*?)</style>", to_html(sample), re.S).group(1)
    assert "var(" not in style and "grid" not in style
