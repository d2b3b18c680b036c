"""The client against a gateway that fails in every way, and remembers what it was given."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from models.submission import Unreadable, delivery_of, read_delivery
from models.words import Category, Op
from streams.cli import run
from streams.client import (
    Client,
    GatewayUnavailableError,
    Journal,
    Outcome,
    SubmitError,
    batches,
    submit_file,
)
from streams.client.batches import BATCH_BYTES, BATCH_ROWS
from streams.client.delivery import ATTEMPTS
from streams.files import Given, Row
from streams.files.ndjson import wire_form
from tests.support.samples import VALID, delivery, reasons_of, values_of

URL = "https://gateway.example"
KEY = f"xs_{'0' * 12}_{'1' * 64}"

Fault = Callable[[httpx.Request], httpx.Response]


@dataclass
class Gateway:
    """Takes each batch once under its key; `faults` happen first, `lost` answers never arrive."""

    faults: list[Fault] = field(default_factory=list)
    lost: int = 0
    taken: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        assert request.url == f"{URL}/v1/batches"
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        if self.faults:
            return self.faults.pop(0)(request)
        lines = [orjson.loads(line) for line in request.read().splitlines()]
        known = self.taken.setdefault(request.headers["Idempotency-Key"], lines)
        assert known == lines
        if self.lost:
            self.lost -= 1
            raise httpx.ReadError("cut off")
        results = [_result(index, line) for index, line in enumerate(lines)]
        return httpx.Response(202, json={"results": results})

    @property
    def documents(self) -> Counter[str]:
        return Counter(
            line["record"].get("XK_WSH", "") for lines in self.taken.values() for line in lines
        )


def _result(index: int, line: dict[str, Any]) -> dict[str, Any]:
    if line["unit"] == "汉阳区":
        problem = {"code": "scope", "detail": "无权为该机构报送"}
        return {"index": index, "id": None, "verdict": None, "problem": problem}
    if line["op"] == "withdraw":
        return {"index": index, "id": "w", "verdict": None, "problem": None}
    compliant = "XK_NR" in line["record"]
    hint = {"rule": "old", "field": "XK_JDRQ", "message": "核对年份", "severity": "warning"}
    reason = {"rule": "required", "field": "XK_NR", "message": "缺少许可内容", "severity": "error"}
    verdict = {
        "unit": line["unit"],
        "category": line["category"],
        "compliant": compliant,
        "reasons": [hint] if compliant else [reason, hint],
    }
    return {"index": index, "id": f"s{index}", "verdict": verdict, "problem": None}


def answering(status: int, headers: dict[str, str] | None = None, **problem: str) -> Fault:
    return lambda _request: httpx.Response(status, headers=headers, json=problem)


def away(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = Gateway()
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _self, asked: made(asked))
    return made


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have waited."""
    times: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", times.append)
    return times


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(URL, KEY) as opened:
        yield opened


def licence(number: int, **record: Any) -> dict[str, Any]:
    values = VALID[Category.LICENCE] | {"XK_WSH": f"武夏行审许〔2022〕{number}号"} | record
    return {"unit": "江夏区", "category": "licence", "record": values}


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three batches, the last of them a single record."""
    return written(tmp_path / "a.ndjson", [licence(n) for n in range(2 * BATCH_ROWS + 1)])


def of(lines: list[dict[str, Any]]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        yield Row(number, delivery_of(line))


# -- what is sent


@pytest.mark.parametrize("category", Category)
def test_what_is_sent_is_judged_as_what_the_file_says(category: Category) -> None:
    marked = delivery(category, **{next(iter(VALID[category])): "@"})  # type: ignore[arg-type]
    strange = (b'["a list"]', b"{}", b"true", b"null", b"1.5", b"1e22", b'"\\u0000"', b"1" * 40)
    for raw in (
        delivery(category),
        *(marked.replace(b'"@"', value) for value in strange),
        delivery(category, op=Op.WITHDRAW),
    ):
        said = read_delivery(raw)
        sent = read_delivery(wire_form(said))
        for name in ("unit", "schema", "op", "reason"):
            assert getattr(sent, name) == getattr(said, name)
        assert values_of(sent) == values_of(said)
        assert reasons_of(sent) == reasons_of(said)


def test_a_value_is_sent_however_deep_it_is_nested() -> None:
    raw = delivery(XK_NR="@").replace(b'"@"', b"[" * 1000 + b"]" * 1000)
    said = read_delivery(raw)
    assert [reason.rule for reason in reasons_of(said)] == ["type"]
    assert reasons_of(read_delivery(wire_form(said))) == reasons_of(said)


@given(st.lists(st.sampled_from((10, BATCH_BYTES // 3, BATCH_BYTES * 2)) | st.none(), max_size=12))
def test_batches_hold_every_row_once_in_order(sizes: list[int | None]) -> None:
    rows = []
    for number, size in enumerate(sizes):
        if size is None:
            rows.append(Row(number, Unreadable("json", "不是JSON")))
        else:
            (row,) = of([licence(number, XK_NR="许" * (size // 3))])
            rows.append(Row(number, row.delivery))
    cut = list(batches(rows))
    assert [batch.number for batch in cut] == list(range(len(cut)))
    assert [
        number
        for batch in cut
        for number in sorted((*batch.rows, *(row for row, _ in batch.unreadable)))
    ] == list(range(len(sizes)))
    for batch in cut:
        assert len(batch.body.splitlines()) == len(batch.rows)
        assert len(batch.rows) <= 1 or len(batch.body) <= BATCH_BYTES


# -- one batch


def test_a_batch_is_repeated_under_its_key_until_it_is_answered_for(
    gateway: Gateway, slept: list[float]
) -> None:
    told: list[str] = []
    gateway.lost = 1
    gateway.faults = [
        answering(503, {"Retry-After": "70"}, detail="消息服务没有应答"),
        answering(429, {"Retry-After": "90"}),
        answering(409),
        away,
    ]
    (batch,) = batches(of([licence(1)]))
    with Client(URL, KEY, told=told.append) as client:
        (outcome,) = client.deliver(batch, "k-0")
    assert outcome.fine
    assert outcome.row == 1
    assert len(gateway.asked) == 6
    assert {request.headers["Idempotency-Key"] for request in gateway.asked} == {"k-0"}
    assert gateway.documents.total() == 1
    assert slept[:2] == [70, 90]
    assert len(slept) == len(told) == 5
    assert "消息服务没有应答" in told[0]


def test_it_gives_up_in_the_end(gateway: Gateway, client: Client, slept: list[float]) -> None:
    gateway.faults = [away] * ATTEMPTS
    (batch,) = batches(of([licence(1)]))
    with pytest.raises(GatewayUnavailableError, match="连不上网关"):
        client.deliver(batch, "k-0")
    assert len(slept) == ATTEMPTS - 1
    assert not gateway.faults


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (answering(401), "401：密钥无效"),
        (answering(404, detail="请对照接口说明"), "404：地址不对"),
        (answering(422, detail="同一个 Idempotency-Key 用于不同的内容"), "422：同一个"),
        (lambda _: httpx.Response(200, text="<html>请登录</html>"), "不是信哨网关的答复"),
        (lambda _: httpx.Response(202, json={"results": []}), "不是信哨网关的答复"),
        (lambda _: httpx.Response(302, headers={"Location": "https://elsewhere/"}), "302"),
    ],
)
def test_what_a_repeat_cannot_mend_is_told_at_once(
    gateway: Gateway, client: Client, slept: list[float], fault: Fault, said: str
) -> None:
    gateway.faults = [fault]
    (batch,) = batches(of([licence(1)]))
    with pytest.raises(SubmitError, match=said) as told:
        client.deliver(batch, "k-0")
    assert not slept
    assert len(gateway.asked) == 1
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("gateway.example", KEY),
        ("ftp://gateway.example", KEY),
        ("https://user:password@gateway.example", KEY),
        ("https://gateway.example:port", KEY),
        (URL, f"{KEY}\n"),
        (URL, ""),
    ],
)
def test_a_wrong_address_or_key_is_told_before_anything_is_sent(url: str, key: str) -> None:
    with pytest.raises(SubmitError, match="有误"):
        Client(url, key)


# -- a whole file


def test_a_file_cut_off_anywhere_is_gone_on_with_and_submitted_once(
    gateway: Gateway, client: Client, slept: list[float], file: Path, tmp_path: Path
) -> None:
    rows = 2 * BATCH_ROWS + 1
    folder = tmp_path / "state"
    # The first batch is answered; of the second all is taken and no answer ever comes.
    moves: list[float] = []

    def then_lose(done: float) -> None:
        moves.append(done)
        gateway.lost = ATTEMPTS

    with pytest.raises(GatewayUnavailableError):
        submit_file(client, file, Given(), folder, then_lose)
    assert len(moves) == 1
    assert gateway.documents.total() == 2 * BATCH_ROWS

    (path,) = folder.iterdir()
    with path.open("ab") as torn:
        torn.write(b'[1,[[501,"accep')
    gateway.asked.clear()
    gateway.lost = 0
    journal, _ = submit_file(client, file, Given(), folder)
    assert len(gateway.asked) == 2
    assert set(gateway.documents.values()) == {1}
    assert len(gateway.documents) == rows
    outcomes = list(journal.outcomes())
    assert [outcome.row for outcome in outcomes] == list(range(1, rows + 1))
    assert all(outcome.fine for outcome in outcomes)


def test_only_the_same_content_sent_to_the_same_place_goes_on(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.ndjson", [licence(1)])
    for each in (Given(), Given(unit="江夏区"), Given(category=Category.LICENCE)):
        submit_file(client, file, each, tmp_path / "state")
    written(file, [licence(2)])
    submit_file(client, file, Given(), tmp_path / "state")
    written(tmp_path / "b.ndjson", [licence(2)])
    submit_file(client, tmp_path / "b.ndjson", Given(), tmp_path / "state")
    assert len({request.headers["Idempotency-Key"] for request in gateway.asked}) == 4
    assert len(gateway.asked) == 4


def test_the_journal_gives_back_what_it_was_given(tmp_path: Path) -> None:
    outcomes = [
        Outcome(1, "accepted", "s1", {"compliant": True, "reasons": []}),
        Outcome(2, "refused", problem={"code": "scope", "detail": "无权"}),
    ]
    Journal(tmp_path / "j").add(3, outcomes)
    journal = Journal(tmp_path / "j")
    assert (journal.run, journal.done) == (0, {3})
    assert list(journal.outcomes()) == outcomes
    journal.finish()
    again = Journal(tmp_path / "j")
    assert (again.run, again.done, list(again.outcomes())) == (1, set(), [])
    (tmp_path / "torn").write_bytes(b"1")
    assert Journal(tmp_path / "torn").run == Journal(tmp_path / "torn").run == 0


def test_a_finished_file_is_submitted_again_when_asked_and_without_a_journal_it_is_known(
    gateway: Gateway, client: Client, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.ndjson", [licence(1)])
    for folder, finish in (("one", True), ("one", False), ("lost", False)):
        journal, _ = submit_file(client, file, Given(), tmp_path / folder)
        if finish:
            journal.finish()
    first, second, third = (request.headers["Idempotency-Key"] for request in gateway.asked)
    assert first == third != second


# -- the verb


def submit(file: Path, *arguments: str) -> int:
    return run(["submit", str(file), "--to", URL, "--key", KEY, *arguments])


@pytest.fixture
def state() -> Path:
    return Path(typer.get_app_dir("xinshao")) / "submit"


@pytest.mark.usefixtures("gateway")
def test_the_verb_tells_what_is_to_be_mended(
    tmp_path: Path, state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.ndjson"
    lines = [licence(1), licence(2, XK_NR=""), {**licence(3), "unit": "汉阳区"}]
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n{broken\n")
    assert submit(file, "--json") == 1
    out, err = capfd.readouterr()
    outcomes = [orjson.loads(line) for line in out.splitlines()]
    assert [(each["row"], each["status"], each["id"]) for each in outcomes] == [
        (1, "accepted", "s0"),
        (2, "accepted", "s1"),
        (3, "refused", ""),
        (4, "refused", ""),
    ]
    assert "已接收 2 条，其中不合规 1 条；未接收 2 条" in err
    findings = tmp_path / "a.ndjson.问题.csv"
    with findings.open(encoding="utf-8-sig", newline="") as sheet:
        _, *told = csv.reader(sheet)
    assert [(row[0], *row[3:6]) for row in told] == [
        ("1", "合规", "提示", "old"),
        ("2", "不合规", "错误", "required"),
        ("2", "不合规", "提示", "old"),
        ("3", "未接收", "错误", "scope"),
        ("4", "未接收", "错误", "json"),
    ]
    assert [each.read_bytes() for each in state.iterdir()] == [b"1\n"]

    written(file, [{**licence(1), "op": "withdraw", "reason": "填错了"}])
    assert submit(file) == 0
    assert not findings.exists()
    assert "其中不合规 0 条" in capfd.readouterr().out


def test_the_verb_fails_in_one_line(
    gateway: Gateway, file: Path, state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway.faults = [answering(401)]
    assert submit(file) == 2
    assert "密钥无效" in capfd.readouterr().err
    assert submit(file.with_name("none.csv")) == 2
    assert "没有这个文件" in capfd.readouterr().err
    assert submit(file) == 0
    assert [each.read_bytes() for each in state.iterdir()] == [b"1\n"]
