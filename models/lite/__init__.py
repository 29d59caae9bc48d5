"""The default profile: CLIP's image tower and a text tower trained into its space; any CPU, no torch, no hub."""
