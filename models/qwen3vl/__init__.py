"""Qwen3-VL: captions with times, vectors, re-ranking, grounding and answers, on one GPU (or a CPU, for the brave)."""
