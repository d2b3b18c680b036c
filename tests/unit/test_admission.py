"""Admission: what a platform sent goes into the log as it was sent, and what is settled stands."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.submission import Origin, Position, Submission, read_delivery, read_submission
from streams.intake.admission import OFFICE, Arrival, Speaker, admit
from streams.registry import load_registry
from tests.support.samples import delivery, values_of

REGISTRY = load_registry(Path("deploy/registry"), identity_key=b"test")
PLATFORM = Speaker("caidian-dashuju", "蔡甸区大数据平台", lambda _unit, _category: True)
AT = datetime(2022, 6, 10, 4, 0, 0, 123456, tzinfo=UTC)
ARRIVAL = Arrival(AT, "made-by-us", Origin("request/caidian-dashuju/mark", 7))


def put(raw: bytes, speaker: Speaker, arrival: Arrival) -> tuple[Submission, bytes]:
    """What was let in, and the message that is written."""
    submission, _, _, message = admit(read_delivery(raw), raw, speaker, arrival, REGISTRY, 4)
    assert message.key == submission.record_key
    return submission, message.value or b""


CLAIMS = [
    b'"id":"mine"',
    b'"i\\u0064":"mine"',
    b'"received_at":"1999-01-01T00:00:00+08:00"',
    b'"received\\u005fat" : null',
    b'"platform":"another"',
    b'"platform":["another"]',
    b'"origin":["ingress/1/0",99]',
    b'"origin":"nowhere"',
    b'"extra":{"id":1}',
]


@given(
    st.lists(st.sampled_from(CLAIMS), max_size=6),
    st.lists(st.sampled_from(CLAIMS), max_size=6),
    st.text(" \t\r\n", max_size=3).map(str.encode),
)
def test_what_a_sender_claims_never_stands_against_what_is_settled(
    before: list[bytes], behind: list[bytes], blank: bytes
) -> None:
    own = delivery(received_at=None)[1:-1]
    raw = blank + b"{" + b",".join([*before, own, *behind]) + blank + b"}" + blank
    for speaker, arrival in ((PLATFORM, ARRIVAL), (OFFICE, Arrival(AT))):
        submission, value = put(raw, speaker, arrival)
        assert value.startswith(raw.rstrip()[:-1])
        assert read_submission(value, submission.record_key, submission.position) == submission
        assert submission.received_at == AT
        assert (submission.id, submission.platform, submission.origin) == (
            arrival.id,
            speaker.platform,
            arrival.origin,
        )
        assert orjson.loads(value)["record"] == submission.record


@pytest.mark.parametrize("digits", [str(2**64), str(-(2**63) - 1), "420115" * 20])
def test_a_number_keeps_every_digit_on_its_way(digits: str) -> None:
    raw = delivery(XK_XKBH="@").replace(b'"@"', digits.encode())
    submission, value = put(raw, PLATFORM, ARRIVAL)
    assert values_of(submission)["XK_XKBH"] == digits
    assert values_of(read_submission(value, bytes(16), Position(1, 2)))["XK_XKBH"] == digits
