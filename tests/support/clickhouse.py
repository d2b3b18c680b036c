"""A ClickHouse server for the tests: the real engine (chdb) behind ClickHouse's HTTP interface.

It is a process of its own, so that it can be stopped, frozen and killed; and it can be made to
answer 500, to be slow, or to cut the connection once it has applied an insert. One of its users may
only read.
"""

import base64
import itertools
import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import chdb

from models.tally import NOTHING, Bucket, Duty, Pending, Tally
from models.words import Category
from streams.counting.sink import is_restored
from streams.demo.tansu import HOST, listening
from streams.log.connection import KafkaRecord
from streams.log.topics import REJECTS, TALLIES, VERDICTS
from streams.log.wire import decode_verdict, is_record_key
from streams.settings import Settings
from streams.store.client import Store
from streams.store.tally_columns import TALLY_COLUMNS
from streams.upkeep.migrate import migrate
from tests.support.house import free_port
from tests.support.oracle import Outcome, read_log, told_by_stream

_ROOT = Path(__file__).parents[2]

READER = "reader"
"""The user who may read and nothing else; everyone else may do everything."""


def migrated(settings: Settings) -> Store:
    """The store, its schema brought up to date."""
    migrate(settings)
    return Store.open(settings)


class ClickHouse:
    """One server process over the data in a folder; started again, it serves the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self._port}"

    def start(self) -> Self:
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.clickhouse", str(self._port), str(self._folder)],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not listening(self._port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def fault(self, kind: str, times: int = 1) -> None:
        """Do that to the next inserts: `error` (500), `cut` (after applying), `slow` (1 s)."""
        with urllib.request.urlopen(f"{self.address}/fault?kind={kind}&times={times}") as answer:
            assert answer.status == 200

    def faults_left(self) -> int:
        with urllib.request.urlopen(f"{self.address}/fault") as answer:
            return int(json.loads(answer.read()))

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait()


# -- what a store must hold


async def assert_equal_to_log(settings: Settings, store: Store) -> Outcome:
    """Compare the store with the log: records, audit, tallies, pending and rejects."""
    verdicts = [
        record
        for records in (await read_log(settings, VERDICTS)).values()
        for record in records
        if is_record_key(record.key) and not is_restored(record)
    ]
    log = {name: await read_log(settings, name) for name in (TALLIES, REJECTS)}
    told = told_by_stream(
        verdicts, *[itertools.chain(*records.values()) for records in log.values()]
    )
    stored = [decode_verdict(line) for line in store.lines("SELECT * FROM verdicts_now")]
    keys = [bytes.fromhex(key) for (key,) in store.rows("SELECT record_key FROM verdicts_now")]
    assert dict(zip(keys, [each.state for each in stored], strict=True)) == told.states
    assert audit_of(verdicts) == {
        (key, epoch, offset): (effect, version, compliant, [reason["rule"] for reason in reasons])
        for key, epoch, offset, effect, version, compliant, reasons in store.rows(
            "SELECT record_key, epoch, offset, effect, version, compliant, reasons"
            " FROM submissions_now"
        )
    }
    for view in ("tallies_daily", "records_daily"):
        assert tallies_in(store, view) == {
            bucket: tally for bucket, tally in told.tallies.items() if tally != NOTHING
        }
    pending: dict[Duty, Pending] = defaultdict(dict)
    for unit, category, deadline, count in store.rows("SELECT * FROM pending_by_deadline"):
        pending[Duty(unit, Category(category))][deadline] = count
    assert pending == told.pending
    assert {(id_, rule) for id_, rule in store.rows("SELECT id, rule FROM rejects_now")} == {
        (f"{topic}/{partition}/{offset}", rule)
        for (topic, partition, offset, _at), (rule, _value, _key) in told.rejects.items()
    }
    return told


def audit_of(verdicts: Iterable[KafkaRecord]) -> dict[tuple[str, int, int], tuple[Any, ...]]:
    """Every delivery that was judged: what it did."""
    audit = {}
    for record in verdicts:
        given = json.loads(record.value or b"")
        audit[given["record_key"], *given["position"]] = (
            given["effect"],
            given["version"],
            given["compliant"],
            [reason["rule"] for reason in given["reasons"]],
        )
    return audit


def tallies_in(store: Store, view: str) -> dict[Bucket, Tally]:
    return {
        Bucket(unit, Category(category), day): Tally(*counts)
        for unit, category, day, *counts in store.rows(
            f"SELECT unit, category, day, {TALLY_COLUMNS} FROM {{view:Identifier}}",
            view=view,
        )
        if any(counts)
    }


# -- the process


_CODE = re.compile(r"Code: (\d+)\.")
_INSERT = re.compile(r"(INSERT INTO .+?)\s+FORMAT\s+(\w+)\s*", re.IGNORECASE | re.DOTALL)
_NO_SETTINGS = {
    *("query", "database", "wait_end_of_query", "client_protocol_version", "query_id"),
    *("send_progress_in_http_headers", "http_headers_progress_interval_ms", "compress"),
    *("enable_http_compression", "session_timeout", "cancel_http_readonly_queries_on_client_close"),
}
"""Parameters of a request that concern the transport only."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, folder: str) -> None:
        super().__init__((HOST, port), _Handler)
        self.folder = folder
        self.engine = chdb.connect(folder)  # type: ignore[no-untyped-call]
        self.faults: list[str] = []
        self.lock = threading.Lock()

    def next_fault(self) -> str | None:
        with self.lock:
            return self.faults.pop(0) if self.faults else None

    def run(self, sql: str, data: bytes, given: dict[str, str]) -> bytes:
        """Run one request as a session of its own."""
        session = chdb.connect(self.folder)  # type: ignore[no-untyped-call]
        try:
            if "database" in given:
                session.query(f"USE `{given['database']}`")
            for name, value in given.items():
                if name not in _NO_SETTINGS and not name.startswith("param_"):
                    session.query(f"SET {name} = '{value}'")
            parameters = {
                name.removeprefix("param_"): value
                for name, value in given.items()
                if name.startswith("param_")
            }
            insert = _INSERT.fullmatch(sql)
            if insert is None or not data:
                answer: bytes = session.query(sql, "TabSeparated", params=parameters).bytes()
                return answer or b""
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                session.query(f"{insert[1]} FROM INFILE '{file.name}' FORMAT {insert[2]}")
            return b""
        finally:
            session.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = dict(parse_qsl(url.query))
        if url.path == "/fault":
            with self.server.lock:
                self.server.faults += [given["kind"]] * int(given["times"]) if given else []
                left = len(self.server.faults)
            self._answer(200, str(left).encode())
        else:
            self.do_POST()

    def do_POST(self) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query))
        body = self._body()
        sql, data = given.get("query"), body
        if sql is None:
            # clickhouse-connect writes an INSERT above its rows.
            head, _, data = (
                body.partition(b"\n") if body.startswith(b"INSERT") else (body, b"", b"")
            )
            sql = head.decode()
        if self._user() == READER and not sql.lstrip().startswith(("SELECT", "WITH")):
            self._answer(403, b"Code: 497. DB::Exception: not allowed (ACCESS_DENIED)", code=497)
            return
        inserting = sql.startswith("INSERT")
        fault = self.server.next_fault() if inserting else None
        if fault == "slow":
            time.sleep(1)
        if fault == "error":
            self._answer(500, b"Code: 999. DB::Exception: told so (KEEPER_EXCEPTION)", code=999)
            return
        try:
            answer = self.server.run(sql, data, given)
        except RuntimeError as error:
            said = str(error)
            found = _CODE.search(said)
            self._answer(500, said.encode(), code=int(found[1]) if found else 1001)
            return
        if fault == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._answer(200, answer)

    def _user(self) -> str:
        encoded = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(encoded).decode().partition(":")[0]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes, code: int | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        elif body:
            self.send_header("X-ClickHouse-Format", "TabSeparated")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    port, folder = sys.argv[1:]
    _Server(int(port), folder).serve_forever()
