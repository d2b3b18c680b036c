"""Processes: the program, workers, and supervisors that start them again, as in operation."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import psutil
from pydantic import SecretStr

from streams.settings import Settings

XINSHAO: Final = (sys.executable, "-c", "from streams.cli import main; main()")
"""The program, to be run as a process."""

_ROOT = Path(__file__).parents[2]


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment that a worker reads."""
    given = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if value is not None
    }
    return {f"XINSHAO_{name.upper()}": value for name, value in given.items()}


async def until(
    condition: Callable[[], Awaitable[Any] | Any], within: float = 60.0, every: float = 0.05
) -> None:
    """Wait for a condition; the limit only ends a test that has failed."""
    deadline = time.monotonic() + within
    while True:
        met = condition()
        if isinstance(met, Awaitable):
            met = await met
        if met:
            return
        assert time.monotonic() < deadline, "the awaited condition never came"
        await asyncio.sleep(every)


class ModuleProcess:
    """A module of the tests as a process, from `start` to `close`; what it prints is kept."""

    def __init__(self, module: str, *arguments: str, **given: str) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **given}
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        self.running = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            env=self._environment,
        )

    @property
    def output(self) -> bytes:
        """What it printed so far."""
        return os.pread(self._output.fileno(), 1 << 24, 0)

    @property
    def log(self) -> str:
        """All that it said so far."""
        errors = os.pread(self._errors.fileno(), 1 << 24, 0)
        return (self.output + errors).decode(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    async def ended(self) -> int:
        """Wait for the process to end by itself; its exit code."""
        await until(lambda: self.running.poll() is not None)
        return int(self.running.returncode)

    def close(self) -> None:
        if self.running.poll() is None:
            self.running.kill()
            self.running.wait()
        self._output.close()
        self._errors.close()


class WorkerProcess(ModuleProcess):
    """`tests/support/worker_process.py` with these settings."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        super().__init__("tests.support.worker_process", *arguments, **environment(settings))

    async def paused(self) -> None:
        """Wait until the process has stopped itself."""
        process = psutil.Process(self.running.pid)
        await until(lambda: process.status() == psutil.STATUS_STOPPED)

    async def stop(self) -> None:
        """Ask it to stop, which it must do in good order."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.log[-3000:]


@contextlib.asynccontextmanager
async def worker_process(settings: Settings, *arguments: str) -> AsyncIterator[WorkerProcess]:
    process = WorkerProcess(settings, *arguments)
    try:
        yield process
    finally:
        process.close()


@contextlib.asynccontextmanager
async def supervised(settings: Settings) -> AsyncIterator[WorkerProcess]:
    """A worker that is started again whenever it ends."""

    async def supervise(process: WorkerProcess) -> None:
        while True:
            if process.running.poll() is not None:
                process.start()
            await asyncio.sleep(0.05)

    async with worker_process(settings) as process:
        supervising = asyncio.create_task(supervise(process))
        try:
            yield process
        finally:
            supervising.cancel()
            await asyncio.gather(supervising, return_exceptions=True)
