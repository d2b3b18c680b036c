"""The demo: a published month through the embedded stack, compared with what was published."""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

from models.month import Month
from models.tally import NOTHING, Duty, Tally
from streams.demo.simulate import Plan, PlannedCell
from streams.errors import OperatorError
from streams.settings import Settings
from streams.worker import Worker

_LOOK_EVERY: Final = 0.2
_PATIENCE: Final = 60.0
"""How long the tallies may take until they are complete after the last commit."""


class DemoError(OperatorError):
    """The demo cannot go on; the message says why, in Chinese."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A cell whose live figures are not those of the plan."""

    cell: PlannedCell
    live: Tally


def mismatches(plan: Plan, tallies: dict[Duty, Tally]) -> list[Mismatch]:
    """Every cell of the plan whose reported, compliant or timely records are other than planned."""
    found = []
    for cell in plan.cells:
        live = tallies.get(Duty(cell.unit, cell.category), NOTHING)
        if (live.reported, live.compliant, live.timely) != (
            cell.reported,
            cell.compliant,
            cell.timely,
        ):
            found.append(Mismatch(cell, live))
    return found


def month_of(worker: Worker, month: Month) -> dict[Duty, Tally]:
    """The tallies of a month as the worker has them now."""
    return worker.rollup.between(month.first, month.last)


async def run(
    worker: Worker,
    settings: Settings,
    plan: Plan,
    seed: int,
    show: Callable[[int, int], None],
) -> list[Mismatch]:
    """Feed the plan's month and wait until all of it is judged; where the figures differ.

    `show` is called with the submissions sent and judged so far.

    Raises:
        DemoError: the feeding process failed.
    """
    sent = 0
    partitions: Counter[int] | None = None
    async with _feeding(plan, settings, seed) as told:
        async for said in told:
            sent = said["sent"]
            show(sent, _judged(worker))
            if "partitions" in said:
                partitions = Counter({int(n): count for n, count in said["partitions"].items()})
    if partitions is None:
        raise DemoError("模拟报送的进程意外退出，没有送完全部数据")
    while not _committed(worker, partitions):
        show(sent, _judged(worker))
        await asyncio.sleep(_LOOK_EVERY)
    show(sent, sent)
    return await settled(worker, plan)


async def settled(worker: Worker, plan: Plan) -> list[Mismatch]:
    """Wait until the figures are those of the plan; where they still differ after a while."""
    patience = time.monotonic() + _PATIENCE
    while True:
        found = mismatches(plan, month_of(worker, plan.month))
        if not found or time.monotonic() > patience:
            return found
        await asyncio.sleep(_LOOK_EVERY)


def _judged(worker: Worker) -> int:
    return sum(progress.done or 0 for progress in worker.judging.progress())


def _committed(worker: Worker, partitions: Counter[int]) -> bool:
    committed = {each.partition: each.committed or 0 for each in worker.judging.progress()}
    return all(committed.get(number, 0) >= count for number, count in partitions.items())


@asynccontextmanager
async def _feeding(
    plan: Plan, settings: Settings, seed: int
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The feeding process, and what it says line by line; it is gone afterwards."""
    told = {
        "XINSHAO_BROKERS": settings.brokers,
        "XINSHAO_KAFKA_SECURITY": settings.kafka_security,
        "XINSHAO_IDEMPOTENCE": str(settings.idempotence),
        "XINSHAO_NAMESPACE": settings.namespace,
        "XINSHAO_PARTITIONS": str(settings.partitions),
        "XINSHAO_IDENTITY_KEY": settings.identity_key.get_secret_value(),
        "XINSHAO_REGISTRY": str(settings.registry),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.demo.feed", str(plan.month)),
        *("--scale", str(plan.scale), "--seed", str(seed)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **told},
        # Ctrl-C is for the demo, which then ends its feeder.
        start_new_session=True,
    )

    async def lines(printed: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
        async for line in printed:
            yield orjson.loads(line)

    try:
        yield lines(cast("asyncio.StreamReader", process.stdout))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
