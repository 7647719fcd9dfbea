"""Measurements of the whole server: `make bench`, or `python -m bench SECTION…`."""
