"""The page of the summary: a table of all comparisons, the losses, and what was not measured."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import pages
from benchmarks.machine import measured_on
from benchmarks.summary_tasks import OWN, PRODUCT, SCORES, Task

BEGIN, END = "<!-- benchmark summary: begin (written by make bench) -->", "<!-- benchmark summary: end -->"


def page(tasks: Sequence[Task], measured: Sequence[dict], not_measured: Sequence[str]) -> str:
    """The summary as Markdown. ``measured``: rows with the facts of the machines; ``not_measured``: names."""
    if not tasks:
        return "Nothing has been measured yet.\n"
    columns = ("task", "score", "best peer", "`fast`", "`best`", "target", "`fast` s", "`best` s", "`best` MiB")
    parts = [pages.markdown_table(columns, [_table_row(task) for task in tasks])]
    sentences = [f"- {sentence}" for task in tasks for sentence in losses(task)]
    if sentences:
        parts += ["**Another method is better, or a target is missed:**", "\n".join(sentences)]
    else:
        parts.append("No other method is better in these tables, and no target is missed.")
    if not_measured:
        parts.append(f"Not measured: {'; '.join(not_measured)}.")
    return pages.join([*parts, measured_on(measured)])


def losses(task: Task) -> list[str]:
    """Sentences on scores in which another method is better, and on missed targets.

    `best` is compared in all scores, `fast` in the main score only.
    """
    sentences = []
    for score, (title, digits, higher_is_better) in SCORES.items():
        for ours in reversed(PRODUCT):
            if ours == "fast" and score != task.score:
                continue
            rival = task.best_of([name for name in task.rows if name not in (ours, "best")], score)
            if rival is None or ours not in task.rows or task.rows[ours].get(score) is None:
                continue
            gain = round(task.rows[rival][score], digits) - round(task.rows[ours][score], digits)
            if (gain if higher_is_better else -gain) > 0:
                values = f"{task.format(rival, score)} compared with {task.format(ours, score)}"
                sentences.append(f"{task.name}: {_code(rival)} is better than `{ours}` in {title}: {values}.")
    return sentences + _missed_targets(task)


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


def replace_section(readme: str, text: str) -> str:
    """The README with ``text`` between its two marks; ends the program if a mark is missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"The README has no section for the summary: it must contain the lines {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}"


def _missed_targets(task: Task) -> list[str]:
    sentences = []
    for ours, target in task.targets.items():
        for key, limit in ((task.score, target.score), ("sam", target.sam), ("seconds", target.seconds)):
            value = task.rows.get(ours, {}).get(key)
            if limit is None or value is None:
                continue
            title, digits, higher_is_better = SCORES.get(key, ("seconds", 1, False))
            if value < limit if higher_is_better else value > limit:
                values = f"{value:.{digits}f} (target: {limit:.{digits}f})"
                sentences.append(f"{task.name}: `{ours}` misses its target in {title}: {values}.")
    return sentences


def _table_row(task: Task) -> tuple[str | None, ...]:
    rival = task.best_of(task.peers(), task.score)
    peer = None if rival is None else f"{task.format(rival, task.score)} ({_code(rival)})"
    sign = ">=" if SCORES[task.score][2] else "<="
    targets = [f"`{name}` {sign} {task.targets[name].score:g}" for name in PRODUCT if name in task.targets]
    return (
        task.name,
        SCORES[task.score][0],
        peer,
        *(task.format(method, task.score) for method in PRODUCT),
        "; ".join(targets) or None,
        *(_whole_number(task, method, "seconds") for method in PRODUCT),
        _whole_number(task, "best", "peak_mib"),
    )


def _code(name: str) -> str:
    return f"`{name}`" if name in (*PRODUCT, *OWN) or name.startswith("paper_") else name


def _whole_number(task: Task, method: str, key: str) -> str | None:
    value = task.rows.get(method, {}).get(key)
    return None if value is None else f"{value:.0f}"
