"""Reading and writing rasters: change here how bands, metadata, guides and output files are handled."""
