"""The schema of the store: the migrations of `deploy/clickhouse`, and the ledger of those applied.

The same files make the tables of a server and of the engine inside the process. They are applied in
order, once, by `xinshao migrate`, which also sets how long rows are kept. Everyone else only
compares the ledger with the files: asking needs no right to change anything.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple, Protocol

import orjson

from streams.settings import DEPLOY, Settings
from streams.store.errors import SchemaBehindError, StoreError

log = logging.getLogger(__name__)

MIGRATIONS: Final = DEPLOY / "clickhouse"

RUN: Final = "请运行 xinshao migrate（演示的数据文件夹另加 --data）"
"""What is to be done about a schema that is behind."""


class Connection(Protocol):
    """Through which a schema is read and changed: a `Store`, whatever is in its database."""

    @property
    def database(self) -> str:
        """The name of the database; it need not be there yet."""

    def rows(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """The rows of a query."""

    def command(self, sql: str, *, inside: bool = True) -> None:
        """Run a statement inside the database, or outside of any."""

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """Insert rows, each a JSON object."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of SQL statements, each of which may be repeated."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return sha256(self.text.encode()).hexdigest()

    def statements(self, *, replicated: bool) -> list[str]:
        """The statements, with the engines that are asked for."""
        prefix = "Replicated" if replicated else ""
        text = Template(self.text).substitute(replicated=prefix)
        return [statement for part in _END.split(text) if (statement := part.strip())]


class Retention(NamedTuple):
    """How many months after the day in its column a row of a table is deleted; 0: never."""

    table: str
    column: str
    months: int

    @property
    def change(self) -> str:
        """The change of the table that sets it."""
        if not self.months:
            return "REMOVE TTL"
        return f"MODIFY TTL toDate({self.column}) + toIntervalMonth({self.months})"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a database lacks, or was given: migrations by the names of their files, retentions."""

    migrations: tuple[str, ...]
    retentions: tuple[Retention, ...]

    def __bool__(self) -> bool:
        return bool(self.migrations or self.retentions)


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations of a folder, in order: 001_name.sql, 002_name.sql and so on.

    Raises:
        StoreError: a number is missing or used twice, or a file is not named like that.
    """
    found = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _FILE.fullmatch(path.name)
        if match is None or int(match[1]) != number:
            raise StoreError(
                f"数据库迁移文件 {path} 的编号不连续或重复，应为 {number:03d}_名称.sql"
            )
        found.append(Migration(number, path.name, path.read_text(encoding="utf-8")))
    return found


def require_current(connection: Connection, folder: Path = MIGRATIONS) -> None:
    """Compare the ledger with the migrations of this program.

    Raises:
        SchemaBehindError: some were not applied yet.
        StoreError: an applied one was edited, or the database is that of a newer program.
        StoreUnavailableError: the store does not answer.
    """
    if lacking := _lacking(connection, folder):
        names = "、".join(each.name for each in lacking)
        raise SchemaBehindError(f"数据库 {connection.database} 还没有执行迁移 {names}：{RUN}")


def changes_due(connection: Connection, settings: Settings, folder: Path = MIGRATIONS) -> Changes:
    """What `bring_up_to_date` would do now.

    Raises:
        StoreError: as `bring_up_to_date` says.
    """
    return Changes(
        tuple(each.name for each in _lacking(connection, folder)),
        tuple(
            each for each in _retentions(settings) if _months_kept(connection, each) != each.months
        ),
    )


def bring_up_to_date(
    connection: Connection, settings: Settings, folder: Path = MIGRATIONS
) -> Changes:
    """Make the database where it is missing, apply what it lacks, and set the retentions.

    Several may do so at the same time, and one that broke off is continued.

    Raises:
        StoreError: an applied migration was edited, or the database is that of a newer program;
            nothing was changed then.
        StoreUnavailableError: the store does not answer, or does not let this user do it.
    """
    lacking = _lacking(connection, folder)
    replicated = settings.clickhouse_replicated
    kind = _REPLICATED_DATABASE.format(connection.database) if replicated else ""
    connection.command(f"CREATE DATABASE IF NOT EXISTS `{connection.database}`{kind}", inside=False)
    connection.command(_LEDGER.format("Replicated" if replicated else ""))
    for migration in lacking:
        for statement in migration.statements(replicated=replicated):
            connection.command(statement)
        entry = {"number": migration.number, "name": migration.name}
        connection.insert("migrations", [orjson.dumps({**entry, "checksum": migration.checksum})])
        log.info("数据库 %s 已执行迁移 %s", connection.database, migration.name)
    changed = changes_due(connection, settings, folder).retentions
    for retention in changed:
        connection.command(f"ALTER TABLE {retention.table} {retention.change}")
        log.info("数据库 %s 的表 %s：%s", connection.database, retention.table, retention.change)
    return Changes(tuple(each.name for each in lacking), changed)


def _lacking(connection: Connection, folder: Path) -> list[Migration]:
    """The migrations that were not applied yet, in order."""
    found = migrations(folder)
    try:
        rows = connection.rows("SELECT number, name, checksum FROM migrations FINAL")
    except SchemaBehindError:
        return found  # there is no ledger, or no database
    applied = {number: (name, checksum) for number, name, checksum in rows}
    if applied.keys() - {migration.number for migration in found}:
        raise StoreError(
            f"数据库 {connection.database} 已由更新版本的程序升级过，请用该版本或更新的程序"
        )
    for migration in found:
        entry = applied.get(migration.number)
        if entry not in (None, (migration.name, migration.checksum)):
            raise StoreError(
                f"数据库迁移 {migration.name} 已在 {connection.database} 上执行过，文件后来又被"
                "改动：请恢复原文件，要改表结构请另加一个新编号的迁移"
            )
    return [migration for migration in found if migration.number not in applied]


def _retentions(settings: Settings) -> tuple[Retention, ...]:
    return (
        Retention("records", "day", settings.store_months),
        Retention("tallies", "day", settings.store_months),
        Retention("submissions", "received_at", settings.audit_months),
        Retention("rejects", "rejected_at", settings.audit_months),
    )


def _months_kept(connection: Connection, retention: Retention) -> int:
    """The retention of a table as it is; a table that is not there keeps all."""
    try:
        rows = connection.rows(_KEPT, database=connection.database, table=retention.table)
    except SchemaBehindError:
        return 0
    return sum(int(months or 0) for (months,) in rows)


_END: Final = re.compile(r";\s*$", re.MULTILINE)
_FILE: Final = re.compile(r"(\d{3})_[a-z_]+\.sql")
_REPLICATED_DATABASE: Final = (
    " ENGINE = Replicated('/clickhouse/databases/{}', '{{shard}}', '{{replica}}')"
)
_LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS migrations ("
    "number UInt16 COMMENT '编号', name String COMMENT '文件名', "
    "checksum String COMMENT '文件内容的 SHA-256', "
    "applied_at DateTime('Asia/Shanghai') DEFAULT now() COMMENT '执行的时间'"
    ") ENGINE = {}ReplacingMergeTree ORDER BY number COMMENT '已执行的数据库迁移'"
)
_KEPT: Final = (
    "SELECT extract(create_table_query, 'TTL toDate\\\\(\\\\w+\\\\) \\\\+ toIntervalMonth"
    "\\\\((\\\\d+)\\\\)') FROM system.tables"
    " WHERE database = {database:String} AND name = {table:String}"
)
