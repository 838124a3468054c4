"""Makes the checkout importable as the plugin package ``deep_prior``, as QGIS does, and offers fake workers."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

_alias = tempfile.TemporaryDirectory(prefix="deep_prior_package_")
os.symlink(ROOT, Path(_alias.name) / "deep_prior")
sys.path.insert(0, _alias.name)


@pytest.fixture
def fake_engine(tmp_path):
    """Makes programs that stand in for the engine's Python: the body runs with the job in ``job``.

    They speak the worker's protocol through ``tell(event, **facts)``, and are called exactly as a real
    engine's Python is, so that starting, reading and stopping are the plugin's own.
    """

    def make(body: str, name: str = "engine") -> str:
        path = tmp_path / name
        head = f"""\
            #!{sys.executable}
            import json, os, signal, sys, threading, time

            def tell(event, **facts):
                print(json.dumps({{"event": event, **facts}}), flush=True)

            def partial(target):
                folder, name = os.path.split(target)
                return os.path.join(folder, "." + name + "." + os.environ["DEEP_PRIOR_TOKEN"] + ".part")

            job = json.load(open(sys.argv[-1])) if sys.argv[-1].endswith(".json") else None
            """
        path.write_text(textwrap.dedent(head) + textwrap.dedent(body), encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


@pytest.fixture
def provider(qgis_app, qgis_processing):
    """The plugin's provider, registered as qgis_process does it."""
    from deep_prior import classFactory

    plugin = classFactory(None)
    plugin.initProcessing()
    yield plugin.provider
    plugin.unload()
