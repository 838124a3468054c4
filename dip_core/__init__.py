"""The engine of Deep Prior: runs in its own Python process or from a shell, and never imports QGIS.

The modules `job`, `job_fields`, `events` and `errors` are the contract with the QGIS side. They use the standard
library only and run on Python 3.9, so that QGIS can import them. Everything else needs the engine's Python environment
(torch, NumPy, rasterio, scikit-image).
"""

__version__ = "0.1.0"
