"""How fast the gateway takes records in, and the memory that many uploads at once take.

python -m benchmarks.gateway [--broker kafka|tansu] [--records N] [--rounds N] [--json]

`bare` is an aiokafka producer of the same bytes, acknowledged by all replicas. `gateway` is the
program as a platform uses it: a process of its own, batches of NDJSON over HTTP, several of them
at once, each with an Idempotency-Key, and each counted when it is answered.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
import psutil
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.table import Table

from benchmarks.ground import (
    BenchError,
    BenchSettings,
    idempotence,
    licences_of,
    serving,
    write_licences,
)
from benchmarks.work import REGISTRY
from models.words import SHANGHAI
from streams.demo.tansu import free_port
from streams.intake.keys import issue
from streams.log.connection import connection
from streams.log.topics import SUBMISSIONS, core_topics, ensure_topics
from streams.registry import load_registry
from tests.support.brokers import Broker

BATCH: Final = 500
IN_FLIGHT: Final = 8
"""Batches being sent at once."""
UPLOADS: Final = 50
GOAL: Final = 0.4
"""Of the bare producer's speed, at the least (docs/benchmarks.md)."""
PLATFORM: Final = "bench"
_START_WITHIN: Final = 60.0


# -- what is measured against ----------------------------------------------------------------------


async def bare_rate(settings: BenchSettings, lines: Sequence[bytes]) -> float:
    """Records a second of a bare producer."""
    producer = AIOKafkaProducer(
        **connection(settings), acks="all", enable_idempotence=settings.idempotence, linger_ms=5
    )
    topic = settings.topic(SUBMISSIONS)
    await producer.start()
    try:
        begin = time.perf_counter()
        sent = [
            await producer.send(topic, line, partition=number % settings.partitions)
            for number, line in enumerate(lines)
        ]
        await asyncio.gather(*sent)
        return len(lines) / (time.perf_counter() - begin)
    finally:
        await producer.stop()


# -- the gateway ----------------------------------------------------------------------------------


def with_platform(folder: Path) -> Path:
    """The registry, with a platform that speaks for every unit."""
    registry = folder / "registry"
    shutil.copytree(REGISTRY, registry)
    units = ", ".join(unit.id for unit in load_registry(REGISTRY).units)
    with (registry / "platforms.yaml").open("a", encoding="utf-8") as platforms:
        platforms.write(
            f"\n- {{id: {PLATFORM}, name: 测速, owner: 江夏区, speaks_for: [{units}],"
            " since: 2022-06-01, via: api}\n"
        )
    return registry


@asynccontextmanager
async def gateway(
    settings: BenchSettings, folder: Path
) -> AsyncIterator[tuple[httpx.AsyncClient, psutil.Process]]:
    """The gateway in a process of its own, and a client of it that has a key.

    Raises:
        BenchError: it did not start.
    """
    now = datetime.now(SHANGHAI)
    key = issue(settings.keys, load_registry(settings.registry), PLATFORM, now)
    port = free_port()
    told = {
        "XINSHAO_BROKERS": settings.brokers,
        "XINSHAO_NAMESPACE": settings.namespace,
        "XINSHAO_IDEMPOTENCE": str(settings.idempotence),
        "XINSHAO_REGISTRY": str(settings.registry),
        "XINSHAO_DATA": str(settings.data),
        "XINSHAO_GATEWAY_PORT": str(port),
        # The gateway is measured, not the limit it sets to one key.
        "XINSHAO_GATEWAY_RATE": "1000000",
        "XINSHAO_GATEWAY_BURST": "1000000",
    }
    errors = folder / "gateway.log"
    with errors.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - it outlives no measurement
            [sys.executable, "-c", "from streams.cli import main; main()", "gateway"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **told},
            start_new_session=True,
        )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"},
            limits=httpx.Limits(max_connections=UPLOADS),
            timeout=120.0,
        ) as client:
            await _ready(client, process, errors)
            yield client, psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


async def _ready(client: httpx.AsyncClient, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + _START_WITHIN
    while True:
        with suppress(httpx.TransportError):
            if (await client.get("/health/ready")).status_code == 200:
                return
        if process.poll() is not None or time.monotonic() > limit:
            told = await asyncio.to_thread(log.read_text, "utf-8")
            raise BenchError(f"the gateway did not start:\n{told[-3000:]}")
        await asyncio.sleep(0.1)


async def gateway_rate(client: httpx.AsyncClient, lines: Sequence[bytes], in_flight: int) -> float:
    """Records a second that were answered.

    Raises:
        BenchError: a batch was refused.
    """
    bodies = [b"\n".join(lines[at : at + BATCH]) for at in range(0, len(lines), BATCH)]
    slots = asyncio.Semaphore(in_flight)

    async def post(body: bytes) -> None:
        async with slots:
            key = {"Idempotency-Key": uuid.uuid4().hex}
            answer = await client.post("/v1/batches", content=body, headers=key)
        if not answer.is_success:
            raise BenchError(f"the gateway answered {answer.status_code}: {answer.text[:500]}")

    begin = time.perf_counter()
    await asyncio.gather(*map(post, bodies))
    return len(lines) / (time.perf_counter() - begin)


async def upload_mib(
    client: httpx.AsyncClient, process: psutil.Process, lines: Sequence[bytes]
) -> tuple[float, float]:
    """The memory of the gateway before, and the most while all uploads are being sent."""
    before = peak = process.memory_info().rss
    uploads = asyncio.ensure_future(gateway_rate(client, lines, UPLOADS))
    while not uploads.done():
        peak = max(peak, process.memory_info().rss)
        await asyncio.wait([uploads], timeout=0.02)
    uploads.result()
    return before / 2**20, peak / 2**20


async def measure(broker: Broker, folder: Path, records: int, rounds: int) -> dict[str, float]:
    """All of it; records a second, medians, and MiB."""
    file = folder / "licences"
    write_licences(file, records)
    lines = licences_of(file)
    settings = BenchSettings(
        brokers=broker.address,
        namespace=f"g-{uuid.uuid4().hex[:12]}",
        idempotence=idempotence(broker),
        registry=with_platform(folder),
        data=folder / "data",
    )
    settings.data.mkdir()
    await ensure_topics(settings, core_topics(settings))
    bare, whole = [], []
    async with gateway(settings, folder) as (client, process):
        await gateway_rate(client, lines[: 4 * BATCH], IN_FLIGHT)
        before, peak = await upload_mib(client, process, lines[: UPLOADS * BATCH])
        for _ in range(rounds):
            bare.append(await bare_rate(settings, lines))
            whole.append(await gateway_rate(client, lines, IN_FLIGHT))
    return {
        "bare": statistics.median(bare),
        "gateway": statistics.median(whole),
        "ratio": statistics.median(whole) / statistics.median(bare),
        "mib_before_uploads": before,
        "mib_peak_of_uploads": peak,
    }


def goal(ratio: float) -> str:
    """The ratio beside its goal."""
    return f"{ratio:.2f} (≥ {GOAL:g}) {'met' if ratio >= GOAL else 'missed'}"


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--broker", choices=("kafka", "tansu"), default="kafka")
    parser.add_argument("--records", type=int, default=50_000, help="licence records of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    console = Console()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="xinshao-gateway-") as name,
            serving(given.broker) as broker,
        ):
            found = asyncio.run(measure(broker, Path(name), given.records, given.rounds))
    except BenchError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(2)
    if given.json:
        print(json.dumps(found))
        return
    table = Table("", "", title=f"the gateway ({given.broker}), batches of {BATCH}")
    for what, value in found.items():
        table.add_row(what, f"{value:,.0f}" if what != "ratio" else goal(value))
    console.print(table)


if __name__ == "__main__":
    main()
