"""Denoising against peers: the Reno cube with normal noise of 100/255, not clipped and clipped to [0, 1].

The protocol of the hyperspectral denoising papers: each band is scaled to [0, 1] by its own minimum and maximum, and
noise of one level is added to all bands. Rank, patch sizes, passes and rounds of the product's methods were chosen on
Indian Pines (tensorly) or by their theory; Reno's truth is only looked at here. Peers get the true noise level where
they want one; the product's methods estimate it. The paper's own network stands in the table with as many iterations
as are asked for.

Usage: python -m benchmarks.denoise [--case NAME...] [--row NAME...] [--iterations N] [--device NAME] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import common
from dip_core import devices, quality
from dip_core.denoising import Settings, denoise
from dip_core.subspace import find_subspace

SIGMA = 100.0 / 255.0
NOISE_SEED = 2019
SEED = 0
CASES = ("unclipped", "clipped")
COLUMNS = ("method", "MPSNR", "SSIM", "SAM", "seconds")
PEERS_NOTE = "told the true noise level"

Cube = NDArray[np.float64]


def main() -> None:
    """Run the rows asked for and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.denoise", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--case", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--row", nargs="*", default=None, help="rows to run (default: all but paper_2d)")
    parser.add_argument("--iterations", type=int, default=None, help="of paper_2d (default: the paper's 1800)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:N, mps or auto")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder for denoise.json and denoise.md")
    chosen = parser.parse_args()
    threads = common.threads()
    device = str(devices.resolve(chosen.device))
    rows = methods(device, threads, chosen.iterations)
    wanted = chosen.row or [name for name in rows if name != "paper_2d"]
    clean = reno()
    found = _earlier(chosen.out)
    for case in chosen.case:
        machine = common.Machine(device, threads)
        noisy = clean + np.random.default_rng(NOISE_SEED).normal(0.0, SIGMA, clean.shape)
        noisy = noisy.clip(0.0, 1.0) if case == "clipped" else noisy
        scores = found.setdefault(case, {}).setdefault("rows", {})
        for name in wanted:
            start = time.monotonic()
            estimate = rows[name](noisy)
            seconds = time.monotonic() - start
            result = quality.compare(estimate, clean, peak=1.0)
            scores[name] = {"mpsnr": result.mpsnr, "ssim": result.mssim, "sam": result.sam, "seconds": seconds}
            print(case, name, json.dumps({key: round(value, 3) for key, value in scores[name].items()}), flush=True)
        found[case]["rows"] = {name: scores[name] for name in rows if name in scores}
        found[case]["machine"] = machine.describe()
    common.save(chosen.out, "denoise", found, page(found))


def reno() -> Cube:
    """The Reno cube, each band scaled to [0, 1]."""
    cube = common.read_raster(common.data_file("hsi/reno_100b.tif")).astype(np.float64)
    low, high = cube.min(axis=(1, 2), keepdims=True), cube.max(axis=(1, 2), keepdims=True)
    return (cube - low) / (high - low)


def methods(device: str, threads: int, iterations: int | None) -> dict[str, Callable[[Cube], Cube]]:
    """What stands in the table, by name."""

    def ours(method: str, noise: str = "auto") -> Callable[[Cube], Cube]:
        settings = Settings(method, noise, device=device, seed=SEED, threads=threads, iterations=iterations)

        def run(noisy: Cube) -> Cube:
            return denoise(noisy.astype(np.float32), np.ones(noisy.shape, bool), settings)[0].astype(np.float64)

        return run

    return {
        "noisy": lambda noisy: noisy,
        "PCA truncation": principal_components,
        "wavelet (scikit-image)": wavelet,
        "non-local means (scikit-image)": non_local_means,
        "total variation (scikit-image)": total_variation,
        "Tucker low rank (tensorly)": tucker_low_rank,
        "fast": ours("fast"),
        "fast, NOISE gaussian": ours("fast", "gaussian"),
        "deep_prior": ours("deep_prior"),
        "best": ours("best"),
        "paper_2d": ours("paper_2d"),
    }


def principal_components(noisy: Cube) -> Cube:
    """Projection to the automatic spectral subspace."""
    seen = np.ones(noisy.shape, bool)
    space = find_subspace(noisy, seen)
    return space.back(space.project(noisy, seen)[0]).astype(np.float64)


def wavelet(noisy: Cube) -> Cube:
    """BayesShrink, band by band."""
    from skimage.restoration import denoise_wavelet

    return np.stack([denoise_wavelet(band, sigma=SIGMA, method="BayesShrink", rescale_sigma=True) for band in noisy])


def non_local_means(noisy: Cube) -> Cube:
    """Non-local means with scikit-image's own advice for h, band by band."""
    from skimage.restoration import denoise_nl_means

    options = {"patch_size": 7, "patch_distance": 9, "fast_mode": True}
    return np.stack([denoise_nl_means(band, h=0.8 * SIGMA, sigma=SIGMA, **options) for band in noisy])


def total_variation(noisy: Cube) -> Cube:
    """Chambolle's total variation, band by band; the weight is the noise level, as its paper has it to start from."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(band, weight=SIGMA) for band in noisy])


def tucker_low_rank(noisy: Cube) -> Cube:
    """Tucker decomposition: the automatic spectral rank, and a quarter of the spatial ones."""
    import tensorly
    from tensorly.decomposition import tucker

    rank = find_subspace(noisy, np.ones(noisy.shape, bool)).rank
    ranks = [rank, noisy.shape[1] // 4, noisy.shape[2] // 4]
    return np.asarray(tensorly.tucker_to_tensor(tucker(tensorly.tensor(noisy), rank=ranks, n_iter_max=20)))


def page(found: dict) -> str:
    """The tables as Markdown."""
    parts = ["# Denoising against peers\n"]
    for case, record in found.items():
        shown = "clipped to [0, 1]" if case == "clipped" else "not clipped"
        rows = [
            (name, f"{row['mpsnr']:.2f}", f"{row['ssim']:.3f}", f"{row['sam']:.2f}", f"{row['seconds']:.1f}")
            for name, row in record["rows"].items()
        ]
        parts.append(
            f"Reno, 150 x 150 pixels, 100 bands, noise of 100/255 in each band, {shown}; noise seed {NOISE_SEED}, "
            f"method seed {SEED}. scikit-image's methods are {PEERS_NOTE}; the others estimate it. MPSNR in dB "
            f"(peak 1), SAM in degrees. {record.get('machine', '')}\n"
        )
        parts.append(common.markdown_table(COLUMNS, rows))
    return "\n".join(parts)


def _earlier(folder: Path) -> dict:
    """What an earlier run wrote, so that rows can be run one by one."""
    path = folder / "denoise.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


if __name__ == "__main__":
    main()
