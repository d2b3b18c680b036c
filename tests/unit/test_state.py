"""The store of record state: what is put is there, whole, and a broken one is started anew."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.submission import Position
from models.verdict import RecordState
from models.words import Category
from streams.judging.state import Applied, Checkpoint, Logs, StateError, StateStore

days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
states = st.builds(
    RecordState,
    st.builds(Position, st.integers(0, 2**40), st.integers(0, 2**40)),
    st.integers(1, 99),
    st.binary(min_size=16, max_size=16),
    st.sampled_from(["江夏区", "市公管办(市政务服务和大数据管理局)"]),
    st.sampled_from(list(Category)),
    days,
    st.none() | days,
    st.booleans(),
    st.booleans(),
    st.none() | st.booleans(),
    st.none() | days,
    st.booleans(),
    st.integers(0, 99),
    st.integers(0, 99),
)
keys = st.binary(min_size=16, max_size=16)
LOGS = Logs(7, 8)
STATE = RecordState(
    Position(7, 1), 1, b"d" * 16, "江夏区", Category.PENALTY, date(2022, 6, 1), None, False, True,
    None, date(2022, 6, 1),
)  # fmt: skip


@given(st.dictionaries(keys, states, max_size=20), st.dictionaries(keys, states, max_size=20))
def test_what_is_put_is_there(
    tmp_path_factory: pytest.TempPathFactory,
    one: dict[bytes, RecordState],
    two: dict[bytes, RecordState],
) -> None:
    folder = tmp_path_factory.mktemp("state")
    store = StateStore(folder)
    store.partition(1).put(one, Checkpoint(LOGS, 5, {"ingress/0": 3}))
    store.partition(256).put(two, Checkpoint(LOGS, 6, {}))
    for _ in range(2):
        first, second = store.partition(1), store.partition(256)
        assert dict(first) == one
        assert dict(second) == two
        assert first.checkpoint == Checkpoint(LOGS, 5, {"ingress/0": 3})
        assert first.get([*two, b"-" * 16]) == [*(one.get(key) for key in two), None]
        store.close()
        store = StateStore(folder)
    store.partition(1).clear()
    assert dict(store.partition(1)) == {}
    assert store.partition(1).checkpoint is None
    assert dict(store.partition(256)) == two
    store.close()


def test_requests_stand_beside_the_records_and_are_put_with_them(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    record = b"request/platform"  # a record's key may look like anything
    first, second = Applied({0, 9, 300}, date(2022, 6, 1)), Applied({1}, date(2022, 6, 2))
    states = store.partition(1)
    states.put({record: STATE}, Checkpoint(LOGS, 1, {}), {"request/platform/1": first})
    states.put({}, Checkpoint(LOGS, 2, {}), {"request/platform/2": second})
    store.close()
    store = StateStore(tmp_path)
    states = store.partition(1)
    assert dict(states) == {record: STATE}
    assert dict(states.requests()) == {b"request/platform/1": first, b"request/platform/2": second}
    assert states.request("request/platform/1") == first
    assert store.partition(2).request("request/platform/1") is None
    states.forget([b"request/platform/1"])
    assert dict(states.requests()) == {b"request/platform/2": second}
    states.clear()
    assert [*states, *states.requests(), states.request("request/platform/2")] == [None]
    store.close()


def test_a_store_has_no_checkpoint_before_the_first_put(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "new")
    assert store.partition(0).checkpoint is None
    assert list(store.partition(0)) == []
    store.close()


def test_a_store_that_is_in_use_is_refused(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    with pytest.raises(StateError, match="另一个进程正在使用"):
        StateStore(tmp_path)
    store.close()


def test_a_corrupt_store_is_started_anew(tmp_path: Path) -> None:
    store = StateStore(tmp_path)
    store.partition(0).put({b"k" * 16: STATE}, Checkpoint(LOGS, 1, {}))
    store.close()
    for path in tmp_path.glob("MANIFEST-*"):
        path.write_bytes(b"rubbish" * 100)
    store = StateStore(tmp_path)
    assert store.partition(0).checkpoint is None
    store.close()


def test_the_options_hold_for_an_existing_store(tmp_path: Path) -> None:
    for _ in range(2):
        store = StateStore(tmp_path)
        store.partition(0).put({b"k" * 16: STATE}, Checkpoint(LOGS, 1, {}))
        store.close()
    log = (tmp_path / "LOG").read_text("utf-8", errors="replace")
    assert "filter_policy: bloomfilter" in log
    assert "capacity : 134217728" in log
