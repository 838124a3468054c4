"""Detection of striped and dead lines: change here what counts as a stripe."""
