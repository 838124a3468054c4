"""The summary of `make bench`: per task, the methods of the product compared with the best peer, and all losses.

It reads the stored results of the benchmarks, writes summary.json and summary.md, and replaces the marked section of
the README. A *peer* is a method of another library or of a paper. A *loss* is a score in which another method is
better, or a missed target. Nothing is measured here.

Usage: python -m benchmarks.summary [--device NAME] [--results FOLDER] [--readme FILE]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import RESULTS, pages, peers
from benchmarks.papers import printed
from benchmarks.scene_cases import GUIDED_SUFFIX
from benchmarks.summary_page import page, record, replace_section
from benchmarks.summary_tasks import PRODUCT, SCORES, Figures, Target, Task

SCENES = "SLC-off"


@dataclass(frozen=True)
class PaperTask:
    """A task from a table of `benchmarks.papers`: its file and case (None: the only one), name, score and targets."""

    file: str
    case: str | None
    name: str
    score: str
    targets: Mapping[str, Target]


PAPER_TASKS = (
    PaperTask(
        "papers_inpaint",
        None,
        "Indian Pines, stripes inpainted",
        "psnr",
        {"fast": Target(38.0, 15, 0.83), "best": Target(38.3, 180, 0.83)},
    ),
    PaperTask(
        "papers_denoise",
        "Not clipped",
        "Reno denoised, not clipped",
        "mpsnr",
        {"fast": Target(30.0, 5), "best": Target(30.4, 60)},
    ),
    PaperTask(
        "papers_denoise",
        "Clipped to [0, 1], as the authors' code does",
        "Reno denoised, clipped to [0, 1]",
        "mpsnr",
        {"best": Target(29.6)},
    ),
    PaperTask(
        "papers_superresolve",
        None,
        "Reno enlarged two times",
        "mpsnr",
        {"fast": Target(33.1, 15), "best": Target(33.6, 180)},
    ),
)
# Printed in the paper for the same cube and mask. Its SSIM is defined differently: that of the input differs from ours.
_PSNR, _, _SAM = printed.INPAINTING["Deep HS prior 2D"]
PRINTED: dict[str, dict[str, Figures]] = {
    "papers_inpaint": {"Deep HS prior 2D, as printed": {"psnr": _PSNR, "sam": _SAM}}
}
SCENE_TARGETS = {"fast": Target(93.0), "best": Target(89.0)}
GUIDED_TARGETS = {"best": Target(75.0)}  # for a guide of the same season


def main() -> None:
    """Summarise the stored results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", help="device whose rows of our methods are shown")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the stored results")
    parser.add_argument("--readme", type=Path, default=None, help="file whose marked section is replaced")
    arguments = parser.parse_args()
    print(write(arguments.results, arguments.device, arguments.readme))


def write(folder: Path, device: str, readme: Path | None) -> str:
    """Write the summary into a folder and, if given, into the README; returns its text."""
    tasks, measured = collect(folder, device)
    names = {task.name for task in tasks}
    not_measured = [task.name for task in PAPER_TASKS if task.name not in names]
    not_measured += [] if any(name.startswith(SCENES) for name in names) else [SCENES]
    text = page(tasks, measured, not_measured)
    pages.save(folder, "summary", record(tasks), lambda _: f"# Summary of the benchmarks\n\n{text}")
    if readme is not None:
        readme.write_text(replace_section(readme.read_text(encoding="utf-8"), text), encoding="utf-8")
    return text


def collect(folder: Path, device: str) -> tuple[list[Task], list[dict]]:
    """The tasks for which there are stored results, and the rows that describe the machines of the measurements."""
    scenes = pages.load(folder, "gap_scenes") or {}
    measured: list[dict] = list(scenes.values())
    tasks = scene_tasks(scenes)
    for paper in PAPER_TASKS:
        rows = (pages.load(folder, paper.file) or {"rows": []})["rows"]
        rows = [row for row in rows if paper.case in (None, row["case"]) and _is_shown(row, device)]
        if any(row["row"] in PRODUCT for row in rows):
            figures = figures_by_method(rows, paper.score) | PRINTED.get(paper.file, {})
            tasks.append(Task(paper.name, paper.score, figures, paper.targets))
            measured += rows
    return tasks, measured


def scene_tasks(scenes: Mapping[str, dict]) -> list[Task]:
    """The mean over the scenes without a guide, then each scene."""
    tasks: list[Task] = []
    guided: list[Task] = []
    for name, result in scenes.items():
        base = result["rmse"][peers.FILL_NODATA]
        rows = {method: {"percent": 100 * rmse / base} for method, rmse in result["rmse"].items()}
        for method, figures in (result.get("rows") or result["runs"]).items():
            rows[method].update({key: figures.get(key) for key in ("mpsnr", "ssim", "sam", "seconds", "peak_mib")})
        if name.endswith(GUIDED_SUFFIX):
            guided.append(Task(f"{SCENES}: {name}", "percent", rows, GUIDED_TARGETS))
        else:
            tasks.append(Task(f"{SCENES}: {name}", "percent", rows))
    if not tasks:
        return guided
    means: dict[str, Figures] = {}
    for method in [name for name in tasks[0].rows if all(name in task.rows for task in tasks)]:
        scene_rows = [task.rows[method] for task in tasks]
        means[method] = {
            "percent": sum(row["percent"] for row in scene_rows) / len(tasks),
            "seconds": sum(row.get("seconds") or 0.0 for row in scene_rows) / len(tasks) or None,
            "peak_mib": max((row.get("peak_mib") or 0.0 for row in scene_rows), default=0.0) or None,
        }
    return [Task(f"{SCENES}, mean of {len(tasks)} scenes", "percent", means, SCENE_TARGETS), *tasks, *guided]


def figures_by_method(rows: Sequence[dict], score: str) -> dict[str, Figures]:
    """The last figures of each method; for a network, its best image in its run with the most iterations."""
    figures: dict[str, Figures] = {}
    for row in sorted(rows, key=lambda row: row["schedule"] or 0):
        point = row["points"][-1]
        sign = 1 if SCORES[score][2] else -1
        scored = [image for image in point["images"].values() if image.get(score) is not None]
        if scored:
            image = max(scored, key=lambda image: sign * image[score])
            figures[row["row"]] = {**image, "seconds": point["seconds"], "peak_mib": point.get("peak_mib")}
    return figures


def _is_shown(row: dict, device: str) -> bool:
    """Published networks are shown from any device; their variants are other experiments."""
    name = row["row"]
    return name == "paper_2d" or ("+" not in name and row["device"] in (None, device))


if __name__ == "__main__":
    main()
