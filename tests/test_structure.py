"""The structure of the engine: imports run one way, without a cycle, and every package says what it is for."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "dip_core"
# A package may import from packages of a lower rank only. Modules of the engine's own folder count as packages.
RANKS = {
    "errors": 0,
    "events": 0,
    "arrays": 0,
    "metrics": 0,
    "comparison": 1,
    "failures": 1,
    "job_fields": 1,
    "job_record": 1,
    "output_paths": 1,
    "temporary_files": 0,
    "raster_names": 0,
    "run_folders": 1,
    "restoration_jobs": 2,
    "job": 3,
    "runtime": 4,
    "raster": 5,
    "imaging": 6,
    "dip": 7,
    "reporting": 7,
    "denoising": 8,
    "stripes": 8,
    "superresolution": 8,
    "inpainting": 9,  # its plug and play estimator uses a denoiser
    "tasks": 10,
    "__main__": 11,
}
MAX_IMPORT_LEVELS = 8
MAX_LINES = 300
QGIS_SIDE = (
    "dip_core",
    "dip_core.job",
    "dip_core.job_fields",
    "dip_core.job_record",
    "dip_core.output_paths",
    "dip_core.temporary_files",
    "dip_core.raster_names",
    "dip_core.run_folders",
    "dip_core.restoration_jobs",
    "dip_core.errors",
    "dip_core.events",
)

MODULES = {
    ".".join(path.relative_to(ENGINE).with_suffix("").parts).removesuffix(".__init__").removesuffix("__init__"): path
    for path in sorted(ENGINE.rglob("*.py"))
}


def imports(module: str, *, inside_functions: bool) -> set[str]:
    """The modules of the engine that ``module`` imports."""
    package = module.split(".") if MODULES[module].name == "__init__.py" else module.split(".")[:-1]
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree) if inside_functions else tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            parent = package[: len(package) - node.level + 1]
            source = ".".join([*parent, *(node.module.split(".") if node.module else [])])
            for name in node.names:
                full = f"{source}.{name.name}" if source else name.name
                found.add(full if full in MODULES else source)
    return found - {module, ""}


def package_of(module: str) -> str:
    return module.split(".")[0]


def import_level(graph: dict[str, set[str]]) -> dict[str, int]:
    """The length of the longest chain of imports that starts at each node; fails for a cycle."""
    unfinished: list[str] = []

    @cache
    def level(node: str) -> int:
        assert node not in unfinished, f"import cycle: {' -> '.join([*unfinished, node])}"
        unfinished.append(node)
        found = 1 + max((level(other) for other in sorted(graph[node])), default=0)
        unfinished.pop()
        return found

    return {node: level(node) for node in sorted(graph)}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_one_way(module):
    if not module:
        return
    own = package_of(module)
    upward = {
        other
        for other in imports(module, inside_functions=True)
        if package_of(other) != own and RANKS[package_of(other)] >= RANKS[own]
    }
    assert not upward


def test_there_is_no_import_cycle():
    import_level({module: imports(module, inside_functions=True) for module in MODULES})


def test_import_levels_are_few():
    levels = import_level({module: imports(module, inside_functions=False) for module in MODULES})
    assert {module: level for module, level in levels.items() if level > MAX_IMPORT_LEVELS} == {}


@pytest.mark.parametrize("module", [module for module, path in MODULES.items() if path.name == "__init__.py"])
def test_every_package_has_a_docstring_of_one_line(module):
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert (docstring and len(docstring.splitlines()) == 1) or module == ""


@pytest.mark.parametrize("folder", ["dip_core", "algorithms"])
def test_long_modules_say_why(folder):
    long = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if len(path.read_text(encoding="utf-8").splitlines()) > MAX_LINES
    ]
    assert long == []


def test_the_engine_never_imports_qgis():
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [name.name for name in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not [name for name in names if name.split(".")[0] in ("qgis", "osgeo")], path
