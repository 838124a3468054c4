"""Observation model and image statistics shared by all methods: change here masks, blur, noise, subspaces, PCA."""
