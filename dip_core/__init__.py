"""The restoration core of Deep Prior: runs alone from a shell, never imports QGIS.

The modules `job`, `events` and `errors` are the contract with the QGIS side. They use the standard
library only and run on Python 3.9, so that QGIS may import them; everything else here needs the
engine's own Python environment (torch, numpy, rasterio, scikit-image).
"""

__version__ = "0.1.0"
