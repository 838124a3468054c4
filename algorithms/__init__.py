"""The QGIS side: one Processing algorithm per module, their base classes, and the task that runs the worker.

Imports qgis and osgeo; never torch, rasterio or scikit-image, which the worker imports in its own process.
"""
