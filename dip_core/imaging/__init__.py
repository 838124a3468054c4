"""Observation model and image statistics, shared by all methods: masks, blur and decimation, noise, subspaces, PCA."""
