"""The schemas: a valid record of every category, every rule broken, nothing hidden."""

import csv
import io
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import SCHEMAS
from models.rules import LONG_TERM, PLACEHOLDERS, parse_amount, parse_day, shown
from models.submission import Submission, Unreadable, read_submission
from models.words import SHANGHAI, Category, Op
from tests.support.samples import AGENCY_CODE, CREDIT_CODE, RESIDENT_ID, VALID, delivery

ON = date(2022, 6, 3)
FORBIDDEN = ["\x00", "\x1f", "\x7f", "\x85", "\u200b", "\u202e", "\ue000", "\ufffc", "\ufffd"]


def screened(submission: Submission) -> bool:
    schema, values = submission.schema, submission.values
    return schema.screen(values, schema.content(values), ON)


def reasons(category: Category, **changes: Any) -> list[tuple[str, str]]:
    submission = read_submission(delivery(category, **changes))
    return [
        (reason.rule, reason.field)
        for reason in submission.schema.reasons(submission.values, submission.misfits, ON)
    ]


def test_every_category_has_a_schema() -> None:
    assert set(SCHEMAS) == set(Category)
    assert set(VALID) == set(Category)


@pytest.mark.parametrize("category", Category)
def test_a_valid_record_breaks_no_rule_and_passes_the_screen(category: Category) -> None:
    submission = read_submission(delivery(category))
    assert submission.clean
    assert screened(submission)
    assert reasons(category) == []


@pytest.mark.parametrize("category", Category)
def test_every_mandatory_item_is_missed(category: Category) -> None:
    schema = SCHEMAS[category]
    for code in schema.required:
        assert ("required", code) in reasons(category, **{code: ""})
        assert ("required", code) in reasons(category, **{code: None})
        assert ("required", code) in reasons(category, without=(code,))


def test_field_codes_and_names_are_those_of_the_published_lists() -> None:
    text = (Path(__file__).parents[1] / "data/record_fields.csv").read_text("utf-8-sig")
    fields = list(csv.DictReader(io.StringIO(text)))
    assert len(fields) == 79
    for field in fields:
        schema = SCHEMAS[next(c for c in Category if c.zh == field["dataset"])]
        assert schema.items[field["code"]].name == field["name"]
        if field["mandatory"] == "M":
            assert field["code"] in schema.required


def test_one_broken_field_never_hides_another() -> None:
    broken: dict[str, Any] = {
        "XK_XDR_MC": "测试",
        "XK_XDR_LB": "公司",
        "XK_XDR_SHXYM": CREDIT_CODE[:-1] + "#",
        "XK_WSH": "无",
        "XK_NR": "x" * 4001,
        "XK_JDRQ": "2022-02-30",
        "XK_YXQZ": "2022-06-02",
        "XK_YXQZI": "2021-06-01",
        "XK_XKJGDM": ["11"],
        "XK_ZT": 3,
        "XK_LYDW": "局\u200b",
    }
    assert set(reasons(Category.LICENCE, **broken)) == {
        ("placeholder", "XK_XDR_MC"),
        ("code-list", "XK_XDR_LB"),
        ("credit-code", "XK_XDR_SHXYM"),
        ("placeholder", "XK_WSH"),
        ("document-number", "XK_WSH"),
        ("length", "XK_NR"),
        ("date", "XK_JDRQ"),
        ("date-order", "XK_YXQZI"),
        ("type", "XK_XKJGDM"),
        ("code-list", "XK_ZT"),
        ("control-character", "XK_LYDW"),
    }


@pytest.mark.parametrize(
    ("category", "changes", "broken"),
    [
        (Category.LICENCE, {"XK_XDR_SHXYM": ""}, ("required-when", "XK_XDR_SHXYM")),
        (Category.LICENCE, {"XK_FRDB": ""}, ("required-when", "XK_FRDB")),
        (
            Category.LICENCE,
            {"XK_XDR_SHXYM": "00000000000000000X"},
            ("credit-code", "XK_XDR_SHXYM"),
        ),
        (
            Category.LICENCE,
            {"XK_XDR_LB": "个体工商户", "XK_XDR_SHXYM": "00000000000000000X"},
            ("required-when", "XK_XDR_GSZC"),
        ),
        (Category.LICENCE, {"XK_XDR_LB": "自然人"}, ("required-when", "XK_XDR_ZJHM")),
        (Category.LICENCE, {"XK_FR_ZJHM": "420115199003071235"}, ("resident-id", "XK_FR_ZJHM")),
        (Category.LICENCE, {"XK_JDRQ": "2022-06-04"}, ("date-future", "XK_JDRQ")),
        (Category.LICENCE, {"XK_JDRQ": "2012-06-04"}, ("date-stale", "XK_JDRQ")),
        (Category.PENALTY, {"CF_CFLB": "罚钱"}, ("code-list", "CF_CFLB")),
        (Category.PENALTY, {"CF_NR_FK": ""}, ("required-when", "CF_NR_FK")),
        (Category.PENALTY, {"CF_NR_FK": "0"}, ("amount-positive", "CF_NR_FK")),
        (Category.PENALTY, {"CF_NR_FK": "三万"}, ("amount", "CF_NR_FK")),
        (Category.PENALTY, {"CF_CFLB": "没收违法所得"}, ("required-when", "CF_NR_WFFF")),
        (Category.PENALTY, {"CF_CFLB": "吊销许可证件"}, ("required-when", "CF_NR_ZKDX")),
        (Category.PENALTY, {"CF_GSJZQ": "2022-05-31"}, ("date-order", "CF_GSJZQ")),
        (Category.INSPECTION, {"JC_JG": "不合格"}, ("required-when", "JC_CLYJ")),
        (Category.COMMITMENT, {"code": "42011520220631000012"}, ("commitment-code", "code")),
        (Category.COMMITMENT, {"identify": "420"}, ("subject-code", "identify")),
        (
            Category.FULFILMENT,
            {"fulfillmentStatus": "部分履行"},
            ("required-when", "unperformedCommitmentContent"),
        ),
        (
            Category.FULFILMENT,
            {"liabilityBreachCommitmentContent": "已追究"},
            ("empty-when", "liabilityBreachCommitmentContent"),
        ),
        (Category.FULFILMENT, {"commitmentId": "甲乙丙"}, ("whole-number", "commitmentId")),
        (Category.PUBLICITY, {"WZLJ": "news.example"}, ("web-address", "WZLJ")),
    ],
)
def test_each_rule_has_a_record_that_breaks_it(
    category: Category, changes: dict[str, Any], broken: tuple[str, str]
) -> None:
    assert broken in reasons(category, **changes)


def test_a_sole_trader_without_a_code_and_a_natural_person_are_compliant() -> None:
    sole_trader: dict[str, Any] = {
        "XK_XDR_LB": "个体工商户",
        "XK_XDR_SHXYM": "00000000000000000X",
        "XK_XDR_GSZC": "420115600123456",
        "XK_FRDB": "",
    }
    person: dict[str, Any] = {
        "XK_XDR_MC": "李秀英",
        "XK_XDR_LB": "自然人",
        "XK_XDR_SHXYM": "",
        "XK_XDR_ZJLX": "身份证",
        "XK_XDR_ZJHM": RESIDENT_ID,
    }
    assert reasons(Category.LICENCE, **sole_trader) == []
    assert reasons(Category.LICENCE, **person) == []


@pytest.mark.parametrize("character", FORBIDDEN)
def test_a_forbidden_character_is_found(character: str) -> None:
    submission = read_submission(delivery(XK_NR=f"准予{character}排放"))
    assert not screened(submission)
    assert reasons(Category.LICENCE, XK_NR=f"准予{character}排放") == [
        ("control-character", "XK_NR")
    ]


@pytest.mark.parametrize("text", ["*******", "-----", "无", "Null", "n/a"])
def test_a_placeholder_is_found(text: str) -> None:
    assert reasons(Category.LICENCE, XK_NR=text) == [("placeholder", "XK_NR")]
    assert not screened(read_submission(delivery(XK_NR=text)))


def test_a_remark_may_say_none_and_a_long_text_may_have_lines() -> None:
    assert reasons(Category.LICENCE, BZ="无", XK_NR="第一行\n第二行\t续") == []


def values_of(category: Category) -> st.SearchStrategy[Any]:
    """Values near the edge: valid ones, mutilated ones, and anything JSON can hold."""
    valid = st.sampled_from(sorted(set(VALID[category].values())))
    return st.one_of(
        valid,
        st.sampled_from(sorted(PLACEHOLDERS)),
        st.builds(
            lambda text, at, extra: text[: at % (len(text) + 1)] + extra + text[at % len(text) :],
            valid,
            st.integers(0, 40),
            st.text(max_size=2) | st.sampled_from(FORBIDDEN),
        ),
        st.text(max_size=20),
        st.none(),
        st.integers(-(2**63), 2**63),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(st.booleans(), max_size=2),
        st.dates().map(str),
    )


@given(st.data())
def test_what_passes_the_screen_breaks_no_rule(data: st.DataObject) -> None:
    category = data.draw(st.sampled_from(list(Category)))
    codes = st.sampled_from(list(SCHEMAS[category].items))
    changes = data.draw(st.dictionaries(codes, values_of(category), max_size=3))
    submission = read_submission(delivery(category, **changes))
    if submission.clean and screened(submission):
        assert list(submission.schema.reasons(submission.values, submission.misfits, ON)) == []


@given(st.data())
def test_no_message_holds_a_resident_id(data: st.DataObject) -> None:
    category = data.draw(st.sampled_from([Category.LICENCE, Category.PENALTY, Category.COMMITMENT]))
    code = data.draw(st.sampled_from(list(SCHEMAS[category].items)))
    around = st.text(st.sampled_from("无号 (（:0甲"), max_size=3)
    value = data.draw(around) + RESIDENT_ID + data.draw(around)
    submission = read_submission(delivery(category, **{code: value}))  # type: ignore[arg-type]
    for reason in submission.schema.reasons(submission.values, submission.misfits, ON):
        assert RESIDENT_ID not in reason.message
        assert RESIDENT_ID[6:14] not in reason.message


# --- reading --------------------------------------------------------------------------------


def test_a_submission_is_read_the_same_by_both_ways() -> None:
    plain = read_submission(delivery(BZ=" 备 注　"))
    closely = read_submission(delivery(BZ=" 备 注　", XK_ZT="一"))
    assert plain.clean
    assert not closely.clean
    assert list(plain.values) == list(closely.values) == list(SCHEMAS[Category.LICENCE].items)
    assert {**closely.values, "XK_ZT": "1"} == plain.values
    assert plain.values["BZ"] == "备 注"
    assert plain.received_at == closely.received_at


def test_nulls_are_blanks_and_numbers_are_texts() -> None:
    submission = read_submission(delivery(XK_XDR_GSZC=None, XK_XKBH=12, XK_ZT=1))
    assert submission.values["XK_XDR_GSZC"] == ""
    assert submission.values["XK_XKBH"] == "12"
    assert submission.values["XK_ZT"] == "1"
    assert reasons(Category.LICENCE, XK_ZT=1) == []


def test_the_chinese_name_of_a_category_is_read() -> None:
    raw = delivery(envelope={"category": "行政许可"})
    assert read_submission(raw).schema is SCHEMAS[Category.LICENCE]


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'{"unit": "\xff\xfe"}', "json"),
        (b"[1]", "json"),
        (b"[" * 100_000, "json"),
        (delivery(unit=" "), "unit"),
        (delivery(envelope={"unit": 3}), "unit"),
        (delivery(envelope={"category": "许可"}), "category"),
        (delivery(envelope={"category": ["licence"]}), "category"),
        (delivery(envelope={"op": "delete"}), "op"),
        (delivery(envelope={"op": []}), "op"),
        (delivery(envelope={"record": "x"}), "record"),
        (delivery(received_at=None), "received-at"),
        (delivery(envelope={"received_at": "2022-06-03T09:00:00"}), "received-at"),
        (delivery(envelope={"received_at": "yesterday"}), "received-at"),
        (delivery(op=Op.WITHDRAW, envelope={"reason": ""}), "withdraw-reason"),
        (delivery(op=Op.WITHDRAW, envelope={"reason": 1}), "withdraw-reason"),
    ],
)
def test_what_cannot_be_read_says_why(raw: bytes, rule: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_submission(raw)
    assert caught.value.rule == rule
    assert str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["unit", "category", "op", "record", "received_at", "reason"]), inner
        )
    ),
)


@given(st.binary(max_size=200) | JSON.map(orjson.dumps))
def test_reading_raises_nothing_but_unreadable(raw: bytes) -> None:
    with suppress(Unreadable):
        assert isinstance(read_submission(raw), Submission)


def test_unreadable_never_carries_the_input() -> None:
    with pytest.raises(Unreadable) as caught:
        read_submission(delivery(envelope={"received_at": RESIDENT_ID}))
    error: BaseException | None = caught.value
    while error is not None:
        assert RESIDENT_ID not in repr(error)
        error = error.__cause__
    assert caught.value.__suppress_context__


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["2022-06-03", "2022/6/3", "2022.6.3", "20220603", "2022年6月3日", "2022-06-03 00:00:00"],
)
def test_days_are_read_in_every_form(text: str) -> None:
    assert parse_day(text) == date(2022, 6, 3)


@pytest.mark.parametrize(
    "text", ["", "2022-13-01", "2022-02-29", "0022-06-03", "22-6-3", "２０２２-06-03", "2100-01-01"]
)
def test_what_is_no_day_is_none(text: str) -> None:
    assert parse_day(text) is None


def test_long_term_is_a_day() -> None:
    assert parse_day("2099-12-31") == LONG_TERM


@given(st.text(max_size=30))
def test_parsers_of_values_never_raise(text: str) -> None:
    parse_day(text)
    parse_amount(text)
    shown(text)


@pytest.mark.parametrize("text", ["-1", "1e99", "NaN", "Infinity", "0.0000001", "1,000", "", "一"])
def test_what_is_no_amount(text: str) -> None:
    assert parse_amount(text) is None


# --- identity of records ----------------------------------------------------------------------


def key(**changes: Any) -> bytes:
    submission = read_submission(delivery(Category.PENALTY, **changes))
    return submission.schema.record_key("江夏区", submission.values, b"secret")


def test_all_spellings_of_a_document_number_name_one_record() -> None:
    assert key() == key(CF_WSH="武夏环罚[2022]12号") == key(CF_WSH=" 武夏环罚（２０２２）第012号 ")
    assert key() != key(CF_WSH="武夏环罚〔2022〕13号")


def test_a_corrected_code_is_still_the_same_record() -> None:
    assert key() == key(CF_XDR_SHXYM=AGENCY_CODE)


def test_the_subject_and_the_secret_are_part_of_the_key() -> None:
    submission = read_submission(delivery(Category.PENALTY))
    assert key() != key(CF_XDR_MC="武汉市江夏区光明超市")
    assert key() != submission.schema.record_key("江夏区", submission.values, b"other")
    assert key() != submission.schema.record_key("江汉区", submission.values, b"secret")


def test_records_without_a_number_never_hide_each_other() -> None:
    assert key(CF_WSH="") != key(CF_WSH="", CF_NR="另案处理")
    assert key(CF_WSH="") == key(CF_WSH="")


def test_a_submission_received_in_another_zone_has_its_day_in_shanghai() -> None:
    raw = delivery(envelope={"received_at": "2022-06-02T20:00:00Z"})
    assert read_submission(raw).received_on == date(2022, 6, 3)
    assert read_submission(raw).received_at.astimezone(SHANGHAI).hour == 4
