"""Workers as processes, and supervisors that start them again, as in operation."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
from pydantic import SecretStr

from streams.settings import Settings
from tests.support.oracle import until

_ROOT = Path(__file__).parents[2]


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment that a worker reads."""
    given = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if value is not None
    }
    return {f"XINSHAO_{name.upper()}": value for name, value in given.items()}


class WorkerProcess:
    """`tests/support/worker_process.py`, from `start` to `close`; what it logs is kept."""

    def __init__(self, settings: Settings, *arguments: str) -> None:
        self._settings = settings
        self._arguments = arguments
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        self.running = subprocess.Popen(
            [sys.executable, "-m", "tests.support.worker_process", *self._arguments],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **environment(self._settings)},
        )

    @property
    def log(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    async def ended(self) -> int:
        """Wait for the process to end by itself; its exit code."""
        await until(lambda: self.running.poll() is not None)
        return int(self.running.returncode)

    async def paused(self) -> None:
        """Wait until the process has stopped itself."""
        process = psutil.Process(self.running.pid)
        await until(lambda: process.status() == psutil.STATUS_STOPPED)

    async def stop(self) -> None:
        """Ask it to stop, which it must do in good order."""
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.log[-3000:]

    def close(self) -> None:
        if self.running.poll() is None:
            self.running.kill()
            self.running.wait()
        self._log.close()


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
