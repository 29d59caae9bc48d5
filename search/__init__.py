"""Query in, moments out."""
