"""The register of platforms says what the bulletin's eighth section says, and who was last seen."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from streams.cli import run
from streams.settings import Settings
from streams.store.client import CHDB, CHDB_FOLDER, Store
from streams.upkeep.migrate import migrate


def seen(platform: str, partition: int, at: datetime) -> bytes:
    row = {"platform": platform, "partition": partition, "epoch": 1, "offset": 0}
    return orjson.dumps({**row, "seen": at.timestamp()})


def test_the_register_of_a_month(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = Settings(clickhouse=f"{CHDB}{tmp_path / CHDB_FOLDER}")
    migrate(settings)
    with Store.open(settings) as store:
        store.insert(
            "platforms",
            [
                seen("caidian-dashuju", 0, datetime(2022, 6, 3, 1, tzinfo=UTC)),
                seen("caidian-dashuju", 1, datetime(2022, 6, 4, 1, tzinfo=UTC)),
                seen("no-longer-there", 0, datetime(2022, 6, 4, 1, tzinfo=UTC)),
            ],
        )
    verb = ["platforms", "--data", str(tmp_path)]
    assert run([*verb, "--month", "2022-06", "--json"]) == 0
    listed = {
        entry["id"]: entry for entry in map(orjson.loads, capfd.readouterr().out.splitlines())
    }
    assert listed["caidian-dashuju"] == {
        "id": "caidian-dashuju",
        "name": "蔡甸区大数据平台",
        "owner": "蔡甸区",
        "via": "api",
        "since": "2022-06-01",
        "new": True,
        "last_submission": "2022-06-04T09:00:00+08:00",
    }
    assert listed["hanyang-jiaoyu"]["last_submission"] is None
    assert sum(entry["new"] for entry in listed.values()) == 8
    assert "no-longer-there" not in listed

    # As printed: 截至6月份，已有35个平台（系统）……其中本月新增8个.
    assert run([*verb, "--month", "2022-06"]) == 0
    out = capfd.readouterr().out
    assert "已对接平台 35 个，其中本月新增 8 个" in out
    assert "另有 27 个" in out
    assert run([*verb, "--month", "2022-05", "--json"]) == 0
    assert capfd.readouterr().out == ""
    assert run([*verb, "--month", "June"]) == 2
    assert "不是月份" in capfd.readouterr().err
