"""Figures that the papers print: Table 1 of DHP, Tables 1 and 2 of CASCADE.

DHP's ``MPSNR`` of inpainting is the PSNR of the whole cube: only then does the input have its 17.75 dB. The other
columns are the paper's MPSNR, MSSIM and SAM.
"""

from __future__ import annotations

# name: (PSNR, SSIM, SAM in degrees)
INPAINTING = {
    "do nothing": (17.75, 0.722, None),
    "Mumford-Shah": (24.74, 0.890, 5.429),
    "TV-H-1": (27.68, 0.911, 3.855),
    "FastHyIn": (28.08, 0.920, 3.032),
    "Deep HS prior 3D": (35.34, 0.966, 1.133),
    "Deep HS prior 2D": (37.54, 0.979, 0.856),
}
DENOISING = {
    "HSSNR": (16.31, 0.605, 24.73),
    "LRTA": (23.17, 0.849, 9.122),
    "BM4D": (22.57, 0.812, 9.761),
    "LRMR": (24.31, 0.879, 10.46),
    "HSID-CNN (trained)": (25.29, 0.901, 8.406),
    "Deep HS prior 3D": (23.24, 0.852, 9.910),
    "Deep HS prior 2D": (25.05, 0.889, 8.606),
}
SUPERRESOLUTION = {
    "nearest": (29.98, 0.921, 4.786),
    "bicubic": (31.10, 0.937, 4.592),
    "msiSRCNN (trained)": (32.48, 0.957, 4.617),
    "3B-SRCNN (trained)": (32.69, 0.960, 4.661),
    "3D-FCNN (trained)": (33.92, 0.969, 4.140),
    "Deep HS prior 3D": (32.31, 0.945, 4.692),
    "Deep HS prior 2D": (33.67, 0.967, 4.211),
}

# CASCADE by data set, method and factor: (PSNR, SAM in degrees).
CASCADE = {
    ("CAVE", "bicubic"): {2: (31.73, 6.00), 3: (31.58, 5.99), 4: (30.14, 6.36)},
    ("CAVE", "cascade"): {2: (38.24, 1.56), 3: (37.86, 1.73), 4: (37.14, 1.85)},
    ("Harvard", "bicubic"): {2: (36.67, 3.09), 3: (36.52, 3.10), 4: (36.39, 3.17)},
    ("Harvard", "cascade"): {2: (40.13, 1.14), 3: (39.68, 1.21), 4: (39.14, 1.35)},
}
