import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.docnumber import DocumentNumber, parse_document_number


def parsed(text: str) -> DocumentNumber:
    number = parse_document_number(text)
    assert number is not None, text
    return number


OPENING = "〔[(（【［《<〈﹝{｛"
CLOSING = "〕])）】］》>〉﹞}｝"

SPELLINGS = [
    "武环许〔2022〕12号",
    "武环许字〔2022〕12号",
    "武环许字〔2022〕第12号",
    "武环许字第〔2022〕12号",
    "武环许〔2022〕字第12号",
    "武环许〔2022〕第０１２号",
    "武环许〔2022〕0012號",
    "武环许〔2022〕12",
    "武环许〔２０２２〕１２号",
    " 武 环 许　〔 2022 〕\t12 号 \n",
    "武环许\u200b〔2022\ufeff〕12号",
    "武环许〔2022年〕12号",
    "武环许〔2022年度〕第12号",
    "武环许2022年第12号",
    "武环许2022年12号",
    "武环许字2022第12号",
    "武环许2022-12号",
    "武环许-2022-0012",
    "武环许（2022〕12号",
    "武环许〔2022-12号",
    "武环许2022〕12号",
    "武环许〔〔2022〕〕12号",
    "《武环许〔2022〕12号》",
    "（武环许〔2022〕12号）",
    "武环许〔2022〕12号。",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_spellings_of_one_number_meet(text: str) -> None:
    number = parsed(text)
    assert number.normal == "武环许〔2022〕12号"
    assert number.series_key == ("武环许", 2022, "")
    assert number == ("武环许", 2022, "", 12, "")


@pytest.mark.parametrize(("opening", "closing"), list(product(OPENING, CLOSING)))
def test_every_pair_of_brackets(opening: str, closing: str) -> None:
    assert parsed(f"武环许{opening}2022{closing}12号").normal == "武环许〔2022〕12号"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("武市监罚字[2022]第A12号", ("武市监罚", 2022, "A", 12, "")),
        ("武市监罚字[2022]第a-012号", ("武市监罚", 2022, "A", 12, "")),
        ("武市监罚〔2022〕江夏12号", ("武市监罚", 2022, "江夏", 12, "")),
        ("武环罚〔2022〕12-1号", ("武环罚", 2022, "", 12, "-1")),
        ("武环罚〔2022〕12号-01", ("武环罚", 2022, "", 12, "-1")),
        ("武环罚〔2022〕12号之一", ("武环罚", 2022, "", 12, "-1")),
        ("武环罚〔2022〕12之一号", ("武环罚", 2022, "", 12, "-1")),
        ("武环罚〔2022〕12号之10", ("武环罚", 2022, "", 12, "-10")),
        ("武环罚〔2022〕12号之十", ("武环罚", 2022, "", 12, "-10")),
        ("武环罚〔2022〕1-2-3号", ("武环罚", 2022, "", 1, "-2-3")),
        ("武环罚〔2022〕12A号", ("武环罚", 2022, "", 12, "A")),
        ("武环罚〔2022〕12号（补）", ("武环罚", 2022, "", 12, "(补)")),
        ("武环罚〔2022〕12号（共2份）", ("武环罚", 2022, "", 12, "(共2份)")),
        ("武环罚〔2022〕12号、13号", ("武环罚", 2022, "", 12, "、13号")),
        ("武环罚〔2022〕12-013号", ("武环罚", 2022, "12-", 13, "")),
        (
            "鄂武公（交）决字［2022］第420102-1900123456号",
            ("鄂武公(交)决", 2022, "420102-", 1900123456, ""),
        ),
        ("（武）环罚〔2022〕12号", ("(武)环罚", 2022, "", 12, "")),
        ("（鄂）FM安许证字[2022]0012", ("(鄂)FM安许证", 2022, "", 12, "")),
        ("鄂（2022）武汉市江夏不动产权第0012345号", ("鄂", 2022, "武汉市江夏不动产权", 12345, "")),
        ("鄂AB123-2022-0012", ("鄂AB123", 2022, "", 12, "")),
        ("鄂AB123-0012", ("鄂", None, "AB123-", 12, "")),
        ("武环许字第12号", ("武环许", None, "", 12, "")),
        ("武环许2022号", ("武环许", None, "", 2022, "")),
        ("武环许12号（2022）", ("武环许", None, "", 12, "(2022)")),
        ("JY14201020012345", ("", None, "JY", 14201020012345, "")),
        ("D242012345", ("", None, "D", 242012345, "")),
        ("SP4201050012(1-1)", ("", None, "SP", 4201050012, "(1-1)")),
        ("武环许12（2022）", ("武环许", None, "", 12, "(2022)")),
        ("420102202206150101", ("", None, "", 420102202206150101, "")),
        ("914201006000373415001V", ("", None, "914201006000-", 373415001, "V")),
    ],
)
def test_forms(text: str, parts: tuple[str, int | None, str, int, str]) -> None:
    assert parsed(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "无",
        "空",
        "NULL",
        "***",
        "/",
        "号",
        "武环许〔2022〕号",
        "武环许〔2022〕",
        "武环许〔2022〕0号",
        "武环许〔2022〕第000号",
        "武环许〔二〇二二〕十二号",
        "〔2022〕12号",
        "2022年12号",
        "12",
        "第12号",
        "000012",
        "111111",
        "١٢٣٤٥٦٧",
    ],
)
def test_what_is_no_document_number(text: str) -> None:
    assert parse_document_number(text) is None


def test_the_longest_text() -> None:
    assert parsed(f"武{'9' * 254}号").number == 999_999_999
    assert parse_document_number(f"武{'9' * 255}号") is None


pieces = st.sampled_from(
    [
        *"武环许字第号之一十年度〔〕[]（）()-/_.、。 aAz0159Ｘ１é\u0301\u200b가",
        "2022",
        "1999",
        "之一",
        "12",
        "字第",
    ]
)
texts = st.one_of(st.text(), st.lists(pieces, max_size=14).map("".join))


@given(texts)
def test_any_text_is_read_or_not_and_its_normal_form_reads_the_same(text: str) -> None:
    number = parse_document_number(text)
    if number is not None:
        assert 1 <= number.number < 10**18
        assert parse_document_number(number.normal) == number


issuers = st.text(st.sampled_from("武汉环许市监罚江夏决"), min_size=1, max_size=6)
serieses = st.one_of(
    st.sampled_from(["", "A", "AB", "江夏", "420102-", "12-"]),
    st.text(st.sampled_from("ABCXYZ"), min_size=1, max_size=3),
)
numbers = st.builds(
    DocumentNumber,
    issuers,
    st.integers(1990, 2030),
    serieses,
    st.integers(1, 10**9),
    st.sampled_from(["", "", "A", "(补)"]),
)


@st.composite
def spellings(draw: st.DrawFn, number: DocumentNumber) -> str:
    """One of the ways in which people write `number`."""
    opening, closing = draw(st.sampled_from(OPENING)), draw(st.sampled_from(CLOSING))
    zeros = draw(st.sampled_from(["", "0", "00"]))
    if number.series.endswith("-"):
        zeros = "00" + zeros
    parts = [
        number.issuer,
        draw(st.sampled_from(["", "字"])),
        f"{opening}{number.year}{draw(st.sampled_from(['', '年']))}{closing}",
        draw(st.sampled_from(["", "第", "字第"])),
        f"{number.series}{zeros}{number.number}号{number.suffix}",
    ]
    text = draw(st.sampled_from(["", " ", "　"])).join(parts)
    if draw(st.booleans()):
        text = text.translate({code: code + 0xFEE0 for code in range(ord("0"), ord("z") + 1)})
    return text


@given(numbers, st.data())
def test_all_spellings_of_a_number_meet(number: DocumentNumber, data: st.DataObject) -> None:
    assert parse_document_number(number.normal) == number
    text = data.draw(spellings(number))
    assert parsed(text).normal == number.normal


@given(numbers, numbers, st.sampled_from(DocumentNumber._fields))
def test_numbers_that_differ_anywhere_stay_different(
    first: DocumentNumber, other: DocumentNumber, part: str
) -> None:
    second = first._replace(**{part: getattr(other, part)})
    assert (first.normal == second.normal) == (first == second)


@given(st.from_regex(re.compile(r"[一-鿿]{1,5}〔20\d\d〕\d{1,5}号", re.ASCII), fullmatch=True))
def test_the_short_way_reads_as_the_long_way(text: str) -> None:
    assert parse_document_number(text) == parse_document_number(f"{text} ")
