"""Deliberate defects, for seeing that the proofs bite: `./bursar soak --defect NAME`.

A defect breaks a module as it is imported (`sitecustomize` in this directory, which only a broken
installation's roles have on their path), or the database after it was migrated, or both. Nothing of Bursar
knows of it. A new one is a line in `registry.DEFECTS` and a function in `broken`.
"""
