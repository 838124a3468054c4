"""The documentation agrees with the repository: files that it names exist, and the help pages are up to date."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES_OUTSIDE_SITE = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
# Not docs/decisions, whose pages describe the state at the time of the measurement.
PAGES_WITH_PATHS = [
    *PAGES_OUTSIDE_SITE,
    *(
        path.relative_to(ROOT).as_posix()
        for folder in ("docs", "docs/guide", "docs/concepts", "docs/reference")
        for path in sorted((ROOT / folder).glob("*.md"))
    ),
]
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")
NAMED_PATH = re.compile(r"`((?:algorithms|benchmarks|dip_core|docs|resources|tests|tools)/[\w./-]*)`")
MADE_FROM = re.compile(r"Made by tools/build-help from (\S+) ([0-9a-f]{64})")


@pytest.mark.parametrize("page", PAGES_OUTSIDE_SITE)
def test_links_of_pages_outside_the_site_lead_to_files(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = (ROOT / page).parent
    assert [link for link in LINK.findall(text) if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", PAGES_WITH_PATHS)
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [path for path in NAMED_PATH.findall(text) if not (ROOT / path).exists()] == []


def test_help_pages_are_up_to_date() -> None:
    """`make docs` writes them from the user guide."""
    sources = {*(ROOT / "docs" / "guide").glob("*.md"), ROOT / "docs" / "reference" / "metrics.md"}
    stale = []
    for page in sorted((ROOT / "resources" / "help").glob("*.html")):
        made = MADE_FROM.search(page.read_text(encoding="utf-8"))
        if made is None:
            continue
        source = ROOT / made.group(1)
        sources.discard(source)
        if hashlib.sha256(source.read_text(encoding="utf-8").encode()).hexdigest() != made.group(2):
            stale.append(page.name)
    assert stale == []
    assert sources == set()
