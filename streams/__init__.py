"""What moves: everything that reads or writes a file, a topic, a table, a socket or a page."""

__version__ = "0.1.0"
"""The program's version, written here alone: its packages and `xinshao --version` take it."""
