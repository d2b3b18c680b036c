"""The store: ClickHouse, as a server over HTTP or as the engine inside this process (chdb).

Everything that was judged is kept there (`deploy/clickhouse`). The same migrations make the tables
of both; they are applied in order when the store is opened, and an applied one must stay as it is.

Calls block: on an event loop they belong in a thread. A store is for one thread at a time; chdb
takes any number of stores on one folder, all of one process.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Any, Final, Self
from urllib.parse import urlsplit

import clickhouse_connect
import orjson
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, ProgrammingError
from urllib3.exceptions import HTTPError

from streams.errors import InputError, LaterError, OperatorError
from streams.settings import DEPLOY, Settings

log = logging.getLogger(__name__)

CHDB: Final = "chdb:"
"""What the address of an embedded store begins with; its folder follows."""

CHDB_FOLDER: Final = "clickhouse"
"""What that folder is called in the data folder of the embedded stack."""

MIGRATIONS: Final = DEPLOY / "clickhouse"

_CONNECT_TIMEOUT: Final = 5
_SESSION: Final = {
    # What is answered is written, and refused as a whole or not at all.
    "async_insert": 0,
    "date_time_input_format": "best_effort",
    # A message's numbers are numbers, and its text comes back as it was.
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_escape_forward_slashes": 0,
    "output_format_json_named_tuples_as_objects": 1,
}

_REFUSALS: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
    }
)
"""ClickHouse's codes for "these rows, never": waiting mends none of them."""


class StoreError(OperatorError):
    """The store cannot be used as it is; the message says why and what to do, in Chinese."""


class StoreUnavailableError(LaterError):
    """The store does not answer, or not now: the same call may succeed later."""


class RefusedError(InputError):
    """The store refuses what it was given to insert; it holds none of it.

    `name` and `code` are ClickHouse's; its own message is left out, as it carries the data.
    """

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"数据库不接受（{name}，代码 {code}）")
        self.name = name
        self.code = code


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


_END: Final = re.compile(r";\s*$", re.MULTILINE)
_FILE: Final = re.compile(r"(\d{3})_[a-z_]+\.sql")


def migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The migrations of a folder, in order: 001_name.sql, 002_name.sql and so on.

    Raises:
        StoreError: a number is missing or there twice, or a file is not named so.
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


class Store:
    """An open store, its tables as this program's migrations make them."""

    def __init__(self, client: Client, database: str) -> None:
        """Use `Store.open`."""
        self._client = client
        self.database = database

    @classmethod
    def open(cls, settings: Settings, folder: Path = MIGRATIONS) -> Self:
        """Connect, apply what is missing of the migrations, and set the retention.

        Raises:
            StoreUnavailableError: the store does not answer.
            StoreError: no store is configured, another process has the embedded one open, an
                applied migration was edited, or the store is that of a newer program.
        """
        found = migrations(folder)
        with _failures():
            client = _connect(settings)
        store = cls(client, settings.clickhouse_database)
        try:
            store._prepare(found, settings)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the connection; of an embedded store, the last one closes the engine."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """Insert rows, each a JSON object of column to value; all are written when it returns.

        A call that failed may have been applied all the same: what is inserted must bear that.

        Raises:
            RefusedError: a row is not one of this table; none of them was inserted.
            StoreUnavailableError: the store does not answer, or not now.
        """
        with _failures():
            self._client.raw_insert(
                table, insert_block=b"\n".join(rows), fmt="JSONEachRow", settings=_WAIT
            )

    def rows(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """The rows of a query, each a sequence; {name:Type} in it stands for a parameter.

        Raises:
            StoreUnavailableError: the store does not answer, or not now.
        """
        with _failures():
            return self._client.query(sql, parameters=parameters).result_rows

    def lines(self, sql: str, **parameters: Any) -> list[bytes]:
        """The rows of a query, each a JSON object of column to value.

        Raises:
            StoreUnavailableError: the store does not answer, or not now.
        """
        with _failures():
            return self._client.raw_query(
                sql, parameters=parameters, fmt="JSONEachRow", settings=_WAIT
            ).splitlines()

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing.

        Raises:
            StoreUnavailableError: the store does not answer, or not now.
        """
        with _failures():
            self._client.command(sql)

    # -- on opening

    def _prepare(self, found: list[Migration], settings: Settings) -> None:
        replicated = settings.clickhouse_replicated
        engine = "ReplicatedReplacingMergeTree" if replicated else "ReplacingMergeTree"
        kind = _REPLICATED_DATABASE.format(self.database) if replicated else ""
        self.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`{kind}")
        self._client.database = self.database
        self.command(_LEDGER.format(engine))
        applied = {number: (name, checksum) for number, name, checksum in self.rows(_APPLIED)}
        if applied.keys() - {migration.number for migration in found}:
            raise StoreError(
                f"数据库 {self.database} 已由更新版本的程序升级过，请用该版本或更新的程序"
            )
        for migration in found:
            self._migrate(migration, applied.get(migration.number), replicated=replicated)
        self._retain("records", "day", settings.store_months)
        self._retain("tallies", "day", settings.store_months)
        self._retain("submissions", "received_at", settings.audit_months)
        self._retain("rejects", "rejected_at", settings.audit_months)

    def _migrate(
        self, migration: Migration, applied: tuple[str, str] | None, *, replicated: bool
    ) -> None:
        if applied is None:
            for statement in migration.statements(replicated=replicated):
                self.command(statement)
            done = {"number": migration.number, "name": migration.name}
            self.insert("migrations", [orjson.dumps({**done, "checksum": migration.checksum})])
            log.info("数据库 %s 已执行迁移 %s", self.database, migration.name)
        elif applied != (migration.name, migration.checksum):
            raise StoreError(
                f"数据库迁移 {migration.name} 已在 {self.database} 上执行过，文件后来又被改动："
                "请恢复原文件，要改表结构请另加一个新编号的迁移"
            )

    def _retain(self, table: str, column: str, months: int) -> None:
        """Let rows go that many months after the day in the column; 0: never."""
        ((there,),) = self.rows(
            "SELECT extract(create_table_query, 'TTL toDate\\\\(\\\\w+\\\\) \\\\+ toIntervalMonth"
            "\\\\((\\\\d+)\\\\)') FROM system.tables"
            " WHERE database = {database:String} AND name = {table:String}",
            database=self.database,
            table=table,
        )
        if there == (str(months) if months else ""):
            return
        ttl = f"MODIFY TTL toDate({column}) + toIntervalMonth({months})" if months else "REMOVE TTL"
        self.command(f"ALTER TABLE {table} {ttl}")


_WAIT: Final = {"wait_end_of_query": 1}
"""An answer of success is given at the end, when it is one."""

_REPLICATED_DATABASE: Final = (
    " ENGINE = Replicated('/clickhouse/databases/{}', '{{shard}}', '{{replica}}')"
)
_LEDGER: Final = (
    "CREATE TABLE IF NOT EXISTS migrations ("
    "number UInt16 COMMENT '编号', name String COMMENT '文件名', "
    "checksum String COMMENT '文件内容的 SHA-256', "
    "applied_at DateTime('Asia/Shanghai') DEFAULT now() COMMENT '执行的时间'"
    ") ENGINE = {} ORDER BY number COMMENT '已执行的数据库迁移'"
)
_APPLIED: Final = "SELECT number, name, checksum FROM migrations FINAL ORDER BY number"


def _connect(settings: Settings) -> Client:
    address = settings.clickhouse
    if not address:
        raise StoreError("没有配置数据库：请设置 XINSHAO_CLICKHOUSE，如 http://127.0.0.1:8123")
    if address.startswith(CHDB):
        folder = Path(address.removeprefix(CHDB))
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            return clickhouse_connect.get_client(
                interface="chdb", path=str(folder), settings=dict(_SESSION)
            )
        except ProgrammingError as error:
            raise StoreError(
                f"打不开数据文件夹 {folder}：另一个进程（如正在运行的 xinshao demo）在使用它，"
                "请先停掉那个进程；也请检查磁盘空间和写权限"
            ) from error
    url = urlsplit(address)
    return clickhouse_connect.get_client(
        interface=url.scheme,
        host=url.hostname or "",
        port=url.port or (8443 if url.scheme == "https" else 8123),
        username=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
        connect_timeout=_CONNECT_TIMEOUT,
        send_receive_timeout=int(settings.clickhouse_timeout),
        settings=dict(_SESSION),
        query_retries=0,
        autogenerate_session_id=False,
        dedicated_pool=True,
    )


@contextmanager
def _failures() -> Iterator[None]:
    """Tell what ClickHouse refuses for good from what may go better later."""
    try:
        yield
    except (ClickHouseError, HTTPError) as error:
        code = error.code if isinstance(error, Error) else None
        name = (error.name if isinstance(error, Error) else None) or type(error).__name__
        if code in _REFUSALS:
            raise RefusedError(name, code) from None
        told = name if code is None else f"{name}，代码 {code}"
        raise StoreUnavailableError(f"数据库没有正常应答（{told}）") from error
