"""Rebuilds the text tower: `python -m models.lite.training --help`. Nothing here is imported at run time."""
