"""What every other package stands on: user errors, atomic files, manifests, command-line habits, progress."""
