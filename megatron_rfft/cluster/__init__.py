"""Running on a cluster: what a run needs and takes, before it is submitted."""
