"""Faust apps for the tests, and workers that note what their source hands them."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import faust
from faust.types import StreamT
from mode import CrashingSupervisor

from streams.log.source import Batch, RecordSource
from tests.support.processes import ModuleProcess

SESSION = 2.0
"""Seconds; Tansu holds a join for half of it."""


def group_of(topic: str) -> str:
    """Name the group that reads a topic; each test has its own."""
    return f"judge-{topic}"


def new_app(address: str, app_id: str, control: str, session: float = SESSION) -> faust.App:
    """Build an app that runs on either broker.

    `control` is an existing topic which the app reads: Faust crashes on start when it has no topic
    of its own. Topics are made by the tests, Tansu has no use for Faust's leader topic, and the
    producer is not idempotent (Faust's default), which Tansu would refuse.
    """
    app = faust.App(
        app_id,
        broker=f"kafka://{address}",
        store="memory://",
        datadir=Path.home() / "faust",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        agent_supervisor=CrashingSupervisor,
        broker_session_timeout=session,
        broker_heartbeat_interval=session / 10,
        broker_request_timeout=max(session * 2, 10.0),
        worker_redirect_stdouts=False,
    )

    @app.agent(app.topic(control, value_serializer="raw"), name="control")
    async def read_control(events: StreamT[bytes]) -> None:
        async for _ in events:
            pass

    return app


class Worker:
    """An app with a source and an agent, run inside the test."""

    def __init__(
        self,
        address: str,
        topic: str,
        control: str,
        *,
        concurrency: int = 1,
        session: float = SESSION,
        **options: Any,
    ) -> None:
        self.app = new_app(address, f"app-{control}", control, session)
        self.begun: list[Batch] = []
        self.done: list[Batch] = []
        self.restored: list[int] = []
        self.revoked: list[int] = []
        self.task: asyncio.Task[None] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.source = RecordSource(
            self.app,
            topic,
            group=group_of(topic),
            connection={"bootstrap_servers": address},
            session_timeout=session,
            **{
                "commit_every": 0.0,
                "batch_records": 100,
                "on_assigned": self._restore,
                "on_revoked": self.revoked.append,
                **options,
            },
        )
        self.agent = self.app.agent(self.source.channel, concurrency=concurrency)(self.work)

    async def _restore(self, partition: int) -> None:
        self.restored.append(partition)

    async def work(self, batches: StreamT[Batch]) -> None:
        self.task = asyncio.current_task()
        async for batch in batches:
            async with self.source.processing(batch):
                self.begun.append(batch)
                await self.gate.wait()
                self.done.append(batch)

    def held(self) -> set[int]:
        """The partitions this worker serves."""
        return {each.partition for each in self.source.progress() if not each.restoring}

    def records(self, partition: int | None = None) -> list[tuple[int, int]]:
        """Return (partition, offset) of every record done, in the order it was done."""
        return [
            (batch.partition, record.offset)
            for batch in self.done
            if partition in (None, batch.partition)
            for record in batch.records
        ]

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(60):
            await self.app.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.gate.set()
        async with asyncio.timeout(60):
            await self.app.stop()


class Process(ModuleProcess):
    """A worker in a process of its own (`tests/support/one_worker.py`), known by what it prints."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("tests.support.one_worker", *arguments)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of that name printed so far."""
        # Faust's worker prints as well, now and then without a newline.
        printed = re.findall(rb'\{"event".*?\}', self.output)
        return [event for event in map(json.loads, printed) if event["event"] == name]


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[Process]:
    running = Process(*arguments)
    try:
        yield running
    finally:
        running.close()
