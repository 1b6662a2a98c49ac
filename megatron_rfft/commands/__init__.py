"""The command ``rfft``: one module a verb, listed in ``table.py``. Nothing else in the package imports from here."""
