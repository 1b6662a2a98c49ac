"""What a run needs and takes, known before it is submitted: memory of every rank, time of a step, layouts ranked."""
