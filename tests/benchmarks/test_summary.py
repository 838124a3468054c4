"""The summary of `make bench`: figures by method, best peers, losses, and the README's section."""

from __future__ import annotations

import json

import pytest

from benchmarks import ROOT, summary, summary_page
from benchmarks.summary_tasks import Target, Task

MACHINE = {"machine": "M, 2 cores; quiet machine; today", "foreign_load": 0.0}


def make_row(name: str, psnr: float, seconds: float = 1.0, device=None, schedule=None) -> dict:
    scores = {"psnr": psnr, "mpsnr": psnr, "ssim": 0.9, "sam": 1.0}
    point = {"seconds": seconds, "peak_mib": 100.0, "images": {"": scores}}
    return {"case": "stripes", "row": name, "schedule": schedule, "device": device, "points": [point], **MACHINE}


@pytest.fixture
def stored(tmp_path):
    """Results of two scenes and of one task, as the benchmarks store them."""
    cost = {"mpsnr": 25.0, "ssim": None, "sam": 2.0, "seconds": 10.0, "peak_mib": 500.0}
    scenes = {
        name: {"rmse": rmse, "rows": {method: dict(cost) for method in rmse}, "notes": {}, **MACHINE}
        for name, rmse in {
            "A": {"fill-nodata": 0.5, "kriging": 0.45, "fast": 0.45, "best": 0.4},
            "B": {"fill-nodata": 1.0, "kriging": 0.8, "fast": 0.8, "best": 0.9},
        }.items()
    }
    (tmp_path / "gap_scenes.json").write_text(json.dumps(scenes))
    rows = [
        make_row("do nothing", 17.0),
        make_row("biharmonic (scikit-image)", 37.6),
        make_row("linear", 39.0),
        make_row("fast", 37.0, 20.0, "cpu"),
        make_row("best", 38.5, 100.0, "cpu"),
        make_row("best", 12.0, 1.0, "cuda:0"),
        make_row("paper_2d", 36.0, 9.0, "cuda:0", 10001),
        make_row("paper_2d+bfloat16", 50.0, 9.0, "cuda:0", 10001),
    ]
    (tmp_path / "papers_inpaint.json").write_text(json.dumps({"rows": rows}))
    return tmp_path


def test_tasks_contain_our_rows_of_the_device_and_published_networks_of_any_device(stored):
    tasks, measured = summary.collect(stored, "cpu")
    assert [task.name for task in tasks] == [
        "SLC-off, mean of 2 scenes",
        "SLC-off: A",
        "SLC-off: B",
        "Indian Pines, stripes inpainted",
    ]
    mean, stripes = tasks[0], tasks[-1]
    assert mean.rows["best"]["percent"] == pytest.approx((80 + 90) / 2)
    assert mean.rows["best"]["peak_mib"] == 500
    assert stripes.rows["best"]["psnr"] == 38.5
    assert set(stripes.peers()) == {"biharmonic (scikit-image)", "paper_2d", "Deep HS prior 2D, as printed"}
    assert stripes.best_of(stripes.peers(), "psnr") == "biharmonic (scikit-image)"
    assert stripes.best_of(stripes.peers(), "sam") == "Deep HS prior 2D, as printed"
    assert len(measured) == 2 + 6
    assert summary.collect(stored, "cuda:0")[0][-1].rows["best"]["psnr"] == 12.0


def test_the_page_reports_all_losses_and_what_is_not_measured(stored):
    text = summary.write(stored, "cpu", None)
    assert "| Indian Pines, stripes inpainted | PSNR | 37.60 (biharmonic (scikit-image)) | 37.00 | 38.50 |" in text
    assert "- SLC-off: B: `kriging` is better than `best` in RMSE, % of fill-nodata: 80.0 compared with 90.0." in text
    assert "stripes inpainted: `linear` is better than `best` in PSNR: 39.00 compared with 38.50." in text
    assert "stripes inpainted: `linear` is better than `fast` in PSNR: 39.00 compared with 37.00." in text
    assert "stripes inpainted: `fast` misses its target in PSNR: 37.00 (target: 38.00)." in text
    assert "stripes inpainted: `fast` misses its target in seconds: 20.0 (target: 15.0)." in text
    assert "stripes inpainted: `best` misses its target in SAM: 1.00 (target: 0.83)." in text
    assert "SLC-off: A:" not in text.replace("| SLC-off: A |", "")  # no loss there
    assert "Not measured: Reno denoised" in text and "SLC-off." not in text and "The machine was quiet." in text
    record = json.loads((stored / "summary.json").read_text())
    assert sum(len(task["losses"]) for task in record["tasks"]) == text.count("\n- ")
    assert text in (stored / "summary.md").read_text()


def test_a_difference_below_the_shown_digits_is_no_loss():
    rows = {"nearest": {"mpsnr": 30.004}, "fast": {"mpsnr": 30.0}, "best": {"mpsnr": 30.0}}
    assert summary_page.losses(Task("t", "mpsnr", rows, {"best": Target(30.0)})) == []
    rows["nearest"]["mpsnr"] = 30.02
    assert len(summary_page.losses(Task("t", "mpsnr", rows))) == 2  # of `fast` and of `best`


def test_the_best_image_of_the_longest_run_of_a_network_counts():
    short, long = make_row("paper_2d", 40.0, schedule=100), make_row("paper_2d", 30.0, schedule=1000)
    long["points"][-1]["images"]["averaged"] = {"psnr": 31.0, "ssim": 0.8, "sam": None}
    assert summary.figures_by_method([long, short], "psnr")["paper_2d"]["psnr"] == 31.0


def test_a_summary_of_no_results(tmp_path):
    assert "Nothing has been measured" in summary.write(tmp_path, "cpu", None)


def test_the_readmes_section_is_replaced_and_the_rest_is_kept():
    before = f"# Title\n\n{summary_page.BEGIN}\nold\n{summary_page.END}\n\nThe end.\n"
    once = summary_page.replace_section(before, "new\n")
    assert once == f"# Title\n\n{summary_page.BEGIN}\n\nnew\n\n{summary_page.END}\n\nThe end.\n"
    assert summary_page.replace_section(once, "new\n") == once


@pytest.mark.parametrize(
    "text",
    ["no marks", summary_page.BEGIN, summary_page.END, f"{summary_page.END}{summary_page.BEGIN}"],
)
def test_a_readme_without_the_section_is_an_error(text):
    with pytest.raises(SystemExit, match="no section"):
        summary_page.replace_section(text, "new")


def test_the_readme_has_the_section():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert summary_page.replace_section(readme, "new") != readme
