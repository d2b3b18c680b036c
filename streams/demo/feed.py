"""A month's simulated submissions, replayed into a broker: the demo's other process.

    python -m streams.demo.feed 2022-06 --scale 1 --seed 0

The settings come from the environment. Prints one JSON object a line: {"sent": n} from time to
time, and at the end {"sent": n, "partitions": {partition: n}}.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator

import orjson

from models.month import Month
from streams.demo.simulate import Plan, submissions
from streams.intake.replay import replay
from streams.log.writer import LogWriter
from streams.registry import load_calendar, load_registry
from streams.settings import Settings, load_settings

_TELL_EVERY = 5000


def tell(**said: object) -> None:
    """Print a line of progress."""
    sys.stdout.buffer.write(orjson.dumps(said, option=orjson.OPT_NON_STR_KEYS) + b"\n")
    sys.stdout.buffer.flush()


def told(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The same lines, reporting how many have passed."""
    for sent, line in enumerate(lines):
        if sent % _TELL_EVERY == 0:
            tell(sent=sent)
        yield line


async def feed(month: Month, scale: float, seed: int, settings: Settings) -> None:
    """Simulate a month and append it to submissions."""
    key = settings.identity_key.get_secret_value().encode()
    registry = load_registry(settings.registry, key)
    lines = submissions(Plan.of_month(month, scale), load_calendar(settings.registry), seed)
    writer = LogWriter(settings)
    await writer.start()
    try:
        appended = await replay(told(lines), f"simulate-{month}", settings, registry, writer)
    finally:
        await writer.stop()
    tell(sent=appended.total(), partitions=dict(appended))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("month", type=Month.of)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(feed(given.month, given.scale, given.seed, load_settings()))
