"""The worker, assembled: sources, agents, metrics and pages in one Faust app."""

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import faust
from faust.types import StreamT
from mode import CrashingSupervisor

from models.calendar import Calendar
from models.registry import Platform, Registry, Via
from streams.clock import Clock, DataClock, SystemClock
from streams.console.page import add_console
from streams.counting.rollup import Rollup
from streams.counting.sink import FETCH_BYTES, STORED, Sink, sink_group
from streams.errors import OperatorError
from streams.intake.ingress import Ingress
from streams.judging.judge import Judge
from streams.judging.state import StateStore
from streams.log.connection import MECHANISM, connection
from streams.log.source import Batch, RecordSource
from streams.log.topics import (
    REJECTS,
    SUBMISSIONS,
    TALLIES,
    core_topics,
    ensure_topics,
    ingress_topic,
    require_groups,
)
from streams.log.wire import Reject
from streams.log.writer import LogWriter
from streams.meters import SinkMetrics, WorkerMetrics
from streams.registry import load_calendar, load_registry
from streams.settings import Settings
from streams.store.client import Store
from streams.upkeep.access import worker_groups
from streams.upkeep.migrate import migrate
from streams.watch.collectors import SourceCollector, StateCollector, UnitCollector
from streams.watch.pages import Health, add_pages

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class WorkerError(OperatorError):
    """The worker cannot start or go on; the message says why, in Chinese."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A running worker."""

    app: faust.App
    judging: RecordSource
    rollup: Rollup
    clock: Clock
    sink: Sink | None

    async def stored(self) -> None:
        """Wait until all that is in the log now is in the store, where there is one."""
        if self.sink is not None:
            await self.sink.drained()

    async def during(self, job: Coroutine[None, None, Result]) -> Result:
        """Work until the job is done; what it returns or raises.

        Raises:
            WorkerError: the worker failed first; nothing it had not finished is committed.
        """
        task = asyncio.ensure_future(job)
        ended = asyncio.ensure_future(self.app.wait())
        try:
            await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                reason = self.app.crash_reason
                raise WorkerError(
                    f"工作进程因故障停止：{type(reason).__name__}：{reason}"
                ) from reason
            return task.result()
        finally:
            for each in (task, ended):
                each.cancel()
            await asyncio.gather(task, ended, return_exceptions=True)


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    """Run a worker: topics are made where missing, then it joins its groups and works.

    Raises:
        WorkerError: the port is taken.
        LogUnavailableError, LogError: the broker cannot be reached, or refuses its user.
        TopicError: a topic is not as the promise needs it.
        RegistryError: the registry or the calendar cannot be read.
        StateError: the folder of the checkpoints cannot be used.
    """
    registry = load_registry(settings.registry, settings.identity_key.get_secret_value().encode())
    calendar = load_calendar(settings.registry)
    platforms = [platform for platform in registry.platforms if platform.via is Via.KAFKA]
    _require_free(settings)
    await ensure_topics(
        settings,
        (
            *core_topics(settings),
            *(ingress_topic(settings, platform.id) for platform in platforms),
        ),
    )
    if settings.kafka_security != "plaintext":
        await require_groups(settings, worker_groups(settings, registry))
    writer = LogWriter(settings)
    await writer.start()
    try:
        store = StateStore(settings.data / "state")
        try:
            worker = _assemble(settings, registry, calendar, platforms, writer, store)
            await worker.app.start()
            try:
                if worker.sink is not None:
                    worker.sink.begin()
                yield worker
            finally:
                await worker.app.stop()
                if worker.sink is not None:
                    await worker.sink.close()
        finally:
            store.close()
    finally:
        await writer.stop()


def _assemble(
    settings: Settings,
    registry: Registry,
    calendar: Calendar,
    platforms: list[Platform],
    writer: LogWriter,
    store: StateStore,
) -> Worker:
    app = _app(settings)
    connected = connection(settings)
    clock: Clock = DataClock() if settings.clock == "data" else SystemClock()
    metrics = WorkerMetrics(settings.reject_limit, settings.reject_window)
    judge = Judge(settings, registry, calendar, store, writer, clock, metrics)
    rollup = Rollup(clock)

    judging = RecordSource(
        app,
        settings.topic(SUBMISSIONS),
        group=settings.group("judge"),
        connection=connected,
        batch_records=settings.batch_records,
        commit_every=settings.commit_every,
        session_timeout=settings.session_timeout,
        on_assigned=judge.assigned,
        on_revoked=judge.revoked,
        before_commit=judge.publish,
    )
    # Two at a time: one is judged while the other waits for the broker.
    _serve(app, judging, "judge", judge.judge, concurrency=2)

    tallying = RecordSource(
        app,
        settings.topic(TALLIES),
        group=settings.group("rollup"),
        connection=connected,
        start="beginning",
        session_timeout=settings.session_timeout,
        on_revoked=rollup.revoked,
    )

    async def fold(batch: Batch) -> None:
        rollup.fold(batch)

    _serve(app, tallying, "rollup", fold)

    admitting = []
    for platform in platforms:
        ingress = Ingress(settings, registry, platform, writer)
        source = RecordSource(
            app,
            ingress_topic(settings, platform.id).name,
            group=settings.group(f"admit-{platform.id}"),
            connection=connected,
            session_timeout=settings.session_timeout,
            commit_every=settings.commit_every,
            on_assigned=ingress.assigned,
        )
        _serve(app, source, f"admit-{platform.id}", ingress.let_in)
        admitting.append(source)

    sink = None
    sinking = []
    if settings.clickhouse:
        sink = Sink(settings, writer, SinkMetrics(metrics.registry), partial(_store, settings))
        for name, rows_of in STORED.items():
            source = RecordSource(
                app,
                settings.topic(name),
                group=settings.group(sink_group(name)),
                connection=connected,
                batch_records=settings.sink_rows,
                session_timeout=settings.session_timeout,
                commit_every=settings.commit_every,
                partition_fetch_bytes=FETCH_BYTES,
                fetch_bytes=2 * FETCH_BYTES,
                # A batch of each partition may be in one insert.
                in_flight=settings.partitions,
            )
            store_batch = partial(sink.store, rows_of)
            _serve(app, source, sink_group(name), store_batch, concurrency=settings.partitions)
            sinking.append(source)

    # Of low volume, and only watched: an ordinary Faust topic.
    @app.agent(app.topic(settings.topic(REJECTS), value_serializer="raw"), name="rejects")
    async def watch_rejects(rejects: StreamT[bytes]) -> None:
        async for event in rejects.events():
            headers = event.message.headers
            items = headers.items() if isinstance(headers, dict) else headers
            reject = Reject.decode(event.message.value or b"", items)
            if reject is not None and not reject.redriven:
                metrics.rejected(reject.rule)

    sources = (judging, tallying, *admitting)
    metrics.registry.register(UnitCollector(rollup, calendar, clock))
    metrics.registry.register(SourceCollector((*sources, *sinking)))
    metrics.registry.register(StateCollector(store))
    # A missing store is no reason to restart the judge.
    add_pages(app, metrics.registry, Health(sources, settings.stuck_after))
    add_console(app, rollup, clock)
    return Worker(app, judging, rollup, clock, sink)


def _store(settings: Settings) -> Store:
    if settings.migrate:
        migrate(settings)
    return Store.open(settings)


def _serve(
    app: faust.App,
    source: RecordSource,
    name: str,
    work: Callable[[Batch], Awaitable[None]],
    concurrency: int = 1,
) -> None:
    @app.agent(source.channel, name=name, concurrency=concurrency)
    async def agent(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with source.processing(batch):
                await work(batch)


def _app(settings: Settings) -> faust.App:
    return faust.App(
        settings.group("worker"),
        broker=[f"kafka://{broker}" for broker in settings.brokers.split(",")],
        broker_credentials=_credentials(settings),
        store="memory://",
        datadir=settings.data / "faust",
        autodiscover=False,
        web_enabled=True,
        web_bind=settings.host,
        web_host=settings.host,
        web_port=settings.port,
        topic_allow_declare=False,
        topic_disable_leader=True,
        # A failed agent ends the worker; it does not skip a batch.
        agent_supervisor=CrashingSupervisor,
        broker_session_timeout=settings.session_timeout,
        broker_heartbeat_interval=settings.session_timeout / 10,
        broker_request_timeout=max(2 * settings.session_timeout, 10.0),
        worker_redirect_stdouts=False,
    )


def _credentials(settings: Settings) -> faust.SASLCredentials | None:
    if settings.kafka_security == "plaintext":
        return None
    return faust.SASLCredentials(
        username=settings.kafka_user,
        password=settings.kafka_password.get_secret_value(),
        mechanism=MECHANISM,
        ssl_context=connection(settings).get("ssl_context"),
    )


def calm_garbage_collector() -> None:
    """Collect rarely: for a process whose whole work is a worker.

    What was loaded stays for good, and a record leaves no cycles behind; looking for them after
    every few hundred objects takes a tenth of the time (docs/benchmarks.md).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def _require_free(settings: Settings) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise WorkerError(
                f"网页端口 {settings.host}:{settings.port} 不能用（{error.strerror}）："
                "请停掉占用它的程序，或换一个 XINSHAO_PORT"
            ) from error
