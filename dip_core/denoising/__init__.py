"""Denoising of cubes: change here the noise-aware model, the denoisers and their validation."""
