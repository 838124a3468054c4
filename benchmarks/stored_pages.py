"""Makes the pages in benchmarks/results/ again from the stored records, without measuring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import crops, gap_paper_page, gap_scenes_page, networks, pages, superresolve, uncertainty
from benchmarks.papers import cascade, untrained

MAKE_PAGE: dict[str, Callable[[dict], str]] = {
    "crops": crops.page,
    "gap_paper": gap_paper_page.page,
    "gap_scenes": gap_scenes_page.page,
    "networks": networks.page,
    "superresolve": superresolve.page,
    "uncertainty": uncertainty.page,
    **{
        table.name: table.page
        for table in (untrained.INPAINT, untrained.DENOISE, untrained.SUPERRESOLVE, untrained.VOLUME, cascade.TABLE)
    },
}


def rewrite(folder: Path) -> None:
    """Write the page of each record in a folder."""
    for name, make_page in MAKE_PAGE.items():
        record = pages.load(folder, name)
        if record is not None:
            pages.write_page(folder, name, make_page(record))
