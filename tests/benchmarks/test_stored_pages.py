"""The pages in benchmarks/results/ are those that the code makes from the stored records."""

from __future__ import annotations

import re

import pytest

from benchmarks import RESULTS, ROOT, pages, stored_pages, summary, summary_page

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def unit_of_last_digit(number: str) -> float:
    return 10.0 ** -len(number.partition(".")[2])


@pytest.mark.parametrize("name", stored_pages.MAKE_PAGE)
def test_a_page_agrees_with_its_record(name):
    """If this fails after a change of wording, run `make bench-pages`.

    The last digit of a number may differ: some pages were made from numbers with more digits than the record has.
    """
    page = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    made = stored_pages.MAKE_PAGE[name](pages.load(RESULTS, name))
    assert NUMBER.sub("0", page) == NUMBER.sub("0", made)
    for shown, expected in zip(NUMBER.findall(page), NUMBER.findall(made)):
        assert abs(float(shown) - float(expected)) < 1.5 * unit_of_last_digit(expected)


def test_pages_can_be_made_again_without_measuring(tmp_path):
    record = {"rows": [], "machine": "M; quiet machine; today", "foreign_load": 0.0}
    rows = [{"task": "inpaint", "network": "paper_2d", "iterations": 9, "milliseconds": {"1": 1.23456789}}]
    page = pages.save(tmp_path, "networks", {**record, "rows": rows}, stored_pages.MAKE_PAGE["networks"])
    (tmp_path / "networks.md").unlink()
    stored_pages.rewrite(tmp_path)
    assert (tmp_path / "networks.md").read_text(encoding="utf-8") == page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["networks.json", "networks.md"]


def test_the_stored_summary_agrees_with_the_stored_results():
    tasks, measured = summary.collect(RESULTS, "cpu")
    page = (RESULTS / "summary.md").read_text(encoding="utf-8")
    assert summary_page.page(tasks, measured, []) in page
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition(summary_page.BEGIN)[2]
    assert section.partition(summary_page.END)[0].strip() in page


def test_tables_align_numbers_and_show_missing_values():
    table = pages.markdown_table(("name", "value"), [("a", "-1.5"), ("b", None)])
    assert table == "| name | value |\n| --- | ---: |\n| a | -1.5 |\n| b | – |\n"
