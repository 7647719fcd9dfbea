"""Git storage that programs drive."""

__version__ = "0.3.0"

RELEASE = 3
"""The number of this release, counted from the first. From it a database tells which releases may open it."""
