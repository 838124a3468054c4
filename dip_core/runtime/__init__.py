"""How a run executes: change here devices, threads, tiles, executors and progress."""
