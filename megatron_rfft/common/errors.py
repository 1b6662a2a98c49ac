"""Exceptions whose message is all that a user needs: commands print it on one line."""


class UserError(ValueError):
    """Bad input: the message names the value and the fix. Commands print it on one line and exit with 2."""


class RankError(UserError):
    """Bad input that one process of several may meet alone: each one that does prints it."""


class CommandFailed(RuntimeError):
    """What was asked for is right but could not be done: the message says what to do now. Commands exit with 1."""
