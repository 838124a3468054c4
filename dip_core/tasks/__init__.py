"""One file per task id: change here what a job reads, runs and writes."""
