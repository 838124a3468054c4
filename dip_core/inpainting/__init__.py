"""Filling of missing pixels: change here gap masks, validation, stacking of experts, uncertainty."""
