"""Reports: the page and its templates, tables, pictures, plots, and what the reports of the restorers share."""
