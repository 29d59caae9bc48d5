"""Pixels and words to vectors, captions and scores: one backend a folder, heavy imports inside functions."""
