"""What `make bench` runs and says: its summary, the README's section, GRASS's commands, the peers."""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import common, crops, gap_scenes, grass, networks, peers, summary
from benchmarks.papers import methods, protocols, untrained
from benchmarks.summary import Target, Task

MACHINE = {"machine": "M, 2 cores; quiet machine; today", "foreign_load": 0.0}


def row(case: str, name: str, psnr: float, seconds: float = 1.0, device=None, schedule=None, **more) -> dict:
    scores = {"psnr": psnr, "mpsnr": psnr, "ssim": 0.9, "sam": 1.0} | more
    point = {"seconds": seconds, "peak_mib": 100.0, "images": {"": scores}}
    return {"case": case, "row": name, "schedule": schedule, "device": device, "points": [point], **MACHINE}


@pytest.fixture
def stored(tmp_path):
    """Tables of two scenes and of one task, as the benchmarks store them."""
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
        row("stripes", "do nothing", 17.0),
        row("stripes", "biharmonic (scikit-image)", 37.6),
        row("stripes", "linear", 39.0),
        row("stripes", "fast", 37.0, 20.0, "cpu"),
        row("stripes", "best", 38.5, 100.0, "cpu"),
        row("stripes", "best", 12.0, 1.0, "cuda:0"),
        row("stripes", "paper_2d", 36.0, 9.0, "cuda:0", 10001),
        row("stripes", "paper_2d+bfloat16", 50.0, 9.0, "cuda:0", 10001),
    ]
    (tmp_path / "papers_inpaint.json").write_text(json.dumps({"rows": rows}))
    return tmp_path


# ---------------------------------------------------------------- the summary


def test_tasks_hold_our_rows_of_the_device_and_the_papers_networks_of_any(stored):
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


def test_the_page_says_all_losses_and_what_is_not_measured(stored):
    text = summary.write(stored, "cpu", None)
    assert "| Indian Pines, stripes inpainted | PSNR | 37.60 (biharmonic (scikit-image)) | 37.00 | 38.50 |" in text
    assert "- SLC-off: B: `kriging` beats `best` in RMSE, % of fill-nodata: 80.0 against 90.0." in text
    assert "- Indian Pines, stripes inpainted: `linear` beats `best` in PSNR: 39.00 against 38.50." in text
    assert "stripes inpainted: `linear` beats `fast` in PSNR: 39.00 against 37.00." in text
    assert "stripes inpainted: `fast` misses its target in PSNR: 37.00, 38.00 was asked for." in text
    assert "stripes inpainted: `fast` misses its target in seconds: 20.0, 15.0 was asked for." in text
    assert "stripes inpainted: `best` misses its target in SAM: 1.00, 0.83 was asked for." in text
    assert "SLC-off: A:" not in text.replace("| SLC-off: A |", "")  # nothing is lost there
    assert "Not measured: Reno denoised" in text and "SLC-off." not in text and "The machine was quiet." in text
    kept = json.loads((stored / "summary.json").read_text())
    assert sum(len(task["losses"]) for task in kept["tasks"]) == text.count("\n- ")
    assert text in (stored / "summary.md").read_text()


def test_a_difference_below_the_digits_shown_is_no_loss():
    rows = {"nearest": {"mpsnr": 30.004}, "fast": {"mpsnr": 30.0}, "best": {"mpsnr": 30.0}}
    assert summary.losses(Task("t", "mpsnr", rows, {"best": Target(30.0)})) == []
    rows["nearest"]["mpsnr"] = 30.02
    assert len(summary.losses(Task("t", "mpsnr", rows))) == 2  # of both of ours


def test_a_network_counts_with_its_longest_run_and_its_best_image():
    short, long = row("c", "paper_2d", 40.0, schedule=100), row("c", "paper_2d", 30.0, schedule=1000)
    long["points"][-1]["images"]["averaged"] = {"psnr": 31.0, "ssim": 0.8, "sam": None}
    assert summary.methods([long, short], "psnr")["paper_2d"]["psnr"] == 31.0


def test_nothing_stored_is_no_failure(tmp_path):
    assert "Nothing has been measured" in summary.write(tmp_path, "cpu", None)


def test_the_readmes_section_is_replaced_and_the_rest_is_kept(tmp_path):
    before = f"# Title\n\n{summary.BEGIN}\nold\n{summary.END}\n\nThe end.\n"
    once = summary.replaced(before, "new\n")
    assert once == f"# Title\n\n{summary.BEGIN}\n\nnew\n\n{summary.END}\n\nThe end.\n"
    assert summary.replaced(once, "new\n") == once
    for text in ("no marks", summary.BEGIN, summary.END, f"{summary.END}{summary.BEGIN}"):
        with pytest.raises(SystemExit, match="no section"):
            summary.replaced(text, "new")


def test_the_readme_has_the_section():
    readme = (common.ROOT / "README.md").read_text(encoding="utf-8")
    assert summary.replaced(readme, "new") != readme


# ---------------------------------------------------------------- what is run


@pytest.mark.parametrize("part", bench.PARTS)
def test_every_row_that_is_run_is_one_of_its_table(part, tmp_path):
    words = bench.command(part, "cpu", True, tmp_path)
    assert words[0] == sys.executable and words[words.index("--out") + 1] == str(tmp_path)
    table, _, rows = bench.PARTS[part]
    if rows is None:
        assert words[4] == "benchmarks.gap_scenes" and "--row" not in words
        return
    known = {table.name: table for table in (untrained.INPAINT, untrained.DENOISE, untrained.SUPERRESOLVE)}
    assert set(rows) <= set(known[table].order)
    assert words[words.index("--row") + 1 :] == [*rows, "paper_2d"]


def test_the_papers_networks_are_left_out_on_a_cpu_only(tmp_path):
    assert "paper_2d" not in bench.command("denoise", "cpu", False, tmp_path)
    assert "paper_2d" in bench.command("denoise", "cuda:0", False, tmp_path)


# ---------------------------------------------------------------- peers


def test_grass_fills_every_band_in_a_project_of_its_own(tmp_path):
    scene = tmp_path / "a scene.tif"
    steps = grass.commands("/usr/bin/grass", scene, tmp_path, bands=2)
    project = tmp_path / "project"
    assert steps[0] == ["/usr/bin/grass", "-c", str(scene), "-e", str(project)]
    assert all(step[:3] == ["/usr/bin/grass", str(project / "PERMANENT"), "--exec"] for step in steps[1:])
    assert [step[3] for step in steps[1:5]] == ["r.in.gdal", "g.region", "r.fillnulls", "r.out.gdal"]
    assert "band=2" in steps[5] and f"input={scene}" in steps[5]
    assert steps[7][4:6] == ["input=band_2", "output=filled_2"]
    assert f"output={tmp_path / 'filled_2.tif'}" in steps[8]


def test_without_grass_its_row_is_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(grass, "find", lambda: None)
    with pytest.raises(grass.GrassError, match="not installed"):
        grass.fill(np.zeros((1, 2, 2)), np.ones((1, 2, 2), bool), tmp_path, tmp_path)


def test_a_command_that_fails_or_takes_too_long_is_a_note():
    with pytest.raises(grass.GrassError, match="failed: out of order"):
        grass.run([sys.executable, "-S", "-c", "import sys; sys.exit('out of order')"], 20.0)
    assert grass.complaint("Filling\nERROR: no hole\nCleaning up\n") == "ERROR: no hole"
    with pytest.raises(grass.GrassError, match="stopped after"):
        grass.run([sys.executable, "-S", "-c", "import time; time.sleep(60)"], 0.3)


@pytest.mark.parametrize("per_band", [False, True])
@pytest.mark.parametrize("name", peers.INPAINTERS)
def test_inpainting_peers_fill_what_is_smooth_and_keep_what_is_observed(name, per_band):
    if "tensorly" in name:
        pytest.importorskip("tensorly", reason="tensorly is missing")
    rows, columns = np.mgrid[:32, :32] / 32
    clean = np.stack([rows + band * columns for band in range(1, 6)])
    observed = np.ones(clean.shape, bool)
    observed[:, :, 10:13] = False
    if per_band:
        observed[0, :, 13] = False
    filled = peers.INPAINTERS[name](np.where(observed, clean, 0.0).astype(np.float32), observed)
    np.testing.assert_allclose(filled[observed], clean[observed], atol=1e-6)
    assert np.abs(filled - clean).max() < 0.1


@pytest.mark.parametrize("name", peers.DENOISERS)
def test_denoising_peers_remove_noise(name):
    if "tensorly" in name:
        pytest.importorskip("tensorly", reason="tensorly is missing")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32] / 32
    clean = np.stack([rows + band * columns / 8 for band in range(1, 9)]).astype(np.float32)
    noisy = (clean + rng.normal(0.0, protocols.SIGMA, clean.shape)).astype(np.float32)
    problem = protocols.Problem("denoise", clean, noisy, np.ones(clean.shape, bool))
    image = methods.simple(name, problem)
    assert np.std(image - clean) < 0.7 * np.std(noisy - clean)


def test_scenes_are_scored_on_hidden_pixels_and_ssim_needs_a_whole_truth():
    truth = np.random.default_rng(0).random((2, 24, 24))
    scored = np.zeros(truth.shape, bool)
    scored[:, 5:9] = True
    fill = np.where(scored, truth + 0.1, truth)
    known = gap_scenes.scores(fill, truth, ~scored, scored)
    assert known["mpsnr"] == pytest.approx(20.0, abs=0.2) and known["sam"] > 0 and 0 < known["ssim"] < 1
    observed = ~scored
    observed[:, 0] = False
    assert gap_scenes.scores(fill, truth, observed, scored)["ssim"] is None


def test_peak_memory_is_counted_anew():
    if common.PeakMemory().mib() is None:
        pytest.skip("the system does not tell a process's peak memory")
    memory = common.PeakMemory()
    before = memory.mib()
    block = np.ones(8_000_000)  # more than the allocator may take from what was freed before (32 MiB)
    del block
    assert memory.mib() - before == pytest.approx(61, abs=10)
    assert common.PeakMemory().mib() < before + 20


def test_crops_are_counted_by_whether_the_mixture_wins():
    """One piece won, one as good, one lost by less than 1 %, one by more."""
    rows = [
        {"crop": name, "rmse": {"best": best, "kriging": 1.0, "linear": 2.0}}
        for name, best in (("A", 0.9), ("B", 1.005), ("C", 1.1), ("D", 1.0))
    ]
    text = crops.page({"rows": rows, **MACHINE})
    assert "Of 4 pieces," in text
    assert "on 1, as good on 1, and more than 1 % worse on 1; the worst ratio is 1.100" in text
    assert "| A | kriging | 1.0000 | 0.9000 | 0.900 |" in text


def test_networks_are_compared_with_the_papers_of_the_same_task():
    rows = [
        {"task": task, "network": name, "iterations": iterations, "milliseconds": {"1": time, "2": 0.9 * time}}
        for task, name, iterations, time in (
            ("inpaint", "paper_2d", 1000, 400.0),
            ("inpaint", "lean", 100, 50.0),
            ("denoise", "paper_2d", 10, 80.0),
            ("denoise", "lean", 20, 20.0),
        )
    ]
    text = networks.page({"rows": rows, **MACHINE})
    assert "| inpaint | `lean` | 50 / 45 | 2.14 | 8.0 | 100 | 4 | 80.0 |" in text
    assert "| denoise | `lean` | 20 / 18 | 0.86 | 4.0 | 20 | 0 | 2.0 |" in text


def test_the_first_iterations_of_a_fit_are_not_timed(monkeypatch):
    clock = iter([0.0, 50.0, 60.0, 70.0, 80.0, 90.0, 92.0, 94.0, 96.0])
    monkeypatch.setattr(networks.time, "monotonic", lambda: next(clock))

    def fit(iterations, progress):
        assert all(progress.update((number + 1) / iterations) for number in range(iterations))

    assert networks.seconds(fit, 9) == 2.0


def test_fits_side_by_side_count_by_what_they_do_together():
    begun = threading.Barrier(2, timeout=10)

    def fit(iterations, progress):
        begun.wait()
        for number in range(iterations):
            time.sleep(0.02)
            progress.update((number + 1) / iterations)

    assert networks.seconds(fit, 12, 2) == pytest.approx(0.01, rel=0.3)
