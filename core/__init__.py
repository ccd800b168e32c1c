"""The code that the book's chapters run; imports neither framework."""

__version__ = "0.1.0"
