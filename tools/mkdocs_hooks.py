"""Hooks of mkdocs: the list of decisions, the logo, and links to files of the repository outside docs/."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "https://github.com/deep-prior/deep-prior/blob/main/"
OUTWARD_LINK = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")

log = logging.getLogger("mkdocs.hooks.links")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add every page of docs/decisions to the navigation, in the order of the numbers."""
    pages = sorted(Path(config.docs_dir, "decisions").glob("[0-9]*.md"))
    for section in config.nav or []:
        if "Decisions" in section:
            section["Decisions"] += [f"decisions/{page.name}" for page in pages]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the logo, which is a resource of the plugin."""
    icon = str(ROOT / "resources" / "icon.svg")
    files.append(File.generated(config, "images/icon.svg", abs_src_path=icon))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Replace relative links to files outside docs/ by their address in the repository; warn if there is no file."""
    folder = Path(page.file.abs_src_path or "").parent

    def replace(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link.group(1)))
        if target.is_relative_to(config.docs_dir):
            return link.group(0)
        if not target.exists():
            log.warning("'%s' links to '%s', which does not exist.", page.file.src_uri, link.group(1))
        return f"]({REPOSITORY}{target.relative_to(ROOT).as_posix()}{link.group(2) or ''})"

    return OUTWARD_LINK.sub(replace, markdown)
