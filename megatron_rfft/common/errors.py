"""The one exception that means "the user can mend this"."""


class UserError(ValueError):
    """Bad input: the message names the value and the mend. Commands print it on one line and exit with 2."""
