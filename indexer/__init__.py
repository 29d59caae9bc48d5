"""Media in, rows out."""
