"""The gap experts, one per file, and their registry: add an estimator of missing pixels here."""
