"""The migrations: in order, once, never edited, the same for an engine and for a cluster."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from streams.cli import run
from streams.settings import Settings
from streams.store.client import CHDB_FOLDER, Store
from streams.store.errors import SchemaBehindError, StoreError
from streams.store.migrations import MIGRATIONS, Retention, bring_up_to_date, migrations
from streams.upkeep.migrate import migrate, outstanding


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(clickhouse=f"chdb:{tmp_path / 'store'}")


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    migrate(settings)
    with Store.open(settings) as store:
        yield store


def test_every_statement_may_be_repeated(store: Store) -> None:
    for migration in migrations():
        for statement in migration.statements(replicated=False):
            assert re.search("IF (NOT )?EXISTS", statement)
            store.command(statement)


def test_they_are_applied_once(settings: Settings, store: Store) -> None:
    applied = store.rows("SELECT number, name, applied_at FROM migrations ORDER BY number")
    assert [row[1] for row in applied] == sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    assert not migrate(settings)
    assert store.rows("SELECT number, name, applied_at FROM migrations ORDER BY 1") == applied


def test_opening_changes_nothing_and_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(SchemaBehindError, match=r"001_records\.sql.*请运行 xinshao migrate"):
        Store.open(settings)
    with Store.connect(settings) as store:
        assert store.database == "xinshao"
        with pytest.raises(SchemaBehindError, match="请运行 xinshao migrate"):
            store.rows("SELECT 1")  # there is no database of that name
    assert [*outstanding(settings).migrations] == [each.name for each in migrations()]
    assert outstanding(settings).retentions == ()


def test_opening_a_store_that_lacks_the_last_one_says_so(settings: Settings, store: Store) -> None:
    last = migrations()[-1]
    store.command(
        f"ALTER TABLE migrations DELETE WHERE number = {last.number} SETTINGS mutations_sync = 1"
    )
    with pytest.raises(SchemaBehindError, match=last.name) as told:
        Store.open(settings)
    assert migrations()[0].name not in str(told.value)


def test_an_edited_one_is_refused_and_so_is_a_newer_store(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "migrations"
    folder.mkdir()
    first, second = folder / "001_first.sql", folder / "002_second.sql"
    text = "CREATE TABLE IF NOT EXISTS one (day Date) ENGINE = MergeTree ORDER BY day;\n"
    tables = "".join(text.replace("one", name) for name in ("records", "tallies"))
    tables += "".join(
        f"CREATE TABLE IF NOT EXISTS {name} ({column} DateTime) ENGINE = MergeTree ORDER BY 1;\n"
        for name, column in (("submissions", "received_at"), ("rejects", "rejected_at"))
    ).replace("ORDER BY 1", "ORDER BY tuple()")
    first.write_text(tables)
    second.write_text(text)

    def migrated() -> None:
        with Store.connect(settings) as store:
            bring_up_to_date(store, settings, folder)

    migrated()
    Store.open(settings, folder).close()

    second.write_text(f"{text}-- better\n")
    for use in (migrated, lambda: Store.open(settings, folder)):
        with pytest.raises(StoreError, match=r"002_second\.sql.*又被改动"):
            use()
    second.unlink()
    for use in (migrated, lambda: Store.open(settings, folder)):
        with pytest.raises(StoreError, match="更新版本"):
            use()


def test_a_gap_or_a_bad_name_is_refused(tmp_path: Path) -> None:
    for name in ("002_second.sql", "first.sql", "001-first.sql"):
        file = tmp_path / name
        file.write_text("SELECT 1;")
        with pytest.raises(StoreError, match="001_"):
            migrations(tmp_path)
        file.unlink()


def test_a_migration_that_broke_off_is_taken_up_again(settings: Settings, store: Store) -> None:
    store.command("ALTER TABLE migrations DELETE WHERE number >= 2 SETTINGS mutations_sync = 1")
    store.command("DROP TABLE platforms")
    assert migrate(settings).migrations == tuple(each.name for each in migrations()[1:])
    assert store.rows("SELECT count() FROM platforms_now") == [(0,)]
    assert store.rows("SELECT count() FROM migrations") == [(len(migrations()),)]


def test_every_table_view_and_column_says_what_it_is(store: Store) -> None:
    assert not store.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    )
    # A view's columns are those of its tables.
    assert not store.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase()"
        " AND comment = '' AND table IN (SELECT name FROM system.tables"
        " WHERE database = currentDatabase() AND engine NOT LIKE '%View')"
    )


def test_a_cluster_gets_replicated_engines() -> None:
    statements = [
        statement
        for migration in migrations()
        for statement in migration.statements(replicated=True)
    ]
    engines = re.findall(r"^ENGINE = (\w+)", "\n".join(statements), re.MULTILINE)
    assert {engine for engine in engines if not engine.startswith("Replicated")} == {"Null"}
    assert "ReplicatedReplacingMergeTree" in engines


def test_retention_follows_the_settings(settings: Settings, store: Store) -> None:
    def retention() -> dict[str, str]:
        rows = store.rows(
            "SELECT name, extract(engine_full, 'TTL (.+) SETTINGS') FROM system.tables"
            " WHERE database = currentDatabase() AND engine_full LIKE '%TTL%'"
        )
        return dict(rows)

    assert retention() == {}
    change = {"store_months": 36, "audit_months": 24}
    longer = settings.model_copy(update=change)
    wanted = outstanding(longer).retentions
    assert {(each.table, each.months) for each in wanted} == {
        *(("records", 36), ("tallies", 36), ("submissions", 24), ("rejects", 24))
    }
    Store.open(longer).close()
    assert retention() == {}
    assert migrate(longer).retentions == wanted
    assert retention() == {
        "records": "toDate(day) + toIntervalMonth(36)",
        "tallies": "toDate(day) + toIntervalMonth(36)",
        "submissions": "toDate(received_at) + toIntervalMonth(24)",
        "rejects": "toDate(rejected_at) + toIntervalMonth(24)",
    }
    migrate(settings.model_copy(update={**change, "store_months": 48}))
    assert retention()["records"] == "toDate(day) + toIntervalMonth(48)"
    assert Retention("records", "day", 0) in migrate(settings).retentions
    assert retention() == {}


def test_a_store_has_one_process(store: Store, settings: Settings) -> None:
    code = (
        "from streams.settings import Settings\n"
        "from streams.store.client import Store\n"
        "from streams.store.errors import StoreError\n"
        f"try: Store.open(Settings(clickhouse={settings.clickhouse!r}))\n"
        "except StoreError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "另一个进程" in told.stdout


def test_without_an_address_there_is_no_store() -> None:
    with pytest.raises(StoreError, match="XINSHAO_CLICKHOUSE"):
        Store.open(Settings())


def test_the_verb_migrates_checks_and_says_what_it_did(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verb = ["migrate", "--data", str(tmp_path)]
    assert run(verb) == 2
    assert "没有数据库" in capfd.readouterr().err
    (tmp_path / CHDB_FOLDER).mkdir()
    assert run([*verb, "--check"]) == 1
    assert "待执行迁移 001_records.sql" in capfd.readouterr().out
    assert run([*verb, "--json"]) == 0
    assert orjson.loads(capfd.readouterr().out) == {
        "database": "xinshao",
        "done": True,
        "migrations": [each.name for each in migrations()],
        "retentions": {},
    }
    for again in ([*verb, "--check"], verb):
        assert run(again) == 0
        assert capfd.readouterr().out == "数据库 xinshao 的结构已是最新\n"
