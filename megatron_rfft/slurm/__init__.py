"""A job on Slurm: what is asked of Slurm, the checks before it, its processes, and what is read of its failure."""
