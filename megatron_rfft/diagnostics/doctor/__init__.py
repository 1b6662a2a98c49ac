"""What is installed on this machine, what of it works, and what to do about the rest."""
