"""Runs random jobs on random rasters, cancels and kills some of them, and checks the promises to the user."""
