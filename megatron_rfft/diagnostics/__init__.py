"""What a machine needs (``doctor``) and what it can do (``checks``), measured on it."""
