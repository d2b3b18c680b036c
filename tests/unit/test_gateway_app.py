"""The gateway over HTTP without a broker: who may deliver what, what is said, what is written."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import httpx
import openpyxl
import orjson
import pytest
from fastapi import FastAPI

from models.judging import identify, judge
from models.registry import Registry
from models.submission import Origin, read_delivery, read_submission
from models.words import SHANGHAI, Category, Op
from streams.clock import DataClock
from streams.files.template import template
from streams.intake.audit import Audit
from streams.intake.gateway import create_app
from streams.intake.gateway.problems import MEDIA_TYPE, ProblemBody
from streams.intake.gateway.questions import XLSX
from streams.intake.gateway.services import Services
from streams.intake.keys import KeyRing, issue
from streams.log.connection import LogError
from streams.log.topics import partition_of
from streams.log.writer import LogWriter, Message
from streams.settings import Settings
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.samples import delivery

NOW = datetime(2022, 6, 10, 12, tzinfo=SHANGHAI)
PLATFORM, UNIT, FOREIGN = "caidian-dashuju", "蔡甸区", "黄陂区"
JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
PERSONAL = "11010519491231002X"


@dataclass
class Log:
    """What was written; it may hang or refuse."""

    written: list[tuple[int, Message]] = field(default_factory=list)
    held: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def write_all(self, _topic: str, keyed: Iterable[tuple[int, Message]]) -> None:
        if self.error:
            raise self.error
        if self.held:
            self.reached.set()
            await self.held.wait()
        self.written += keyed

    @property
    def submissions(self) -> list[dict[str, Any]]:
        return [orjson.loads(message.value or b"") for _, message in self.written]


@dataclass
class Gateway:
    context: Services
    log: Log
    app: FastAPI
    http: httpx.AsyncClient

    async def post(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(f"/v1/{path}", content=body, headers={**NDJSON, **given})


@asynccontextmanager
async def running(folder: Path, **given: Any) -> AsyncIterator[Gateway]:
    settings = Settings(data=folder, **given)
    registry: Registry = REGISTRY
    if not settings.keys.exists():
        (folder / "key").write_text(issue(settings.keys, registry, PLATFORM, NOW))
    log = Log()
    context = Services(
        settings,
        registry,
        CALENDAR,
        DataClock(NOW.date()),
        cast("LogWriter", log),
        KeyRing(settings.keys, registry),
        Audit(settings.audit, lambda: NOW),
        None,
        lambda: NOW,
    )
    app = create_app(context)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://gateway",
        headers={"Authorization": f"Bearer {(folder / 'key').read_text()}"},
    ) as http:
        yield Gateway(context, log, app, http)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path) as gateway:
        yield gateway


def record(number: int = 1, unit: str = UNIT, **given: Any) -> bytes:
    return delivery(unit=unit, received_at=None, XK_WSH=f"武蔡行审许〔2022〕{number}号", **given)


def told(answer: httpx.Response) -> ProblemBody:
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = ProblemBody.model_validate_json(answer.content)
    assert problem.status == answer.status_code
    return problem


async def test_a_record_is_written_as_the_gateway_settles_it(gateway: Gateway) -> None:
    claims = {"id": "mine", "platform": "another", "origin": ["x", 1], "extra": "kept"}
    sent = delivery(
        unit=UNIT, received_at=datetime(2020, 1, 1, tzinfo=SHANGHAI), envelope=claims, XK_NR=""
    )
    answer = await gateway.post("submissions", sent, **JSON)
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == f"/v1/submissions/{body['id']}"
    ((partition, message),) = gateway.log.written
    assert message.key == identify(read_delivery(sent), REGISTRY)
    written = read_submission(message.value or b"", message.key)
    assert (written.received_at, written.platform, written.origin) == (NOW, PLATFORM, None)
    assert written.id == body["id"] != "mine"
    assert orjson.loads(message.value or b"")["extra"] == "kept"
    assert partition == partition_of(message.key, gateway.context.settings.partitions)
    expected = judge(written, None, REGISTRY, CALENDAR).as_json()
    assert body["verdict"] == {key: expected[key] for key in expected if key != "effect"}
    assert [reason["field"] for reason in body["verdict"]["reasons"]] == ["XK_NR"]
    # Until the store knows it.
    owned = gateway.context.received(body["id"])
    assert owned is not None
    assert (owned.platform, owned.unit, owned.receipt.state) == (PLATFORM, UNIT, "received")
    assert gateway.context.received(body["id"] + "1") is None


@pytest.mark.parametrize("array", [False, True], ids=["lines", "array"])
async def test_a_refused_record_holds_up_no_other(gateway: Gateway, *, array: bool) -> None:
    sent = [
        record(1),
        record(2, FOREIGN),
        b'{"unit": 7}',
        record(3, envelope={"category": "poetry"}),
        record(4, "无此机构"),
        record(5, op=Op.WITHDRAW),
        record(6),
    ]
    if array:
        answer = await gateway.post("batches", b"[%s]" % b" ,\n".join(sent), **JSON)
    else:
        answer = await gateway.post("batches", b"\xef\xbb\xbf" + b"\r\n\n".join(sent))
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["refused"]) == (3, 4)
    assert [result["index"] for result in body["results"]] == list(range(7))
    problems = [result["problem"] and result["problem"]["code"] for result in body["results"]]
    assert problems == [None, "scope", "unit", "category", "unit", None, None]
    ids = [result["id"] for result in body["results"] if result["status"] == "accepted"]
    assert sorted(each["id"] for each in gateway.log.submissions) == sorted(ids)
    # A withdrawal is judged by the judge alone, who knows what is to be withdrawn.
    assert [result["verdict"] is None for result in body["results"]] == [False, *[True] * 5, False]


NO_KEY = {"Authorization": ""}
WRONG_KEY = {"Authorization": f"Bearer xs_{'0' * 12}_{'0' * 64}"}
GZIP = {"Content-Encoding": "gzip"}
FAULTS: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "no key": ("batches", b"{}", NO_KEY, 401, "key"),
    "wrong key": ("batches", b"{}", WRONG_KEY, 401, "key"),
    "scope": ("submissions", record(1, FOREIGN), JSON, 403, "scope"),
    "no record": ("submissions", b'{"unit": "%s"}' % UNIT.encode(), JSON, 422, "category"),
    "deep": ("submissions", b"[" * 100_000, JSON, 422, "json"),
    "wrong encoding": ("submissions", '{"unit":"蔡甸区"}'.encode("gbk"), JSON, 422, "json"),
    "type": ("submissions", b"{}", {"Content-Type": "text/xml"}, 415, "content-type"),
    "type of a batch": ("batches", b"{}", {"Content-Type": ""}, 415, "content-type"),
    "encoding": ("batches", b"{}", {"Content-Encoding": "br"}, 415, "content-encoding"),
    "no gzip": ("batches", b"{}", GZIP, 400, "gzip"),
    "half a gzip": ("batches", gzip.compress(b"{}")[:-4], GZIP, 400, "gzip"),
    "bomb": ("batches", gzip.compress(bytes(9 << 20)), GZIP, 413, "too-large"),
    "too large": ("batches", bytes(2 << 20), {}, 413, "too-large"),
    "too many": ("batches", b"{}\n" * 51, {}, 413, "too-many"),
    "nothing": ("batches", b" \n\n", {}, 422, "empty"),
    "no array": ("batches", b"{}", JSON, 400, "json"),
    "half an array": ("batches", b'[{"unit": "', JSON, 400, "json"),
    "after the array": ("batches", b"[{}] {}", JSON, 400, "json"),
    "idempotency key": ("batches", b"{}", {"Idempotency-Key": "a b"}, 422, "parameter"),
    "category": ("files?category=poetry", b"", {"Content-Type": "text/csv"}, 422, "parameter"),
    "no workbook": ("files", b"PK" + PERSONAL.encode(), {"Content-Type": XLSX}, 422, "file"),
    "no table": ("files", b"a,b\n1,2\n", {"Content-Type": "text/csv"}, 422, "file"),
    "no path": ("poetry", b"", {}, 404, "path"),
    "no method": ("ranking", b"", {}, 405, "method"),
}  # fmt: skip


async def test_a_fault_is_told_as_a_problem_and_writes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, gateway_body_bytes=1 << 20, gateway_records=50) as gateway:
        paths = gateway.app.openapi()["paths"]
        for name, (path, body, headers, status, code) in FAULTS.items():
            answer = await gateway.post(path, body, **headers)
            assert (name, answer.status_code, told(answer).code) == (name, status, code)
            assert PERSONAL not in answer.text
            assert gateway.log.written == []
            assert gateway.context.room.held == 0
            documented = paths.get(f"/v1/{path.partition('?')[0]}", {})
            if "post" in documented:
                assert str(status) in documented["post"]["responses"]


async def test_a_request_is_done_once_under_its_key(gateway: Gateway, tmp_path: Path) -> None:
    body = b"\n".join((record(1), record(2), b"{"))
    first = await gateway.post("batches", body, Idempotency_Key="k")
    again = await gateway.post("batches", body, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert len(gateway.log.written) == 2
    other = await gateway.post("batches", record(3), Idempotency_Key="k")
    assert (other.status_code, told(other).code) == (422, "idempotency-key-reused")
    # Another gateway writes it again, so that the judge knows it as the same.
    async with running(tmp_path) as second:
        elsewhere = await second.post("batches", body, Idempotency_Key="k")
        assert elsewhere.content == first.content
        assert second.log.submissions == gateway.log.submissions
        origins = [each["origin"] for each in second.log.submissions]
        assert [offset for _, offset in origins] == [0, 1]
        ((log, _), _) = origins
        assert log.startswith(f"request/{PLATFORM}/")
        # Nothing new passes for a repeat: what was sent is a part of the origin.
        changed = await second.post("batches", body + b" \n" + record(3), Idempotency_Key="new")
        assert changed.status_code == 202
        later = {Origin(*each["origin"]).log for each in second.log.submissions[2:]}
        assert log not in later
    without = await gateway.post("batches", body)
    assert without.json()["results"][0]["id"] != first.json()["results"][0]["id"]


async def test_what_the_key_may_only_now_is_written_when_it_is_repeated(
    gateway: Gateway,
) -> None:
    settings = gateway.context.settings
    body = record(1) + b"\n" + delivery(Category.PENALTY, unit=UNIT)
    narrow = frozenset({Category.LICENCE})
    token = issue(settings.keys, REGISTRY, PLATFORM, NOW, categories=narrow)
    gateway.context.keys = KeyRing(settings.keys, REGISTRY)
    first = await gateway.post(
        "batches", body, Idempotency_Key="k", Authorization=f"Bearer {token}"
    )
    assert (first.json()["accepted"], first.json()["refused"]) == (1, 1)
    repeated = await gateway.post("batches", body, Idempotency_Key="k")
    assert repeated.json()["accepted"] == 2
    written = {each["id"] for each in gateway.log.submissions}
    assert {result["id"] for result in repeated.json()["results"]} == written


async def test_a_request_at_work_is_not_begun_again(gateway: Gateway) -> None:
    gateway.log.held = asyncio.Event()
    first = asyncio.create_task(gateway.post("batches", record(), Idempotency_Key="k"))
    await gateway.log.reached.wait()
    second = await gateway.post("batches", record(), Idempotency_Key="k")
    assert (second.status_code, told(second).code) == (409, "in-progress")
    assert int(second.headers["Retry-After"]) > 0
    gateway.log.held.set()
    assert (await first).status_code == 202


@pytest.mark.parametrize("refusing", [False, True])
async def test_what_the_broker_does_not_acknowledge_is_not_accepted(
    tmp_path: Path, *, refusing: bool
) -> None:
    async with running(tmp_path, gateway_write_timeout=0.01) as gateway:
        if refusing:
            gateway.log.error = LogError("消息服务拒绝写入")
        else:
            gateway.log.held = asyncio.Event()
        answer = await gateway.post("batches", record(), Idempotency_Key="k")
        assert (answer.status_code, told(answer).code) == (503, "broker-away")
        assert int(answer.headers["Retry-After"]) > 0
        assert gateway.context.failed.is_set() is refusing
        gateway.log.error = gateway.log.held = None
        assert (await gateway.post("batches", record(), Idempotency_Key="k")).status_code == 202


async def test_too_fast_and_too_much_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    async with running(
        tmp_path, gateway_rate=1, gateway_burst=2, gateway_held_bytes=4096
    ) as gateway:
        assert (await gateway.post("batches", record(1) + b"\n" + record(2))).status_code == 202
        fast = await gateway.post("submissions", record(3), **JSON)
        assert (fast.status_code, told(fast).code) == (429, "rate")
        assert int(fast.headers["Retry-After"]) >= 1
        much = await gateway.post("batches", bytes(5000))
        assert (much.status_code, told(much).code) == (503, "busy")
        assert int(much.headers["Retry-After"]) >= 1
        assert gateway.context.room.held == 0


async def test_a_fault_of_the_gateways_own_tells_nothing_of_what_was_sent(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_given: object) -> None:
        raise RuntimeError(PERSONAL)

    monkeypatch.setattr("streams.intake.gateway.reception.examine", fail)
    with caplog.at_level(logging.DEBUG):
        answer = await gateway.post("batches", record())
    assert (answer.status_code, told(answer).code) == (500, "internal")
    assert "RuntimeError" in caplog.text
    assert PERSONAL not in answer.text + caplog.text


@pytest.mark.parametrize(("ending", "status"), [("cut", 400), ("slow", 408)])
async def test_a_body_that_does_not_end_does_nothing(
    tmp_path: Path, ending: str, status: int
) -> None:
    async with running(tmp_path, gateway_body_timeout=0.01) as gateway:
        messages = [{"type": "http.request", "body": record() + b"\n", "more_body": True}]
        if ending == "cut":
            messages.append({"type": "http.disconnect"})
        answered: list[Any] = []

        async def receive() -> Any:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop(0)

        async def send(message: Any) -> None:
            answered.append(message)

        headers = {**gateway.http.headers, **NDJSON}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/batches",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        await gateway.app(scope, receive, send)
        assert answered[0]["status"] == status
        assert gateway.log.written == []
        assert gateway.context.room.held == 0


async def test_a_file_is_answered_row_by_row(gateway: Gateway) -> None:
    sheet = openpyxl.load_workbook(BytesIO(template(Category.LICENCE)))
    table = sheet.worksheets[0]
    values = orjson.loads(record())["record"]
    header = next(
        number
        for number, row in enumerate(table.iter_rows(values_only=True), 1)
        if any("XK_WSH" in str(cell) for cell in row)
    )
    codes = [
        next((code for code in values if code in str(cell.value)), None) for cell in table[header]
    ]
    for row, number in ((header + 2, "1"), (header + 3, "")):
        for column, code in enumerate(codes, 1):
            if code:
                table.cell(row, column, values[code] if code != "XK_WSH" else f"{number}")
    filled = BytesIO()
    sheet.save(filled)
    answer = await gateway.post(
        f"files?unit={UNIT}&category=licence", filled.getvalue(), Content_Type=XLSX
    )
    assert answer.status_code == 202, answer.text
    results = answer.json()["results"]
    assert len(results) == answer.json()["accepted"] == len(gateway.log.written) > 0
    csv = "报送机构,XK_WSH,XK_XDR_MC\n,1,甲\n黄陂区,2,乙\n".encode("gbk")
    answer = await gateway.post(f"files?unit={UNIT}&category=licence", csv, Content_Type="text/csv")
    body = answer.json()
    assert [(result["row"], result["status"]) for result in body["results"]] == [
        (2, "accepted"),
        (3, "refused"),
    ]
    assert "GB18030" in body["notes"][0]


async def test_uses_and_refusals_of_keys_are_audited(gateway: Gateway) -> None:
    await gateway.post("batches", record() + b"\n{")
    secret = "0" * 64
    await gateway.post("batches", b"", Authorization=f"Bearer xs_{'1' * 12}_{secret}")
    await gateway.http.get("/v1/schemas")
    settings = gateway.context.settings
    kept = settings.audit.with_stem(f"{settings.audit.stem}-{NOW.date()}").read_text()
    used, refused = map(orjson.loads, kept.splitlines())
    assert (used["event"], used["platform"], used["route"]) == ("used", PLATFORM, "/v1/batches")
    assert (used["outcome"], used["accepted"], used["refused"]) == ("202", 1, 1)
    assert (refused["event"], refused["key"], refused["outcome"]) == (
        "refused",
        "1" * 12,
        "unknown",
    )
    assert secret not in kept
    assert (await gateway.http.get("/metrics")).text.count('outcome="accepted"} 1.0') == 1


async def test_a_request_is_known_for_a_day(gateway: Gateway) -> None:
    requests, later = gateway.context.requests, NOW + timedelta(hours=25)
    with requests.once("p", "k", b"1", NOW) as visit:
        visit.received_at = NOW
    with requests.once("p", "k", b"1", NOW) as visit:
        assert visit.received_at == NOW
    with requests.once("p", "k", b"2", later) as visit:
        assert visit.received_at is None
