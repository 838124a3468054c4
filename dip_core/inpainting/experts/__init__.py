"""One gap estimator per file, listed in `registry`: add a gap expert here."""
