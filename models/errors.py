"""The errors that are foreseen: their base, and the one kind that pure code can meet.

The whole tree is in `streams.errors`, which has the other two kinds.
"""


class XinshaoError(Exception):
    """Any foreseen error. `str()` says in Chinese what is wrong and what to do."""


class InputError(XinshaoError, ValueError):
    """What was given is wrong: the same again will fail again."""
