"""The verbs of operators over the embedded stack's data, without any server."""

import json
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from streams.cli import run
from streams.settings import Settings
from streams.store.client import CHDB, CHDB_FOLDER, Store
from streams.upkeep.migrate import migrate

TOPIC = "credit.submissions"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with three rejects, the second of which was put back."""
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(clickhouse=f"{CHDB}{folder / CHDB_FOLDER}", data=folder)
    migrate(settings)
    rows = [
        reject(7, hour=9, rule="json", text="{"),
        reject(8, hour=10, rule="unit", text='{"unit": "黄浦区"}'),
        reject(8, hour=10, redriven=True),
        reject(3, hour=8, rule="key", text="…"),
    ]
    with Store.open(settings) as store:
        store.insert("rejects", [orjson.dumps(row) for row in rows])
    return settings


def reject(offset: int, hour: int, **given: object) -> dict[str, object]:
    at = datetime(2022, 6, 3, hour - 8, tzinfo=UTC).timestamp()
    place = {"topic": TOPIC, "partition": 0, "offset": offset, "at": at, "rejected_at": at + 1}
    return {"redriven": False, "rule": "", "message": "读不出", "bytes": 5, **place, **given}


def told(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_rejects_are_listed_and_shown(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    data = ("--data", str(settings.data))
    assert run(["rejects", "ls", *data, "--json"]) == 0
    listed = told(capfd)
    assert [(each["id"], each["rule"], each["redriven"]) for each in listed] == [
        (f"{TOPIC}/0/3", "key", False),
        (f"{TOPIC}/0/7", "json", False),
        (f"{TOPIC}/0/8", "unit", True),
    ]
    assert listed[1] == {
        "id": f"{TOPIC}/0/7",
        "rule": "json",
        "message": "读不出",
        "at": "2022-06-03T09:00:00+08:00",
        "bytes": 5,
        "redriven": False,
    }
    assert run(["rejects", "ls", *data, "--since", "2022-06-03T08:30", "--rule", "json"]) == 0
    assert "拒收 1 条" in capfd.readouterr().out
    assert run(["rejects", "show", f"{TOPIC}/0/8", *data]) == 0
    assert '{"unit": "黄浦区"}' in capfd.readouterr().out
    assert run(["rejects", "show", f"{TOPIC}/0/9", *data]) == 2


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (["redrive"], "放回要写入消息服务"),
        (["redrive", "--dry-run"], "放回要写入消息服务"),
        (["show", f"{TOPIC}/0/7", "--raw"], "--raw 不能与 --data 同用"),
    ],
)
def test_what_needs_the_log_says_so(
    settings: Settings, verb: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["rejects", *verb, "--data", str(settings.data)]) == 2
    assert said in capfd.readouterr().err


def test_the_doctor_looks_at_the_registry_and_the_store(
    settings: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verb = ["doctor", "--json", "--data"]
    assert run([*verb, str(settings.data)]) == 0
    checks = told(capfd)
    assert [each["check"] for each in checks] == ["登记册", "数据库", "数据库结构"]
    assert checks[-1]["said"] == "已是最新"
    with Store.open(settings) as store:
        store.command("TRUNCATE TABLE migrations")
    assert run([*verb, str(settings.data)]) == 1
    *_, schema = told(capfd)
    migrate(settings)
    assert "没有执行迁移 001_records.sql" in str(schema["said"])
    assert "请运行 xinshao migrate" in str(schema["said"])
    assert run([*verb, str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize(
    ("clickhouse", "fine", "said"),
    [("", True, "没有配置"), ("http://127.0.0.1:9", False, "数据库没有正常应答")],
)
def test_the_doctor_says_whether_the_database_answers(
    clickhouse: str,
    fine: bool,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XINSHAO_BROKERS", "127.0.0.1:9")
    monkeypatch.setenv("XINSHAO_PORT", "9")
    monkeypatch.setenv("XINSHAO_CLICKHOUSE", clickhouse)
    assert run(["doctor", "--json"]) == 1
    (found,) = (each for each in told(capfd) if str(each["check"]).startswith("数据库"))
    assert (found["check"], found["fine"]) == ("数据库", fine)
    assert said in str(found["said"])
