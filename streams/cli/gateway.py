"""`xinshao gateway`: the long-running part that takes submissions in."""

import asyncio
import signal
from typing import TYPE_CHECKING

from streams.cli.worker import log_as_json

if TYPE_CHECKING:
    from streams.settings import Settings


def gateway() -> None:
    """Take submissions in and answer questions until asked to stop (SIGTERM, SIGINT).

    Requests in flight are finished first. Exit code 0 after an orderly stop, 2 when the gateway
    could not start or failed: its supervisor starts it again.
    """
    from streams.settings import load_settings

    settings = load_settings()
    log_as_json(settings.log_level)
    asyncio.run(_serve(settings))


async def _serve(settings: "Settings") -> None:
    from streams.intake.gateway import serving
    from streams.worker import calm_garbage_collector

    calm_garbage_collector()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as running:
        await running.during(stop)
