"""Any checkpoint of the CLIP family: SigLIP 2 (of one resolution, and NaFlex), SigLIP, CLIP; through transformers."""
