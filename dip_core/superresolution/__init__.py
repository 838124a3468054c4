"""Enlarging of rasters: change here the experts, guide fusion, validation and the trained cascade."""
