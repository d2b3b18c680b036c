"""`xinshao submit` as a process, against the real gateway, worker and store: who dies, and when."""

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from models.tally import NOTHING
from models.words import SHANGHAI, Category, Op
from streams.client import Outcome
from streams.client.batches import BATCH_ROWS
from streams.client.outcome import ACCEPTED, REFUSED
from streams.keys import issue
from streams.registry import load_registry
from streams.store import Store
from streams.tansu import HOST, Tansu, free_port, listening
from streams.topics import SUBMISSIONS, core_topics, ensure_topics
from streams.worker import working
from tests.chaos.processes import environment
from tests.clickhouse import assert_equal_to_log
from tests.oracle import (
    PLATFORM,
    all_committed,
    assert_equal_to_oracle,
    read_log,
    settings_for,
    until,
)
from tests.samples import delivery

ROUNDS = 300
BATCHES = 5


def good(number: int) -> bytes:
    return delivery(received_at=None, XK_WSH=f"武夏行审许〔2022〕{number}号")


def faulty(number: int) -> bytes:
    return delivery(Category.PENALTY, received_at=None, CF_WSH=f"武夏环罚〔2022〕{number}号", CF_NR="")


def rows_of(number: int) -> list[tuple[bytes, str]]:
    """Rows of every kind, and what must become of each."""
    withdrawal = delivery(
        op=Op.WITHDRAW,
        received_at=None,
        XK_WSH=f"武夏行审许〔2022〕{number}号",
        envelope={"reason": "报送有误"} if number % 2 else {"reason": ""},
    )
    return [
        (good(number), ACCEPTED),
        (faulty(number), ACCEPTED),
        (good(number), ACCEPTED),
        (good(number).replace("江夏区".encode(), "汉阳区".encode()), REFUSED),
        (b'{"unit": "\xff', REFUSED),
        (b"{", REFUSED),
        (withdrawal, ACCEPTED if number % 2 else REFUSED),
    ]


@contextlib.contextmanager
def killed_at_last(process: "subprocess.Popen[bytes]") -> Any:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def xinshao(*arguments: str, **told: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        env={**os.environ, **told},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
