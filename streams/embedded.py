"""The embedded stack: broker and worker in one command, with nothing but what pip installed."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from streams.settings import Settings, load_settings
from streams.tansu import Tansu
from streams.worker import Worker, working

SESSION_TIMEOUT = 4.0
"""Seconds. Tansu holds every join for half of it, and one machine needs no patience."""


@asynccontextmanager
async def embedded(data: Path, port: int | None = None) -> AsyncIterator[tuple[Worker, Settings]]:
    """Start the stack and stop it at the end, leaving no process behind.

    The broker keeps nothing over a restart, so the checkpoints in `data` are those of a log that is
    gone: they are removed.

    Raises:
        BrokerUnavailableError: the broker cannot run here.
        WorkerError, StateError, RegistryError, SettingsError: as the worker says.
    """
    broker = Tansu()
    await broker.start()
    try:
        settings = load_settings(
            brokers=broker.address,
            idempotence=False,
            session_timeout=SESSION_TIMEOUT,
            data=data / "worker",
            clock="data",
            **({} if port is None else {"port": port}),
        )
        shutil.rmtree(settings.data / "state", ignore_errors=True)
        async with working(settings) as worker:
            yield worker, settings
    finally:
        await broker.stop()
