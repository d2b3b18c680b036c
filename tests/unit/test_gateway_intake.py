"""The batch parser: records are told apart as JSON does, or the body is refused."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.intake.gateway.bodies import JSON, NDJSON, records_of
from streams.intake.gateway.problems import Problem

MOST = 50

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
blanks = st.text(" \t\r\n", max_size=3)


@given(
    items=st.lists(values, min_size=1, max_size=9),
    blank=blanks,
    indent=st.sampled_from([None, 1]),
    bom=st.booleans(),
    ascii_only=st.booleans(),
)
def test_an_array_is_cut_where_json_cuts_it(
    items: list[Any], blank: str, indent: int | None, *, bom: bool, ascii_only: bool
) -> None:
    text = blank + json.dumps(items, indent=indent, ensure_ascii=ascii_only) + blank
    body = text.encode("utf-8-sig" if bom else "utf-8", "surrogatepass")
    found = [json.loads(record.decode("utf-8", "surrogatepass")) for record in _cut(body)]
    assert found == items


def _cut(body: bytes) -> list[bytes]:
    return records_of(body, JSON, MOST)


pieces = st.sampled_from(
    [b"[", b"]", b"{", b"}", b",", b'"', b"\\", b":", b" ", b"1", b'"a"', b"{}", b"\xff", b"\x00"]
)


@given(st.lists(pieces, max_size=12).map(b"".join) | st.binary(max_size=40))
def test_only_an_array_is_cut(body: bytes) -> None:
    try:
        expected = json.loads(body)
    except ValueError:
        expected = None
    found: list[bytes] | None = None
    with suppress(Problem):
        found = records_of(body, JSON, MOST)
    if found is None:
        assert not isinstance(expected, list) or expected == []
    elif expected is None:
        # Each is looked at by itself, and what is broken inside of one is refused there.
        joined = b"[" + b",".join(found) + b"]"
        assert records_of(joined, JSON, MOST) == found
    else:
        assert [json.loads(record) for record in found] == expected


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=9), st.sampled_from([b"\n", b"\r\n"]))
def test_a_line_is_a_record(lines: list[bytes], end: bytes) -> None:
    expected = [
        stripped for line in end.join(lines).split(b"\n") if (stripped := line.strip(b" \t\r"))
    ]
    body = end.join(lines)
    assume(not body.startswith(b"\xef\xbb\xbf"))
    if not expected:
        with pytest.raises(Problem, match="empty"):
            records_of(body, NDJSON, MOST)
        return
    assert records_of(body, NDJSON, MOST) == expected


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (JSON, b"", "json"),
        (JSON, b"{}", "json"),
        (JSON, b"[]", "empty"),
        (JSON, b"[{}", "json"),
        (JSON, b"[{},]", "json"),
        (JSON, b"[1}", "json"),
        (JSON, b"[,{}]", "json"),
        (JSON, b"[{}] [{}]", "json"),
        (JSON, b'["', "json"),
        (JSON, b"[" * 100_000, "json"),
        (JSON, b'["\\', "json"),
        (JSON, b"[" + b"{}," * MOST + b"{}]", "too-many"),
        (NDJSON, b"\xef\xbb\xbf\n \r\n", "empty"),
        (NDJSON, b"{}\n" * (MOST + 1), "too-many"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_whole(kind: str, body: bytes, code: str) -> None:
    with pytest.raises(Problem) as refused:
        records_of(body, kind, MOST)
    assert refused.value.code == code


def test_a_mark_in_a_text_is_none_and_depth_costs_nothing() -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    tricky = rb'{"a": "], [\" \\", "b": "}{"}'
    assert _cut(b"[" + tricky + b", " + deep + b"]") == [tricky, deep]
