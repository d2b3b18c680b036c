"""`xinshao submit` as a process against the real gateway, worker and store, whoever is killed."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import orjson

from models.tally import NOTHING
from models.words import Category, Op
from streams.client import Outcome
from streams.client.batches import BATCH_ROWS
from streams.client.outcome import ACCEPTED, REFUSED
from streams.demo.tansu import HOST, Tansu, listening
from streams.log.topics import SUBMISSIONS
from streams.store.client import Store
from streams.worker import working
from tests.support.clickhouse import assert_equal_to_log
from tests.support.oracle import (
    all_committed,
    assert_equal_to_oracle,
    gateway_settings,
    read_log,
)
from tests.support.processes import XINSHAO, environment, until
from tests.support.samples import delivery

ROUNDS = 300

Program = subprocess.Popen[bytes]


def round_of(number: int) -> list[tuple[bytes, str]]:
    """Rows of every kind, and what is to become of each."""
    document = f"武夏行审许〔2022〕{number}号"
    good = delivery(received_at=None, XK_WSH=document)
    reason = "报送有误" if number % 2 else ""
    return [
        (good, ACCEPTED),
        (delivery(Category.PENALTY, CF_WSH=f"武夏环罚〔2022〕{number}号", CF_NR=""), ACCEPTED),
        (good, ACCEPTED),
        (delivery(unit="汉阳区", XK_WSH=document), REFUSED),
        (b'{"unit": "\xff"}', REFUSED),
        (b"{", REFUSED),
        (
            delivery(op=Op.WITHDRAW, XK_WSH=document, envelope={"reason": reason}),
            ACCEPTED if reason else REFUSED,
        ),
    ]


@contextmanager
def xinshao(verb: str, *arguments: str, **told: str) -> Iterator[Program]:
    """`xinshao` as a process; killed at the end, should it still run."""
    with subprocess.Popen(
        [*XINSHAO, verb, *arguments],
        env={**os.environ, **told},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_what_was_accepted_is_in_the_store_once(tansu: Tansu, tmp_path: Path) -> None:
    settings, key = await gateway_settings(
        tansu,
        tmp_path,
        clickhouse=f"chdb:{tmp_path / 'store'}",
        gateway_rate=500.0,  # slow enough to be caught in the middle; the client is told to wait
        gateway_burst=500.0,
    )
    rows = [row for number in range(1, ROUNDS + 1) for row in round_of(number)]
    file = tmp_path / "June.ndjson"
    file.write_bytes(b"\n".join(raw for raw, _ in rows))
    blind = settings.model_copy(update={"clickhouse": ""})  # one process may open a chdb

    def gateway() -> AbstractContextManager[Program]:
        return xinshao("gateway", **environment(blind))

    def client() -> AbstractContextManager[Program]:
        address = f"http://{HOST}:{settings.gateway_port}"
        told = {"XINSHAO_URL": address, "XINSHAO_KEY": key, "XDG_CONFIG_HOME": str(tmp_path)}
        return xinshao("submit", str(file), "--json", **told)

    def journaled() -> list[bytes]:
        """The lines of the client's journal: its head, then one a batch."""
        found = [*(tmp_path / "xinshao" / "submit").glob("*.ndjson")]
        return found[0].read_bytes().splitlines(keepends=True) if found else []

    async def written() -> int:
        return sum(map(len, (await read_log(settings, SUBMISSIONS)).values()))

    last = 1 + len(rows) // BATCH_ROWS  # the last batch is a short one
    async with working(settings) as worker:
        with gateway():
            await until(lambda: listening(settings.gateway_port))
            with client() as killed:
                await until(lambda: len(journaled()) > 2)
                killed.kill()
            begun = journaled()
            assert len(begun) <= last
        # Killed when the gateway had answered and nothing of it was kept; and no gateway remembers.
        (journal,) = (tmp_path / "xinshao" / "submit").iterdir()
        journal.write_bytes(b"".join(begun[:-1]))
        before = await written()
        with client() as resumed:
            with gateway():
                await until(lambda: len(journaled()) > len(begun))
            assert resumed.poll() is None, "it was done before the gateway was killed"
            with gateway():
                printed, _ = await asyncio.to_thread(resumed.communicate)
        assert resumed.returncode == 1  # there is something to mend
        await all_committed(settings)
        await worker.during(worker.stored())
        outcomes = [Outcome(**orjson.loads(line)) for line in printed.splitlines()]
        assert [(each.row, each.status) for each in outcomes] == [
            (number, status) for number, (_, status) in enumerate(rows, start=1)
        ]
        ids = [each.id for each in outcomes if each.status == ACCEPTED]
        assert await written() > len(ids) > before, "nothing was sent twice"
        await assert_equal_to_oracle(settings)
        with Store.open(settings) as store:
            told = await assert_equal_to_log(settings, store)
            stored = store.rows("SELECT submission, count() FROM submissions_now GROUP BY 1")
        assert dict(stored) == dict.fromkeys(ids, 1)
    total = NOTHING
    for tally in told.tallies.values():
        total = total.plus(tally)
    assert (total.reported, total.compliant) == (ROUNDS * 3 // 2, ROUNDS // 2)
    assert (total.duplicates, total.withdrawn) == (ROUNDS, ROUNDS // 2)
