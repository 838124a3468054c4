"""What the tests of super-resolution share: fine scenes, their coarse versions, and models; no tests here."""

from __future__ import annotations

import numpy as np
import torch
from core_scenes import landscape

from dip_core.imaging.psf import Psf
from dip_core.superresolution.cascade import Cascade
from dip_core.superresolution.enlarge import enlarge_window
from dip_core.superresolution.model_file import ModelCard, write_model
from dip_core.superresolution.options import EnlargeOptions, ScaleStatistics
from dip_core.superresolution.scale_statistics import fit_scale_statistics


def scene(bands=3, rows=40, columns=48):
    """A textured cube with edges, which bicubic interpolation alone blurs; float32 in about 20..230."""
    values = landscape(bands, rows, columns).astype(np.float32)
    values[:, rows // 3 : rows // 2, columns // 4 : columns // 2] += 60
    return values


def fields(bands=3, rows=96, columns=112, seed=0):
    """Fields with straight edges in all directions, and weak texture."""
    rng = np.random.default_rng(seed)
    down, right = np.mgrid[:rows, :columns].astype(float)
    labels = np.zeros((rows, columns))
    for _ in range(12):
        angle, position = rng.uniform(0, np.pi), rng.uniform(0.2, 0.8)
        side = np.cos(angle) * (down - position * rows) + np.sin(angle) * (right - position * columns)
        labels += rng.normal() * (side > 0)
    smooth = landscape(bands, rows, columns)
    return smooth / smooth.std() + labels * rng.uniform(0.5, 2, (bands, 1, 1)) + rng.normal(0, 0.02, smooth.shape)


def downsampled(fine, psf: Psf):
    """The coarse image and its observed pixels: all."""
    coarse = psf.operator(fine.shape[1:]).apply(fine)
    return coarse, np.ones(coarse.shape, bool)


def enlarged(names, values, observed, psf: Psf, statistics: ScaleStatistics | None = None):
    """The estimates of experts by name; statistics are fitted to the image itself unless given."""
    if statistics is None:
        statistics = fit_scale_statistics([(values, observed)], psf)
    low, high = values.min(axis=(1, 2)), values.max(axis=(1, 2))
    options = EnlargeOptions(psf, low, high, threads=1, statistics=statistics)
    return dict(zip(names, enlarge_window(names, values, observed, options)))


def rmse(image, truth):
    """Root mean square difference."""
    return float(np.sqrt(np.mean((image - truth) ** 2)))


def random_model(folder, bands, factor=2, scale=230.0, wavelengths=None):
    """The path of a model file with a cascade of random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Cascade(bands)
        for stage in network.stages:  # the last layers of the stages start at 0
            torch.nn.init.normal_(stage[4].weight, std=0.01)
    tensors = {key: value.numpy() for key, value in network.state_dict().items()}
    path = str(folder / "m.safetensors")
    write_model(path, tensors, ModelCard(bands, factor, wavelengths or (None,) * bands, scale))
    return path
