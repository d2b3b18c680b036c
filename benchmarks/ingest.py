"""How fast verdicts get into the store, and how fast a page of a year's figures comes out.

python -m benchmarks.ingest [--records N] [--year N] [--json]

In, rows a second of licence records over Tansu and chdb: `arrow`, a bare `insert_arrow` loop into
the columns of `records`, prepared beforehand; `insert`, verdict messages into the store, which
makes the records and the audit of them; `sink`, from the topic of verdicts into both; `judge`, from
submissions to verdicts without a store; `whole`, from submissions into the store.

Out, milliseconds, medians: the queries of a page over a year's records and tallies, which are made
in the store itself, by numbers().
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import orjson
import pyarrow as pa  # type: ignore[import-untyped]
from aiokafka import TopicPartition
from rich.console import Console
from rich.table import Table

from benchmarks.ground import BenchSettings, fill, idempotence, serving, write_licences
from models.words import IN_TOTAL, Category
from streams.demo.tansu import free_port
from streams.log.reader import read_to_end, reading
from streams.log.topics import SUBMISSIONS, VERDICTS
from streams.log.wire import is_record_key
from streams.settings import Settings
from streams.store.client import Store
from streams.store.tally_columns import TALLY_COLUMNS
from streams.upkeep.migrate import migrate
from streams.worker import Worker, working
from tests.support.brokers import Broker
from tests.support.processes import until

ROWS: Final = 10_000
"""Rows of an insert."""
ROUNDS: Final = 15
AS_OF: Final = "2022-11-20"
PAGE: Final = {
    "rolling, all units": f"SELECT * FROM rolling(as_of = '{AS_OF}')",
    "rolling, one unit": f"SELECT * FROM rolling(as_of = '{AS_OF}') WHERE unit = '机构7'",
    "rolling_units": f"SELECT * FROM rolling_units(as_of = '{AS_OF}', categories = "
    f"{[each.value for each in Category if each in IN_TOTAL]})",
    "rolling_city": f"SELECT * FROM rolling_city(as_of = '{AS_OF}')",
    "a month by day": "SELECT day, sum(reported), sum(compliant) FROM tallies_daily"
    " WHERE day BETWEEN '2022-11-01' AND '2022-11-30' GROUP BY day ORDER BY day",
    "pending_by_deadline": "SELECT * FROM pending_by_deadline",
    "late records of a unit's month": "SELECT record_key, document, subject, deadline FROM"
    " records_now WHERE unit = '机构7' AND category = 'licence' AND NOT timely"
    " AND day BETWEEN '2022-11-01' AND '2022-11-30'",
    "one record by its key": "SELECT * FROM record_by_key(key = '{key}')",
    "recount of a month from records": "SELECT count(), sum(reported) FROM records_daily"
    " WHERE day BETWEEN '2022-11-01' AND '2022-11-30'",
}

# A year: as many cells (unit by category) as June 2022 had, most records in few of them.
_RECORDS: Final = """
INSERT INTO records (record_key, epoch, `offset`, unit, category, effect, day, received_at, decided,
    deadline, provisional, compliant, timely, first_compliant, withdrawn, version, corrections,
    duplicates, digest, document, subject, reasons, submission, platform)
WITH toUInt32(178 * pow(rand(1) / 4294967296, 2)) AS cell
SELECT unhex(hex(sipHash128(number))) AS record_key, 1700000000, number,
    concat('机构', toString(cell % 60)), ['licence', 'penalty', 'basic'][1 + intDiv(cell, 60)],
    'new', toDate32('2022-01-01') + toUInt32(365 * (number / {records})) AS day,
    toDateTime64(day, 6, 'Asia/Shanghai') + 40000, day - 3, day + 17, false,
    rand(3) % 50 > 0 AS compliant, if(compliant, rand(4) % 20 > 0, NULL),
    if(compliant, day, NULL), rand(5) % 500 = 0, 1, 0, rand(6) % 40 = 0, record_key,
    concat('武环许〔2022〕', toString(number), '号'), concat('武汉公司', toString(number % 100000)),
    if(compliant, [], [('required', 'XK_NR', '缺少许可内容', 'error')]), '', 'gateway'
FROM numbers({begin}, {count})
"""
_TALLIES: Final = f"""
INSERT INTO tallies (day, unit, category, partition, epoch, `offset`, {TALLY_COLUMNS})
SELECT day, unit, category, partition, 1700000000, 1, {TALLY_COLUMNS}
FROM records_counted(partitions = 8)
"""
_PENDING: Final = """
INSERT INTO pending (unit, category, partition, epoch, `offset`, counts)
SELECT unit, category, partition, 1700000000, 1,
    arrayMap((d, n) -> (d, n), (sumMap([assumeNotNull(deadline)], [toUInt32(1)]) AS m).1, m.2)
FROM records_placed(partitions = 8) WHERE NOT compliant AND NOT withdrawn
GROUP BY unit, category, partition
"""


# -- out ------------------------------------------------------------------------------------------


def page_times(settings: Settings, records: int) -> dict[str, float]:
    """Make a year of records and tallies, and ask for the page; milliseconds."""
    migrate(settings)
    with Store.open(settings) as store:
        store.command("SET max_partitions_per_insert_block = 1000")
        for begin in range(0, records, 1_000_000):
            count = min(1_000_000, records - begin)
            store.command(_RECORDS.format(records=records, begin=begin, count=count))
        store.command(_TALLIES)
        store.command(_PENDING)
        ((key,),) = store.rows("SELECT lower(hex(record_key)) FROM records LIMIT 1")
        return {
            name: median_ms(lambda sql=sql: store.rows(sql.format(key=key)))  # type: ignore[misc]
            for name, sql in PAGE.items()
        }


def median_ms(ask: Callable[[], Any]) -> float:
    """How long it takes, once it has been done before."""
    ask()
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        ask()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


# -- in -------------------------------------------------------------------------------------------


def arrow_rate(folder: Path, lines: Sequence[bytes]) -> float:
    """A bare loop: the same rows, as Arrow, into the columns of `records`."""
    settings = Settings(clickhouse=f"chdb:{folder}")
    migrate(settings)
    tables = [arrow_of(lines[at : at + ROWS]) for at in range(0, len(lines), ROWS)]
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder), database="xinshao")
    try:
        client.set_client_setting("async_insert", 0)
        begin = time.perf_counter()
        for table in tables:
            client.insert_arrow("records", table)
        return len(lines) / (time.perf_counter() - begin)
    finally:
        client.close()


def arrow_of(lines: Sequence[bytes]) -> pa.Table:
    """Verdict messages as the columns of `records`."""
    rows = [orjson.loads(line) for line in lines]
    for row in rows:
        row["epoch"], row["offset"] = row.pop("position")
        row["record_key"] = bytes.fromhex(row["record_key"])
        row["digest"] = bytes.fromhex(row["digest"])
        row.pop("origin")
        row.pop("printed")  # of licences a bulletin prints nothing
    table = pa.Table.from_pylist(rows)
    for name, kind in (
        ("record_key", pa.binary(16)),
        ("digest", pa.binary(16)),
        *((name, pa.date32()) for name in ("day", "deadline", "first_compliant", "decided")),
        ("received_at", pa.timestamp("us", "UTC")),
    ):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(name).cast(kind))
    return table


def insert_rate(folder: Path, lines: Sequence[bytes]) -> float:
    """Verdict messages into the store, in this thread."""
    settings = Settings(clickhouse=f"chdb:{folder}")
    migrate(settings)
    with Store.open(settings) as store:
        begin = time.perf_counter()
        for at in range(0, len(lines), ROWS):
            store.insert("verdicts", lines[at : at + ROWS])
        return len(lines) / (time.perf_counter() - begin)


@contextmanager
def inserting() -> Iterator[list[float]]:
    """Note when the first insert of verdicts began."""
    insert, begun = Store.insert, []

    def noted(self: Store, table: str, rows: Sequence[bytes]) -> None:
        if table == "verdicts":
            begun.append(time.perf_counter())
        insert(self, table, rows)

    Store.insert = noted  # type: ignore[method-assign]
    try:
        yield begun
    finally:
        Store.insert = insert  # type: ignore[method-assign]


async def judged(settings: Settings, records: int) -> tuple[float, float]:
    """Run a worker until all is judged, and stored where there is a store.

    Answers seconds: since all partitions were served, and since the first insert.
    """
    with inserting() as begun:
        async with working(settings) as worker:
            await until(lambda: serves_all(worker, settings))
            begin = time.perf_counter()
            async with reading(settings, settings.group("judge")) as consumer:
                places = [
                    TopicPartition(settings.topic(SUBMISSIONS), number)
                    for number in range(settings.partitions)
                ]

                async def all_committed() -> bool:
                    return sum([await consumer.committed(p) or 0 for p in places]) >= records

                await until(all_committed, within=3600.0)
            await worker.during(worker.stored())
            return time.perf_counter() - begin, time.perf_counter() - (begun or [begin])[0]


def serves_all(worker: Worker, settings: Settings) -> bool:
    """Whether the judge has begun with all partitions."""
    progress = worker.judging.progress()
    return len(progress) == settings.partitions and not any(each.restoring for each in progress)


async def verdicts_of(settings: Settings) -> list[bytes]:
    """All verdict messages."""
    found: list[bytes] = []
    async with reading(settings) as consumer:
        topic = settings.topic(VERDICTS)
        async for records in read_to_end(consumer, topic, settings.partitions):
            found += [r.value for r in records if is_record_key(r.key) and r.value]
    return found


async def rates(broker: Broker, folder: Path, records: int) -> dict[str, float]:
    """All ways in; records a second."""
    file = folder / "licences"
    write_licences(file, records)

    def fresh(name: str, **given: Any) -> BenchSettings:
        return BenchSettings(
            **{
                "brokers": broker.address,
                "namespace": f"b-{uuid.uuid4().hex[:12]}",
                "idempotence": idempotence(broker),
                "session_timeout": 4.0,
                "data": folder / name,
                "port": free_port(),
                "clock": "data",
                "migrate": True,
                **given,
            }
        )

    alone = fresh("judge")
    submitted = await fill(alone, file)
    took, _ = await judged(alone, submitted)
    found = {"judge": submitted / took}
    stored = alone.model_copy(update={"clickhouse": f"chdb:{folder / 'sink'}"})
    _, took = await judged(stored, submitted)
    found["sink"] = submitted / took
    lines = await verdicts_of(alone)
    whole = fresh("whole", clickhouse=f"chdb:{folder / 'whole-store'}")
    await fill(whole, file)
    took, _ = await judged(whole, submitted)
    found["whole"] = submitted / took
    found["arrow"] = arrow_rate(folder / "arrow", lines)
    found["insert"] = insert_rate(folder / "insert", lines)
    return found


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=100_000, help="licence records that go in")
    parser.add_argument("--year", type=int, default=14_000_000, help="records of the year")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xinshao-ingest-") as name:
        folder = Path(name)
        with serving("tansu") as broker:
            speeds = asyncio.run(rates(broker, folder, given.records))
        times = page_times(Settings(clickhouse=f"chdb:{folder / 'year'}"), given.year)
    if given.json:
        print(json.dumps({"rates": speeds, "page_ms": times}, ensure_ascii=False))
        return
    console = Console()
    table = Table("", "records/s", "to arrow", "to judge", title="into the store")
    for way, speed in speeds.items():
        ratios = (f"{speed / speeds[other]:.2f}" for other in ("arrow", "judge"))
        table.add_row(way, f"{speed:,.0f}", *ratios)
    console.print(table)
    table = Table("", "ms", title=f"a page over {given.year:,} records")
    for what, took in times.items():
        table.add_row(what, f"{took:,.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
