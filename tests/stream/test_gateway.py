"""The gateway before broker and worker: what is sent again, whoever dies, and the API document."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from models.tally import NOTHING, Tally
from streams.demo.tansu import Tansu
from streams.intake.gateway import serving
from streams.log.topics import SUBMISSIONS
from streams.settings import Settings
from streams.store.client import Store
from streams.upkeep.migrate import migrate
from streams.worker import working
from tests.support.brokers import Broker, Kafka
from tests.support.house import free_port
from tests.support.oracle import (
    Outcome,
    all_committed,
    another,
    assert_equal_to_oracle,
    gateway_settings,
    read_log,
)
from tests.support.processes import XINSHAO, environment, supervised, until
from tests.support.samples import delivery

NDJSON = {"Content-Type": "application/x-ndjson"}
EXAMPLES = 40
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.allow_header_conformance,
    checks.ignored_auth,
]
RECORDS = 10_000
"""What the client submits while everything dies: 20 batches."""


async def ready(broker: Broker, folder: Path, **given: Any) -> tuple[Settings, dict[str, str]]:
    """Settings of a gateway whose topics are there, and the header that opens it."""
    settings, key = await gateway_settings(broker, folder, **given)
    return settings, {"Authorization": f"Bearer {key}"}


def records(count: int) -> list[bytes]:
    return [
        delivery(XK_WSH=f"武夏行审许〔2022〕{number}号", received_at=None)
        for number in range(1, count + 1)
    ]


def counted(outcome: Outcome) -> Tally:
    total = NOTHING
    for tally in outcome.tallies.values():
        total = total.plus(tally)
    return total


async def in_log(settings: Settings) -> int:
    return sum(map(len, (await read_log(settings, SUBMISSIONS)).values()))


async def test_a_request_sent_again_counts_once_at_whichever_gateway_and_worker(
    tansu: Tansu, tmp_path: Path
) -> None:
    settings, opening = await ready(tansu, tmp_path)
    other = another(settings, gateway_port=free_port(), keys=settings.keys)
    body = b"\n".join(records(60))

    async def send(address: str, **headers: str) -> list[str]:
        async with httpx.AsyncClient(headers={**NDJSON, **opening, **headers}) as http:
            answer = await http.post(f"{address}/v1/batches", content=body)
        assert answer.status_code == 202, answer.text
        return [result["id"] for result in answer.json()["results"]]

    again = {"Idempotency-Key": "june-3"}
    async with serving(settings) as first, serving(other) as second:
        async with working(settings):
            ids = await send(first.address, **again)
            await all_committed(settings)
        # This worker has it from the verdicts alone.
        async with working(another(settings)):
            assert await send(second.address, **again) == ids
            assert await send(first.address, **again) == ids
            await all_committed(settings)
            assert await in_log(settings) == 120
            outcome = counted(await assert_equal_to_oracle(settings))
            assert (outcome.reported, outcome.duplicates) == (60, 0)
            assert not {*await send(first.address)} & {*ids}
            await all_committed(settings)
            outcome = counted(await assert_equal_to_oracle(settings))
            assert (outcome.reported, outcome.duplicates) == (60, 60)


class Gateway:
    """`xinshao gateway`, which is started again whenever it ends."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {**os.environ, **environment(settings)}
        self.starts = 0

    async def supervise(self) -> None:
        try:
            while True:
                self.starts += 1
                self.running = await asyncio.create_subprocess_exec(
                    *(*XINSHAO, "gateway"),
                    env=self._environment,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                await self.running.wait()
        finally:
            self.kill()
            await self.running.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.running.kill()


@contextlib.asynccontextmanager
async def gateways(settings: Settings) -> AsyncIterator[Gateway]:
    gateway = Gateway(settings)
    supervising = asyncio.create_task(gateway.supervise())
    await asyncio.sleep(0)
    try:
        yield gateway
    finally:
        supervising.cancel()
        await asyncio.gather(supervising, return_exceptions=True)


async def test_what_was_accepted_is_in_the_store_once_whoever_dies(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    """`xinshao submit` sends a file while gateway, worker and broker are killed, and itself too."""
    settings, opening = await ready(
        own_kafka,
        tmp_path,
        clickhouse=f"chdb:{tmp_path / 'store'}",
        gateway_rate=2000.0,
        gateway_burst=1000.0,
        gateway_write_timeout=3.0,
    )
    file = tmp_path / "records.ndjson"
    file.write_bytes(b"\n".join(records(RECORDS)))
    told = {"XINSHAO_KEY": opening["Authorization"].removeprefix("Bearer ")}

    async def submitted() -> tuple[int, bytes]:
        client = await asyncio.create_subprocess_exec(
            *(*XINSHAO, "submit", str(file)),
            *("--to", f"http://127.0.0.1:{settings.gateway_port}", "--json"),
            env={**os.environ, **told},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        clients.append(client)
        printed, _ = await client.communicate()
        assert client.returncode is not None
        return client.returncode, printed

    clients: list[asyncio.subprocess.Process] = []

    async def until_done() -> list[dict[str, Any]]:
        """As whoever runs it does: the same command until nothing failed."""
        while True:
            code, printed = await submitted()
            if code in (0, 1):
                return [orjson.loads(line) for line in printed.splitlines()]

    async def restart_the_broker() -> None:
        await own_kafka.kill()
        await own_kafka.start()

    blind = settings.model_copy(update={"clickhouse": ""})  # one process may open a chdb
    async with supervised(settings) as worker, gateways(blind) as gateway:
        submitting = asyncio.create_task(until_done())
        harms: list[Callable[[], Awaitable[None] | None]] = [
            gateway.kill,
            lambda: worker.running.kill(),
            restart_the_broker,
            gateway.kill,
            lambda: clients[-1].kill() if clients[-1].returncode is None else None,
            gateway.kill,
        ]
        for number, harm in enumerate(harms, start=1):
            share = RECORDS * number // (len(harms) + 2)

            async def there(share: int = share) -> bool:
                return await in_log(settings) >= share

            await until(there, within=120)
            harmed = harm()
            if harmed is not None:
                await harmed
        outcomes = await submitting
        await all_committed(settings)
    assert gateway.starts > 3
    ids = [outcome["id"] for outcome in outcomes]
    assert len({*ids}) == RECORDS
    async with working(another(settings)) as last:
        await all_committed(settings)
        await last.stored()
        outcome = counted(await assert_equal_to_oracle(settings))
        assert (outcome.reported, outcome.compliant, outcome.duplicates) == (RECORDS, RECORDS, 0)
        with Store.open(settings) as store:
            stored = store.rows("SELECT submission, count() FROM submissions_now GROUP BY 1")
    assert dict(stored) == dict.fromkeys(ids, 1)


async def test_the_api_keeps_to_its_document(tansu: Tansu, tmp_path: Path) -> None:
    settings, opening = await ready(
        tansu, tmp_path, clickhouse=f"chdb:{tmp_path / 'store'}", gateway_rate=1e6
    )
    migrate(settings)
    async with serving(settings) as gateway:
        await asyncio.to_thread(_hold_to_document, gateway.address, opening)


def _hold_to_document(address: str, opening: dict[str, str]) -> None:
    """What keeps to the document, and what does not, is answered as the document says."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)

        @examples(max_examples=EXAMPLES, deadline=None, suppress_health_check=[*HealthCheck])
        @given(st.one_of(*map(found.ok().as_strategy, GenerationMode)))
        def hold(case: Case[Any]) -> None:
            case.call_and_validate(headers=opening, checks=CHECKS)

        hold()
