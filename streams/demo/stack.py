"""The embedded stack: broker, worker and gateway in one command, with what pip installed alone."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from models.registry import Platform, Via
from models.words import SHANGHAI, UnitKind
from streams.demo.tansu import Tansu
from streams.intake.gateway import GatewayError, serving
from streams.intake.keys import issue
from streams.log.writer import LogWriter
from streams.registry import load_registry
from streams.settings import Settings, load_settings
from streams.store.client import CHDB, CHDB_FOLDER, Store
from streams.upkeep.migrate import migrate
from streams.upkeep.restore import recover
from streams.worker import Worker, working

SESSION_TIMEOUT = 4.0
"""Seconds. Tansu holds every join for half of it, and on one machine a short one is enough."""


@asynccontextmanager
async def embedded(
    data: Path, port: int | None = None, *, keep: bool = False
) -> AsyncIterator[tuple[Worker, Settings]]:
    """Start the stack and stop it at the end, leaving no process behind.

    The broker keeps nothing over a restart, so the checkpoints in `data` are those of a log that is
    gone: they are removed. The store stays in `data`; at the end it has all that was judged.

    Args:
        data: the folder of everything.
        port: of the pages.
        keep: go on from what the store has; else it begins empty, and what it had is gone.

    Raises:
        BrokerUnavailableError: the broker cannot run here.
        RecoverError, StoreError: the store cannot be used.
        WorkerError, StateError, RegistryError, SettingsError: as the worker says.
    """
    broker = Tansu()
    await broker.start()
    try:
        settings = load_settings(
            brokers=broker.address,
            kafka_security="plaintext",
            idempotence=False,
            session_timeout=SESSION_TIMEOUT,
            data=data / "worker",
            clock="data",
            clickhouse=f"{CHDB}{data / CHDB_FOLDER}",
            migrate=True,
            **({} if port is None else {"port": port}),
        )
        shutil.rmtree(settings.data / "state", ignore_errors=True)
        if keep:
            await _recover(settings)
        else:
            shutil.rmtree(data / CHDB_FOLDER, ignore_errors=True)
        async with working(settings) as worker:
            try:
                yield worker, settings
            finally:
                if not worker.app.crashed:
                    await worker.during(worker.stored())
    finally:
        await broker.stop()


class Welcome(NamedTuple):
    """The gateway's address, and a key to try it with: which platform has it."""

    address: str
    key: str
    platform: Platform


@asynccontextmanager
async def welcoming(worker: Worker, settings: Settings) -> AsyncIterator[Welcome]:
    """Run a gateway in the process of the stack; earlier keys to it open no more.

    Raises:
        GatewayError: its port is taken, or no district has a platform to try it with.
    """
    registry = load_registry(settings.registry)
    districts = {unit.id for unit in registry.units if unit.kind is UnitKind.DISTRICT}
    of_districts = (
        each for each in registry.platforms if each.via is Via.API and each.owner in districts
    )
    platform = next(of_districts, None)
    if platform is None:
        raise GatewayError("登记册（platforms.yaml）里没有哪个区以接口（api）对接，演示不含网关")
    settings.keys.unlink(missing_ok=True)
    key = issue(settings.keys, registry, platform.id, datetime.now(SHANGHAI))
    async with serving(settings, worker.clock) as gateway:
        yield Welcome(gateway.address, key, platform)


async def _recover(settings: Settings) -> None:
    writer = LogWriter(settings)
    await writer.start()
    try:
        migrate(settings)
        with Store.open(settings) as store:
            await recover(settings, store, writer)
    finally:
        await writer.stop()
