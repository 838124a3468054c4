"""METRICS and REPORT are written to temporary files and appear together when they are committed."""

from __future__ import annotations

import os

import pytest

from dip_core.errors import UnwritableOutput
from dip_core.job_fields import Outputs
from dip_core.raster import atomic
from dip_core.reporting.html import to_html
from dip_core.reporting.page import Report, Table
from dip_core.reporting.writing import write_csv, write_html, write_requested

REPORT = Report("Gap-fill", "All 12 gaps were filled.")
TABLE = Table(("band", "rmse"), [(1, 0.5)])


def test_a_report_appears_when_it_is_committed(tmp_path):
    path = tmp_path / "r.html"
    write_html(REPORT, str(path))
    assert not path.exists()
    atomic.commit()
    assert path.read_text(encoding="utf-8") == to_html(REPORT)
    assert os.listdir(tmp_path) == ["r.html"]


def test_a_table_is_written_as_utf8(tmp_path):
    write_csv(Table(("name",), [("\u00fc",)]), str(tmp_path / "m.csv"))
    atomic.commit()
    assert (tmp_path / "m.csv").read_bytes() == "name\n\u00fc\n".encode()


@pytest.mark.parametrize("requested", [(), ("metrics",), ("report",), ("metrics", "report")])
def test_only_what_the_job_asks_for_is_built_and_written(tmp_path, requested):
    built = []

    def build(name, content):
        built.append(name)
        return content

    outputs = Outputs(**{name: str(tmp_path / name) for name in requested})
    write_requested(outputs, lambda: build("metrics", TABLE), lambda: build("report", REPORT))
    atomic.commit()
    assert tuple(built) == requested and sorted(os.listdir(tmp_path)) == sorted(requested)


def test_an_unwritable_place_is_one_sentence(tmp_path):
    with pytest.raises(UnwritableOutput, match=r"Cannot write .* does not exist"):
        write_html(REPORT, str(tmp_path / "none" / "r.html"))
