"""What every measurement needs: records, brokers, processes that end, and settings."""

import asyncio
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Final

from benchmarks.work import REGISTRY
from models.month import Month
from models.words import Category
from streams.demo.simulate import Plan, submissions
from streams.demo.tansu import Tansu
from streams.intake.replay import replay
from streams.log.topics import SUBMISSIONS, core_topics, ensure_topics
from streams.log.writer import LogWriter
from streams.registry import load_calendar, load_registry
from streams.settings import Settings
from tests.support.brokers import KAFKA_NEEDS, Broker, Kafka
from tests.support.needs import lacking

MONTH: Final = Month(2022, 6)
_LICENCES: Final = 116_746
"""Licence records of the month at scale 1."""


class BenchError(RuntimeError):
    """A measurement cannot be made; the message says why."""


class BenchSettings(Settings):
    """Settings whose submissions were written once, under a name of their own."""

    written: str = ""

    def topic(self, name: str) -> str:
        """The full name of a topic."""
        return self.written if self.written and name == SUBMISSIONS else super().topic(name)


def write_licences(file: Path, records: int) -> None:
    """Write licence submissions as the simulator makes them, one a line."""
    plan = Plan.of_month(MONTH, max(1.02 * records / _LICENCES, 0.01))
    licences = replace(
        plan, cells=tuple(cell for cell in plan.cells if cell.category is Category.LICENCE)
    )
    with file.open("wb") as out:
        for line in islice(submissions(licences, load_calendar(REGISTRY)), records):
            out.write(line.rstrip(b"\n") + b"\n")


def write_month(file: Path, scale: float) -> int:
    """Write the month's submissions of every category, one a line; how many there are."""
    written = 0
    with file.open("wb") as out:
        for line in submissions(Plan.of_month(MONTH, scale), load_calendar(REGISTRY)):
            out.write(line.rstrip(b"\n") + b"\n")
            written += 1
    return written


def licences_of(file: Path) -> list[bytes]:
    """The submissions that were written to a file."""
    return file.read_bytes().splitlines()


async def fill(settings: Settings, file: Path) -> int:
    """Make the topics and append the file's submissions; how many there are."""
    await ensure_topics(settings, core_topics(settings))
    writer = LogWriter(settings)
    await writer.start()
    try:
        with file.open("rb") as lines:
            appended = await replay(
                (line.rstrip(b"\n") for line in lines),
                file.name,
                settings,
                load_registry(settings.registry),
                writer,
            )
    finally:
        await writer.stop()
    return appended.total()


# -- an earlier state of the project ---------------------------------------------------------------


BASELINE: Final = "c122d96"
"""The commit that today's worker is compared with."""


@contextmanager
def baseline() -> Iterator[Path]:
    """The project as it was then, in a folder that is gone afterwards.

    Raises:
        BenchError: this copy of the project does not hold that commit.
    """
    archive = subprocess.run(
        ["git", "archive", "--format=tar", BASELINE],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if archive.returncode != 0:
        told = archive.stderr.decode(errors="replace").strip()
        raise BenchError(f"this clone does not hold it ({told})")
    with tempfile.TemporaryDirectory(prefix="xinshao-bench-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
            packed.extractall(folder, filter="data")
        yield Path(folder)


# -- brokers --------------------------------------------------------------------------------------


@contextmanager
def serving(name: str) -> Iterator[Broker]:
    """A broker, "kafka" or "tansu", which is gone afterwards with all that it held.

    Raises:
        BenchError: this machine lacks a program that it needs.
    """
    with tempfile.TemporaryDirectory(prefix="xinshao-bench-broker-") as folder:
        broker: Broker
        if name == "tansu":
            broker = Tansu()
        elif missing := lacking(*KAFKA_NEEDS):
            raise BenchError(missing)
        else:
            broker = Kafka(Path(folder) / "kafka")
        asyncio.run(broker.start())
        try:
            yield broker
        finally:
            asyncio.run(broker.stop())


def idempotence(broker: Broker) -> bool:
    """Whether the broker knows idempotent producers."""
    return not isinstance(broker, Tansu)


# -- processes ------------------------------------------------------------------------------------


class Child:
    """A process of this package, read line by line."""

    def __init__(self, process: subprocess.Popen[str], printed: IO[str], errors: Path) -> None:
        self.process = process
        self.printed = printed
        self._errors = errors

    def line(self) -> str:
        """The next line.

        Raises:
            BenchError: it ended instead.
        """
        line = self.printed.readline()
        if not line:
            raise self.ended()
        return line

    def ended(self) -> BenchError:
        """Why it ended, as far as it said."""
        told = self._errors.read_text(encoding="utf-8", errors="replace")[-3000:]
        return BenchError(f"{' '.join(map(str, self.process.args[2:4]))} ended:\n{told}")  # type: ignore[index]


@contextmanager
def child(
    module: str,
    *arguments: object,
    python: str | Path = sys.executable,
    project: Path | None = None,
) -> Iterator[Child]:
    """Run a module of this package in a process of its own; it is gone afterwards.

    `project` is the folder of another state of the project, to run that one's.
    """
    with tempfile.TemporaryDirectory(prefix="xinshao-bench-child-") as folder:
        told = Path(folder) / "stderr"
        with told.open("wb") as errors:
            process = subprocess.Popen(
                [str(python), "-m", f"benchmarks.{module}", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=project,
                start_new_session=True,
            )
        try:
            if process.stdout is None:
                raise BenchError("no pipe")
            yield Child(process, process.stdout, told)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
