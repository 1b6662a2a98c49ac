"""From rules to a report as stages of one file: their tasks, run as jobs of Slurm or as processes of this machine."""
