"""The journal of a file that is being submitted: each batch's outcome, so that it can go on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from streams.client.outcome import Outcome


class Journal:
    """A file: how often all was submitted before, then a line a batch that was answered for.

    Attributes:
        run: How often; 0 where nothing is known.
        done: The numbers of the batches that are in it.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal, or begin it; a line that was not written to its end does not count."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self.run = 0
        self.done: set[int] = set()
        with path.open("a+b") as file:
            file.seek(0)
            whole = 0
            for line in file:
                if line.endswith(b"\n"):
                    if whole:
                        self.done.add(orjson.loads(line)[0])
                    else:
                        self.run = orjson.loads(line)
                    whole += len(line)
            file.truncate(whole)
            if not whole:
                file.write(b"0\n")

    def add(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Keep what became of a batch."""
        line = orjson.dumps([number, [*map(tuple, outcomes)]], option=orjson.OPT_APPEND_NEWLINE)
        with self._path.open("ab") as file:
            file.write(line)
        self.done.add(number)

    def outcomes(self) -> Iterator[Outcome]:
        """Every row's outcome, in the order of the batches."""
        with self._path.open("rb") as file:
            next(file)
            for line in file:
                for outcome in orjson.loads(line)[1]:
                    yield Outcome(*outcome)

    def finish(self) -> None:
        """All is submitted and reported: if the file is submitted again, that is meant."""
        new = self._path.with_suffix(".new")
        new.write_bytes(b"%d\n" % (self.run + 1))
        new.replace(self._path)
