"""What all verbs print to, and how they fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from streams.errors import InputError

FINDINGS: Final = 1
"""Exit code of a run that found something to correct."""

INTERRUPTED: Final = 130
"""Exit code of a run that Ctrl-C ended."""

WIDTH: Final = 160
"""Columns of tables that are not printed to a terminal."""


class Failure(InputError):
    """What was asked of a verb cannot be done: an option or an argument is wrong."""


class Terminal(Console):
    """A console that raises on a closed pipe as any other writer does."""

    def on_broken_pipe(self) -> None:
        """Leave the error to `main`."""
        raise BrokenPipeError


def stdout() -> Terminal:
    """Where results go."""
    terminal = Terminal(highlight=False, emoji=False, markup=False)
    if not terminal.is_terminal:
        terminal.width = WIDTH
    return terminal


def stderr() -> Terminal:
    """Where everything else goes."""
    return Terminal(stderr=True, highlight=False, emoji=False, markup=False)


@contextmanager
def progress(terminal: Console | None, title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar, moved by calling what is given with 0 to 1; nothing where there is no screen."""
    if terminal is None or not terminal.is_terminal:
        yield lambda _done: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = (title, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done: bar.update(task, completed=done)
