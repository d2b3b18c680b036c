"""`xinshao worker`: the long-running part that judges."""

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.settings import Settings


def worker() -> None:
    """Judge, roll up and serve metrics until asked to stop (SIGTERM, SIGINT).

    Exit code 0 after an orderly stop, 2 when the worker could not start or failed: its supervisor
    starts it again.
    """
    from streams.settings import load_settings

    settings = load_settings()
    log_as_json(settings.log_level)
    asyncio.run(_work(settings))


async def _work(settings: "Settings") -> None:
    from streams.worker import calm_garbage_collector, working

    calm_garbage_collector()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with working(settings) as running:
        await running.during(stop.wait())


def log_as_json(level: str) -> None:
    """Send every logger's lines to stderr, one JSON object each, times in UTC."""
    import structlog

    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
