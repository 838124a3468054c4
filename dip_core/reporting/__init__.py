"""Reports: change here the page, the tables and the plots."""
