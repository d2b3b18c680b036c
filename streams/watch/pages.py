"""The worker's pages: metrics for Prometheus, health for what restarts it."""

import orjson
from faust import App, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from streams.log.source import RecordSource


class Health:
    """Distinguishes alive, ready and stuck.

    alive: the event loop runs, or nothing would answer. ready: every partition held is restored
    and served. stuck: work has been waiting for longer than `stuck_after` seconds without a
    commit; a restart may help, and an alert should report it.
    """

    def __init__(self, sources: tuple[RecordSource, ...], stuck_after: float) -> None:
        self._sources = sources
        self._stuck_after = stuck_after

    def restoring(self) -> list[str]:
        """The partitions whose state is still being rebuilt."""
        return [
            f"{source.topic}[{progress.partition}]"
            for source in self._sources
            for progress in source.progress()
            if progress.restoring
        ]

    def stuck(self) -> list[str]:
        """The partitions that do not move although work is waiting."""
        return [
            f"{source.topic}[{progress.partition}]"
            for source in self._sources
            for progress in source.progress()
            if progress.stuck_seconds > self._stuck_after
        ]


def add_pages(app: App, registry: CollectorRegistry, health: Health) -> None:
    """Serve /metrics, /health/alive, /health/ready and /health/progress."""

    def answer(page: web.View, faults: list[str]) -> web.Response:
        return page.bytes(
            orjson.dumps({"ok": not faults, "partitions": faults}),
            content_type="application/json",
            status=503 if faults else 200,
        )

    @app.page("/metrics")
    async def metrics(page: web.View, _request: web.Request) -> web.Response:
        return page.bytes(
            generate_latest(registry),
            content_type=None,
            headers={"Content-Type": CONTENT_TYPE_LATEST},
        )

    @app.page("/health/alive")
    async def alive(page: web.View, _request: web.Request) -> web.Response:
        return answer(page, [])

    @app.page("/health/ready")
    async def ready(page: web.View, _request: web.Request) -> web.Response:
        return answer(page, health.restoring())

    @app.page("/health/progress")
    async def progress(page: web.View, _request: web.Request) -> web.Response:
        return answer(page, health.stuck())
