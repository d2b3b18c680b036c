"""The store: ClickHouse, as a server over HTTP or as the engine inside this process (chdb).

Everything that was judged is kept there. `streams.store.migrations` makes its tables; opening the
store only checks that they are as this program needs them.

Calls block: on an event loop they belong in a thread. A store is for one thread at a time; chdb
takes any number of stores on one folder, all of one process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, ProgrammingError
from urllib3.exceptions import HTTPError

from streams.settings import Settings
from streams.store.errors import (
    RefusedError,
    SchemaBehindError,
    StoreError,
    StoreUnavailableError,
)
from streams.store.migrations import MIGRATIONS, RUN, require_current

CHDB: Final = "chdb:"
"""What the address of an embedded store begins with; its folder follows."""

CHDB_FOLDER: Final = "clickhouse"
"""The name of that folder in the data folder of the embedded stack."""

_CONNECT_TIMEOUT: Final = 5
_SESSION: Final = {
    # What is acknowledged is written; an insert is refused as a whole or not at all.
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
"""ClickHouse's codes for "these rows, never": waiting fixes none of them."""

_MISSING: Final = frozenset({60, 81})  # UNKNOWN_TABLE, UNKNOWN_DATABASE


class Store:
    """A connection to the store."""

    def __init__(self, client: Client, database: str) -> None:
        """Use `Store.open`."""
        self._client = client
        self.database = client.database = database

    @classmethod
    def open(cls, settings: Settings, folder: Path = MIGRATIONS) -> Self:
        """Connect, and check that the schema is the one that the migrations in the folder make.

        Raises:
            SchemaBehindError: it is not yet.
            StoreUnavailableError: the store does not answer.
            StoreError: no store is configured, another process has the embedded one open, an
                applied migration was edited, or the store is that of a newer program.
        """
        store = cls.connect(settings)
        try:
            require_current(store, folder)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Connect, whatever is in the database or not: to migrate it, or to look at its schema.

        Raises:
            StoreUnavailableError: the store does not answer.
            StoreError: no store is configured, or another process has the embedded one open.
        """
        with _failures():
            return cls(_connect(settings), settings.clickhouse_database)

    def close(self) -> None:
        """Close the connection; of an embedded store, the last one closes the engine."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """Insert rows, each a JSON object of column to value; all are written when it returns.

        A call that failed may still have been applied: inserting the same again must do no harm.

        Raises:
            RefusedError: a row is not one of this table; none of them was inserted.
            StoreUnavailableError: the store does not answer, or not now.
        """
        with _failures():
            self._client.raw_insert(
                table, insert_block=b"\n".join(rows), fmt="JSONEachRow", settings=_WAIT
            )

    def rows(self, sql: str, **parameters: Any) -> Sequence[Any]:
        """The rows of a query, each a sequence; {name:Type} in it is a parameter.

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

    def command(self, sql: str, *, inside: bool = True) -> None:
        """Run a statement that answers nothing, inside the database or outside of any.

        Raises:
            StoreUnavailableError: the store does not answer, or not now.
        """
        with _failures():
            self._client.command(sql, use_database=inside)


_WAIT: Final = {"wait_end_of_query": 1}
"""Have the server report success only at the end, once it is certain."""


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
    """Distinguish what ClickHouse refuses for good from what may succeed later."""
    try:
        yield
    except (ClickHouseError, HTTPError) as error:
        code = error.code if isinstance(error, Error) else None
        name = (error.name if isinstance(error, Error) else None) or type(error).__name__
        if code in _REFUSALS:
            raise RefusedError(name, code) from None
        if code in _MISSING:
            raise SchemaBehindError(f"数据库里没有要用的表（{name}）：{RUN}") from error
        told = name if code is None else f"{name}，代码 {code}"
        raise StoreUnavailableError(f"数据库没有正常应答（{told}）") from error
