"""Qwen3-VL: captions with times, vectors, re-ranking, grounding and answers, on one GPU (or a CPU, for the brave).

Without torch: prompts.py and prompts/*.md (what is asked), showing.py (clips -> turns), parsing.py (answers -> values),
chat.py (captioner, grounder, answerer over anything that writes) and reranker.py (over anything that says yes or no).
With torch: loading.py, engine.py and plain.py run the models, local.py joins the two, profile.py is what is registered.
"""
