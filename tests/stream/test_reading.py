"""The gateway's read side over HTTP: who may see what, and what is said to whom who may not."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import openpyxl
import pytest
from fastapi import FastAPI, Request, Response

from models.judging import identify, judge
from models.registry import Registry
from models.submission import Position, read_delivery, read_submission
from models.words import SHANGHAI, Category
from streams.clock import Clock, DataClock
from streams.intake.gateway.asking import Desk
from streams.intake.gateway.authentication import caller, services
from streams.intake.gateway.problems import Problem
from streams.intake.gateway.questions import XLSX, router
from streams.intake.keys import Key
from streams.log.wire import encode_verdict
from streams.settings import Settings
from streams.store.answers import Owned, Receipt
from tests.support.clickhouse import migrated
from tests.support.deployed import CALENDAR, REGISTRY
from tests.support.samples import VALID, delivery

NOON = datetime(2022, 6, 10, 12, tzinfo=SHANGHAI)
OURS = Key("1", "ours", frozenset({"江夏区"}), frozenset(Category))
THEIRS = Key("2", "theirs", frozenset({"黄陂区"}), frozenset(Category))
RECEIVED = Receipt(id="just-now", state="received", received_at=NOON)


@dataclass
class Gateway:
    """What the routes need of the gateway."""

    desk: Desk | None
    registry: Registry = REGISTRY
    clock: Clock = field(default_factory=lambda: DataClock(date(2022, 6, 10)))

    def received(self, id_: str) -> Owned | None:
        return Owned(RECEIVED, "ours", "江夏区") if id_ == RECEIVED.id else None


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(clickhouse=f"chdb:{tmp_path_factory.mktemp('reading') / 'store'}")


@pytest.fixture(scope="module")
def desk(settings: Settings) -> Iterator[Desk]:
    """A store with 25 licences of 江夏区, every fifth of them broken."""
    rows = []
    for number in range(25):
        changes: dict[str, Any] = {"XK_WSH": f"武夏行审许〔2022〕{number + 1}号"}
        if number % 5 == 0:
            changes |= {"XK_ZT": "9", "XK_NR": "测试"}
        raw = delivery(
            received_at=NOON + timedelta(minutes=number),
            envelope={"id": f"s{number}", "platform": "ours"},
            **changes,
        )
        submission = read_submission(
            raw, identify(read_delivery(raw), REGISTRY), Position(1, number)
        )
        rows.append(encode_verdict(judge(submission, None, REGISTRY, CALENDAR)))
    with migrated(settings) as store:
        store.insert("verdicts", rows)
        desk = Desk(settings, REGISTRY, CALENDAR)
        yield desk
        desk.close()


@pytest.fixture
def gateway(desk: Desk) -> Gateway:
    return Gateway(desk)


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks with the key named in its header `key`."""
    app = FastAPI()
    app.include_router(router)

    def known(request: Request) -> Key:
        return THEIRS if request.headers.get("key") == "theirs" else OURS

    async def told(_request: Request, problem: Exception) -> Response:
        assert isinstance(problem, Problem)
        return problem.response()

    app.dependency_overrides = {caller: known, services: lambda: gateway}
    app.add_exception_handler(Problem, told)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


THEIR_KEY = {"key": "theirs"}


async def test_a_receipt_is_for_its_platform_and_units_alone(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/submissions/s5")
    assert answer.status_code == 200
    receipt = answer.json()
    assert (receipt["id"], receipt["state"], receipt["superseded"]) == ("s5", "judged", False)
    verdict = receipt["verdict"]
    assert (verdict["unit"], verdict["compliant"], verdict["effect"]) == ("江夏区", False, "new")
    assert verdict["deadline"] == "2022-06-22"
    broken = {(reason["rule"], reason["field"]) for reason in verdict["reasons"]}
    assert broken == {("code-list", "XK_ZT"), ("placeholder", "XK_NR")}
    just_now = await client.get("/v1/submissions/just-now")
    assert just_now.json()["state"] == "received"
    answers = [
        await client.get(f"/v1/submissions/{id_}", headers=THEIR_KEY)
        for id_ in ("s5", "just-now", "nothing", "' OR 1=1 --")
    ]
    # Nothing tells what is there from what is not.
    assert len({each.text for each in answers}) == 1
    assert (answers[0].status_code, answers[0].json()["code"]) == (404, "submission-unknown")


@pytest.mark.parametrize("path", ["summary", "pending"])
@pytest.mark.parametrize("unit", ["江夏区", "无此机构", "市公管办(市政务服务和大数据管理局)"])
async def test_a_unit_is_for_keys_that_speak_for_it_alone(
    client: httpx.AsyncClient, path: str, unit: str
) -> None:
    answer = await client.get(f"/v1/units/{unit}/{path}", headers=THEIR_KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "unit-unknown")


async def test_pending_records_come_by_pages_with_what_is_to_be_mended(
    client: httpx.AsyncClient,
) -> None:
    found, cursor = [], None
    while True:
        given = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/units/江夏区/pending", params=given)).json()
        found += page["records"]
        cursor = page["next"]
        if cursor is None:
            break
    assert {record["submission"] for record in found} == {f"s{n}" for n in range(0, 25, 5)}
    assert len(found) == 5
    for record in found:
        # From the 10th to the 22nd there are eight working days.
        assert (record["deadline"], record["days_left"], record["overdue"]) == (
            "2022-06-22",
            8,
            False,
        )
        assert len(record["reasons"]) == 2


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "cursor=x", "cursor=2022-99-99." + "0" * 32, "cursor=1022-01-01.0"],
)
async def test_a_page_that_cannot_be_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/units/江夏区/pending?{query}")).status_code == 422


@pytest.mark.parametrize("month", ["2022-13", "202206", "0000-01", "9999-12", "2022-06-01", ""])
@pytest.mark.parametrize("path", ["units/江夏区/summary", "ranking"])
async def test_a_month_that_is_none_is_refused(
    client: httpx.AsyncClient, path: str, month: str
) -> None:
    assert (await client.get(f"/v1/{path}", params={"month": month})).status_code == 422


async def test_the_month_is_this_one_unless_told(client: httpx.AsyncClient) -> None:
    for path in ("units/江夏区/summary", "ranking"):
        assert (await client.get(f"/v1/{path}")).json()["month"] == "2022-06"
        told = await client.get(f"/v1/{path}", params={"month": "2099-12"})
        assert (told.status_code, told.json()["month"]) == (200, "2099-12")


async def test_without_a_store_questions_are_answered_with_503(
    client: httpx.AsyncClient, gateway: Gateway, tmp_path: Path
) -> None:
    paths = ("/v1/submissions/s5", "/v1/units/江夏区/summary", "/v1/ranking")
    gateway.desk = None
    for path in paths:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "store-missing")
    away = Settings(clickhouse="http://127.0.0.1:9", data=tmp_path)
    gateway.desk = Desk(away, REGISTRY, CALENDAR)
    for path in paths:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    gateway.desk.close()


async def test_field_lists_and_templates_of_every_category_are_there(
    client: httpx.AsyncClient,
) -> None:
    listed = (await client.get("/v1/schemas")).json()
    assert [each["category"] for each in listed] == [*Category]
    for each in listed:
        schema = await client.get(each["schema_path"])
        assert schema.headers["content-type"] == "application/schema+json"
        record = VALID[Category(each["category"])]
        given = {"unit": "江夏区", "category": each["category"], "record": record}
        assert jsonschema_rs.validator_for(schema.json()).is_valid(given)
        workbook = await client.get(each["template_path"])
        assert workbook.headers["content-type"] == XLSX
        sheet = openpyxl.load_workbook(BytesIO(workbook.content)).worksheets[0]
        assert sheet.title == each["name"]
    for path in ("/v1/schemas/poetry", "/v1/templates/poetry.xlsx"):
        assert (await client.get(path)).status_code == 422
