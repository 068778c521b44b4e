"""The database as Django sees it: see `base`."""
