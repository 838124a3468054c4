"""The QGIS side: one Processing algorithm a file, and the task that runs the worker.

Imports qgis and osgeo where needed; never torch, rasterio or scikit-image, which live in the worker.
"""
