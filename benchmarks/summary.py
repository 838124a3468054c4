"""The *summary* of `make bench`: our methods beside the best peer, task by task, and plainly where we lose.

It reads the tables that the benchmarks have stored, writes summary.json and summary.md beside them, and puts the
summary in the place of a marked section of the README. Nothing is measured here.

Usage: python -m benchmarks.summary [--device NAME] [--results FOLDER] [--readme FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import common, peers
from benchmarks.papers import printed
from dip_core.inpainting.experts.registry import gap_expert_names

BEGIN, END = "<!-- benchmark summary: begin (written by make bench) -->", "<!-- benchmark summary: end -->"
PRODUCT = ("fast", "best")
SCENES = "SLC-off"
OWN = gap_expert_names(published=False)
# What is no restoration: beating it is no merit, so it is never the best peer.
NOTHING = ("do nothing", "noisy")
# By score: its name, the digits shown, and whether a higher value is better.
SCORES = {
    "percent": ("RMSE, % of fill-nodata", 1, False),
    "psnr": ("PSNR", 2, True),
    "mpsnr": ("MPSNR", 2, True),
    "ssim": ("SSIM", 3, True),
    "sam": ("SAM", 2, False),
}
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """What was asked of one of our methods: the main score, seconds and spectral angle, None where nothing was."""

    score: float
    seconds: float | None = None
    sam: float | None = None


@dataclass(frozen=True)
class Task:
    """One comparison: its name, the score that counts, the rows by method, and the targets by method of ours."""

    name: str
    score: str
    rows: Mapping[str, Figures]
    targets: Mapping[str, Target] = field(default_factory=dict)

    def best_of(self, methods: Iterable[str], score: str) -> str | None:
        """The method with the best value of a score; None where none has one."""
        known = [name for name in methods if self.rows[name].get(score) is not None]
        sign = -1 if SCORES[score][2] else 1
        return min(known, key=lambda name: sign * self.rows[name][score], default=None)

    def peers(self) -> list[str]:
        """The methods that are none of ours; the papers' presets are theirs."""
        return [name for name in self.rows if name not in (*PRODUCT, *OWN, *NOTHING)]

    def shown(self, method: str, score: str) -> str | None:
        """A value as the tables show it."""
        value = self.rows[method].get(score) if method in self.rows else None
        return None if value is None else f"{value:.{SCORES[score][1]}f}"


# The tables of the papers' protocols: file, case (None: the only one), name, score, targets.
PAPERS: tuple[tuple[str, str | None, str, str, dict[str, Target]], ...] = (
    (
        "papers_inpaint",
        None,
        "Indian Pines, stripes inpainted",
        "psnr",
        {"fast": Target(38.0, 15, 0.83), "best": Target(38.3, 180, 0.83)},
    ),
    (
        "papers_denoise",
        "Not clipped",
        "Reno denoised, not clipped",
        "mpsnr",
        {"fast": Target(30.0, 5), "best": Target(30.4, 60)},
    ),
    (
        "papers_denoise",
        "Clipped to [0, 1], as the authors' code does",
        "Reno denoised, clipped to [0, 1]",
        "mpsnr",
        {"best": Target(29.6)},
    ),
    (
        "papers_superresolve",
        None,
        "Reno enlarged two times",
        "mpsnr",
        {"fast": Target(33.1, 15), "best": Target(33.6, 180)},
    ),
)
# What the paper prints for the very cube and mask of ours. Its SSIM is another one: even that of doing nothing differs.
_PSNR, _, _SAM = printed.INPAINTING["Deep HS prior 2D"]
PRINTED: dict[str, dict[str, Figures]] = {
    "papers_inpaint": {"Deep HS prior 2D, as printed": {"psnr": _PSNR, "sam": _SAM}}
}
SCENE_TARGETS = {"fast": Target(93.0), "best": Target(89.0)}
GUIDED_SUFFIX = ", guided"
GUIDED_TARGETS = {"best": Target(75.0)}  # what is asked of a guide of the same season


def main() -> None:
    """Summarise what is stored."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", help="whose rows of our methods are shown")
    parser.add_argument("--results", type=Path, default=common.RESULTS, help="folder of the tables")
    parser.add_argument("--readme", type=Path, default=None, help="file whose marked section is replaced")
    chosen = parser.parse_args()
    print(write(chosen.results, chosen.device, chosen.readme))


def write(folder: Path, device: str, readme: Path | None) -> str:
    """Write the summary into a folder and the README (None: not); returns its text."""
    found, measured = collect(folder, device)
    text = page(found, measured)
    common.save(folder, "summary", record(found), f"# Summary of the benchmarks\n\n{text}")
    if readme is not None:
        readme.write_text(replaced(readme.read_text(encoding="utf-8"), text), encoding="utf-8")
    return text


def collect(folder: Path, device: str) -> tuple[list[Task], list[dict]]:
    """The tasks that the stored tables know, and the rows that say on which machine they were measured."""
    scenes = _stored(folder, "gap_scenes") or {}
    measured: list[dict] = list(scenes.values())
    tasks = scene_tasks(scenes)
    for name, case, title, score, targets in PAPERS:
        rows = (_stored(folder, name) or {"rows": []})["rows"]
        rows = [row for row in rows if case in (None, row["case"]) and _shown_on(row, device)]
        if any(row["row"] in PRODUCT for row in rows):
            tasks.append(Task(title, score, methods(rows, score) | PRINTED.get(name, {}), targets))
            measured += rows
    return tasks, measured


def scene_tasks(scenes: Mapping[str, dict]) -> list[Task]:
    """The mean over the scenes without a guide, and every scene by itself."""
    tasks: list[Task] = []
    guided: list[Task] = []
    for name, result in scenes.items():
        base = result["rmse"][peers.FILL_NODATA]
        rows = {method: {"percent": 100 * rmse / base} for method, rmse in result["rmse"].items()}
        for method, more in (result.get("rows") or result["runs"]).items():
            rows[method].update({key: more.get(key) for key in ("mpsnr", "ssim", "sam", "seconds", "peak_mib")})
        if name.endswith(GUIDED_SUFFIX):
            guided.append(Task(f"{SCENES}: {name}", "percent", rows, GUIDED_TARGETS))
        else:
            tasks.append(Task(f"{SCENES}: {name}", "percent", rows))
    if not tasks:
        return guided
    common_to_all = [method for method in tasks[0].rows if all(method in task.rows for task in tasks)]
    means: dict[str, Figures] = {}
    for method in common_to_all:
        of_scenes = [task.rows[method] for task in tasks]
        means[method] = {
            "percent": sum(row["percent"] for row in of_scenes) / len(tasks),
            "seconds": sum(row.get("seconds") or 0.0 for row in of_scenes) / len(tasks) or None,
            "peak_mib": max((row.get("peak_mib") or 0.0 for row in of_scenes), default=0.0) or None,
        }
    return [Task(f"{SCENES}, mean of {len(tasks)} scenes", "percent", means, SCENE_TARGETS), *tasks, *guided]


def methods(rows: Sequence[dict], score: str) -> dict[str, Figures]:
    """The last figures of every method; of a network's images the best, of its runs the one with most iterations."""
    found: dict[str, Figures] = {}
    for row in sorted(rows, key=lambda row: row["schedule"] or 0):
        point = row["points"][-1]
        sign = 1 if SCORES[score][2] else -1
        known = [image for image in point["images"].values() if image.get(score) is not None]
        if known:
            image = max(known, key=lambda image: sign * image[score])
            found[row["row"]] = {**image, "seconds": point["seconds"], "peak_mib": point.get("peak_mib")}
    return found


def losses(task: Task) -> list[str]:
    """Sentences on what beats `best` or, in the score that counts, `fast`; and on targets that are missed."""
    said = []
    for score, (title, digits, higher) in SCORES.items():
        for ours in PRODUCT[::-1]:
            if ours == "fast" and score != task.score:
                continue
            winner = task.best_of([name for name in task.rows if name not in (ours, "best")], score)
            if winner is None or ours not in task.rows or task.rows[ours].get(score) is None:
                continue
            gain = round(task.rows[winner][score], digits) - round(task.rows[ours][score], digits)
            if (gain if higher else -gain) > 0:
                values = f"{task.shown(winner, score)} against {task.shown(ours, score)}"
                said.append(f"{task.name}: {_code(winner)} beats `{ours}` in {title}: {values}.")
    for ours, target in task.targets.items():
        for key, wanted in ((task.score, target.score), ("sam", target.sam), ("seconds", target.seconds)):
            value = task.rows.get(ours, {}).get(key)
            if wanted is None or value is None:
                continue
            higher = key in SCORES and SCORES[key][2]
            digits = SCORES[key][1] if key in SCORES else 1
            if value < wanted if higher else value > wanted:
                title = SCORES[key][0] if key in SCORES else "seconds"
                said.append(
                    f"{task.name}: `{ours}` misses its target in {title}: {value:.{digits}f}, "
                    f"{wanted:.{digits}f} was asked for."
                )
    return said


def page(tasks: Sequence[Task], measured: Sequence[dict]) -> str:
    """The summary as Markdown."""
    if not tasks:
        return "Nothing has been measured yet.\n"
    body = []
    for task in tasks:
        rival = task.best_of(task.peers(), task.score)
        peer = None if rival is None else f"{task.shown(rival, task.score)} ({_code(rival)})"
        targets = [task.targets.get(method) for method in PRODUCT]
        sign = ">=" if SCORES[task.score][2] else "<="
        wanted = "; ".join(f"`{name}` {sign} {target.score:g}" for name, target in zip(PRODUCT, targets) if target)
        cells = [task.shown(method, task.score) for method in PRODUCT]
        costs = [_number(task, method, key) for method in PRODUCT for key in ("seconds",)]
        body.append(
            (task.name, SCORES[task.score][0], peer, *cells, wanted or None, *costs, _number(task, "best", "peak_mib"))
        )
    heads = ("task", "score", "best peer", "`fast`", "`best`", "target", "`fast` s", "`best` s", "`best` MiB")
    lost = [f"- {sentence}" for task in tasks for sentence in losses(task)]
    missing = [title for _, _, title, _, _ in PAPERS if title not in {task.name for task in tasks}]
    missing += [] if any(task.name.startswith(SCENES) for task in tasks) else [SCENES]
    parts = [common.markdown_table(heads, body)]
    parts.append("**Where we lose:**" if lost else "**Where we lose:** nowhere in these tables.")
    parts += ["\n".join(lost)] if lost else []
    parts += [f"Not measured: {'; '.join(missing)}."] if missing else []
    parts.append(common.measured_on(measured))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def record(tasks: Sequence[Task]) -> dict:
    """The summary as data."""
    return {
        "tasks": [
            {
                "name": task.name,
                "score": task.score,
                "best_peer": task.best_of(task.peers(), task.score),
                "targets": {name: vars(target) for name, target in task.targets.items()},
                "rows": dict(task.rows),
                "losses": losses(task),
            }
            for task in tasks
        ]
    }


def replaced(readme: str, text: str) -> str:
    """The README with ``text`` between its two marks; ends the program where the marks are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"The README has no section for the summary: it must hold the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"


def _stored(folder: Path, name: str) -> dict | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _shown_on(row: dict, device: str) -> bool:
    """Networks as published are shown wherever they ran; variants of them are other experiments."""
    name = row["row"]
    return name == "paper_2d" or ("+" not in name and row["device"] in (None, device))


def _code(name: str) -> str:
    return f"`{name}`" if name in (*PRODUCT, *OWN) or name.startswith("paper_") else name


def _number(task: Task, method: str, key: str) -> str | None:
    value = task.rows.get(method, {}).get(key)
    return None if value is None else f"{value:.0f}"


if __name__ == "__main__":
    main()
