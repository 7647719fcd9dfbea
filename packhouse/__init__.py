"""Git storage that programs drive."""

__version__ = "0.2.0"

RELEASE = 2
"""Which release this is, counted from the first: by it a database tells which ones may open it."""
