"""Tallies: a commutative group, and a fold that can move."""

from datetime import date
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from models.submission import Position
from models.tally import NOTHING, Bucket, Duty, Tallies, Tally
from models.verdict import RecordState
from models.words import Category

tallies = st.builds(Tally, *[st.integers(-(10**9), 10**9)] * len(NOTHING))
days = st.dates(date(2022, 6, 1), date(2022, 6, 3))


@st.composite
def states(draw: st.DrawFn) -> RecordState:
    return RecordState(
        Position(1, draw(st.integers(0, 100))),
        draw(st.integers(1, 5)),
        b"",
        draw(st.sampled_from(["江夏区", "江汉区"])),
        draw(st.sampled_from([Category.LICENCE, Category.PENALTY])),
        draw(days),
        draw(st.none() | days),
        False,
        draw(st.booleans()),
        draw(st.none() | st.booleans()),
        None,
        draw(st.booleans()),
        draw(st.integers(0, 3)),
        draw(st.integers(0, 3)),
    )


@given(tallies, tallies, tallies)
def test_tallies_are_a_commutative_group(a: Tally, b: Tally, c: Tally) -> None:
    assert a.plus(b) == b.plus(a)
    assert a.plus(b).plus(c) == a.plus(b.plus(c))
    assert a.plus(NOTHING) == a
    assert a.minus(a) == NOTHING
    assert a.plus(b).minus(b) == a


@given(st.lists(st.lists(states(), min_size=1, max_size=4), max_size=8), st.randoms())
def test_moving_equals_counting_anew_in_any_order(
    histories: list[list[RecordState]], random: Random
) -> None:
    # A record's unit, category and day never change; its versions come in order.
    records = [
        [
            state._replace(unit=first.unit, category=first.category, day=first.day)
            for state in history
        ]
        for history in histories
        for first in history[:1]
    ]
    moved = Tallies()
    ahead = [0] * len(records)
    while open_ones := [i for i, record in enumerate(records) if ahead[i] < len(record)]:
        i = random.choice(open_ones)
        record, at = records[i], ahead[i]
        moved.move(record[at - 1] if at else None, record[at])
        ahead[i] += 1
    anew = Tallies()
    for record in records:
        anew.move(None, record[-1])
    assert {b: t for b, t in moved if t != NOTHING} == {b: t for b, t in anew if t != NOTHING}
    assert all(moved.pending(duty) == anew.pending(duty) for duty in moved.duties)
    for bucket, tally in anew:
        members = [
            r[-1] for r in records if Bucket(r[-1].unit, r[-1].category, r[-1].day) == bucket
        ]
        total = NOTHING
        for state in members:
            total = total.plus(Tally.of(state))
        assert tally == total
        assert 0 <= tally.timely + tally.late <= tally.compliant <= tally.reported
    assert sum(sum(anew.pending(duty).values()) for duty in anew.duties) == sum(
        t.pending for _, t in anew
    )


def test_pending_counts_by_deadline() -> None:
    state = RecordState(
        Position(1, 0),
        1,
        b"",
        "江夏区",
        Category.PENALTY,
        date(2022, 6, 3),
        date(2022, 6, 22),
        False,
        False,
        None,
        None,
    )
    fold = Tallies()
    fold.move(None, state)
    bucket = Bucket(state.unit, state.category, state.day)
    duty = Duty("江夏区", Category.PENALTY)
    assert fold.pending(duty) == {date(2022, 6, 22): 1}
    assert fold[bucket] == Tally(reported=1)
    assert fold.changed == {bucket, duty}
    fold.move(state, state._replace(compliant=True, timely=True, corrections=1))
    assert fold.pending(duty) == {}
    assert fold[bucket] == Tally(reported=1, compliant=1, timely=1, corrections=1)
