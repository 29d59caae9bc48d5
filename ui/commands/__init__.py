"""What the commands do, one module a group; `ui.cli` holds their arguments and nothing else."""
