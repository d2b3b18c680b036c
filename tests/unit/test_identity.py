from datetime import date, timedelta
from hashlib import blake2b
from itertools import pairwise

import pytest
import stdnum.cn.ric
import stdnum.cn.uscc
from hypothesis import given
from hypothesis import strategies as st

from models.identity import (
    CREDIT_CODE_ALPHABET,
    PROVINCES,
    SOLE_TRADER_CODE,
    credit_code_check_digit,
    is_credit_code,
    is_resident_id,
    keyed_digest,
    mask_id,
    mask_name,
    mask_personal,
    resident_id_check_digit,
)

WEIGHTS_GB_32100 = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
WEIGHTS_GB_11643 = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

DIGITS = "0123456789"

credit_stems = st.builds(
    "".join,
    st.tuples(
        st.sampled_from("123456789AGNY"),
        st.sampled_from("1239"),
        st.text(DIGITS, min_size=6, max_size=6),
        st.text(CREDIT_CODE_ALPHABET, min_size=9, max_size=9),
    ),
)
credit_codes = credit_stems.map(lambda stem: stem + credit_code_check_digit(stem))

resident_ids = st.builds(
    lambda province, place, born, serial: (
        (stem := f"{province}{place:04d}{born:%Y%m%d}{serial:03d}") + resident_id_check_digit(stem)
    ),
    st.sampled_from(sorted(PROVINCES)),
    st.integers(0, 9999),
    st.dates(date(1900, 1, 1), date(2035, 12, 31)),
    st.integers(0, 999),
)


# --- credit codes ---------------------------------------------------------------------------


def test_a_published_code_holds() -> None:
    assert is_credit_code("91110000600037341L")  # the example of python-stdnum


@given(credit_stems)
def test_check_digit_is_the_weighted_sum_of_the_standard(stem: str) -> None:
    total = sum(
        CREDIT_CODE_ALPHABET.index(character) * weight
        for character, weight in zip(stem, WEIGHTS_GB_32100, strict=True)
    )
    assert credit_code_check_digit(stem) == CREDIT_CODE_ALPHABET[(31 - total % 31) % 31]


@given(credit_codes, st.integers(0, 17), st.sampled_from(CREDIT_CODE_ALPHABET))
def test_one_wrong_character_is_noticed(code: str, at: int, character: str) -> None:
    assert is_credit_code(code)
    changed = code[:at] + character + code[at + 1 :]
    assert is_credit_code(changed) == (changed == code)


@given(credit_codes, st.integers(8, 15))
def test_two_neighbours_exchanged_are_noticed(code: str, at: int) -> None:
    changed = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert is_credit_code(changed) == (changed == code)


@given(
    st.one_of(
        credit_codes, st.text(CREDIT_CODE_ALPHABET, min_size=18, max_size=18), st.text(max_size=20)
    )
)
def test_credit_codes_agree_with_stdnum_where_it_is_right(code: str) -> None:
    """It strips separators and folds case, and refuses departments that are letters."""
    as_written = stdnum.cn.uscc.compact(code) == code
    if as_written and code[:1] not in ("0", *CREDIT_CODE_ALPHABET[10:]):
        assert is_credit_code(code) == stdnum.cn.uscc.is_valid(code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SOLE_TRADER_CODE,
        "0" * 18,
        "91110000600037341l",
        "91110000600037341L ",
        " 91110000600037341",
        "9111000060003734１L",
        "91110000600037341",
        "911100006000373411",
        "9111O000600037341L",
        "91110000\n00037341L",
        "\ud800" * 18,
        "无",
    ],
)
def test_what_is_no_credit_code(text: str) -> None:
    assert not is_credit_code(text)


@pytest.mark.parametrize("stem", ["", "9" * 16, "9" * 18, "9111000060003734I", "１" * 17])
def test_credit_code_stems_that_are_none(stem: str) -> None:
    with pytest.raises(ValueError, match="前17位"):
        credit_code_check_digit(stem)


# --- resident identity numbers --------------------------------------------------------------


@given(resident_ids)
def test_resident_check_is_the_weighted_sum_of_the_standard(number: str) -> None:
    total = sum(
        int(digit) * weight for digit, weight in zip(number[:17], WEIGHTS_GB_11643, strict=True)
    )
    assert number[17] == "10X98765432"[total % 11] == stdnum.cn.ric.calc_check_digit(number)
    assert is_resident_id(number)


def test_what_stdnum_accepts_is_accepted() -> None:
    assert is_resident_id("360426199101010071")
    assert stdnum.cn.ric.is_valid("360426199101010071")


@given(resident_ids, st.integers(0, 16), st.sampled_from(DIGITS))
def test_one_wrong_digit_is_noticed(number: str, at: int, digit: str) -> None:
    changed = number[:at] + digit + number[at + 1 :]
    assert is_resident_id(changed) == (changed == number)


@given(resident_ids)
def test_no_one_is_born_after_the_given_day(number: str) -> None:
    born = date.fromisoformat(number[6:14])
    assert is_resident_id(number, born)
    assert not is_resident_id(number, born - timedelta(days=1))


def checked(stem: str) -> str:
    return stem + resident_id_check_digit(stem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        checked("42010619900230112"),  # 30 February
        checked("42010619901301112"),  # month 13
        checked("42010600000101112"),  # year 0
        checked("42010618790101112"),  # before EARLIEST_BIRTH
        checked("16010619900101112"),  # no such province
        checked("91010619900101112"),  # a permanent residence card, not an identity card
        "420106900101112",  # 15 digits
        "４２０１０６１９９００１０１１１２４",
        "42010619900101_112",
        "42010619900101-112",
        " 4201061990010111",
        "无",
    ],
)
def test_what_is_no_resident_id(text: str) -> None:
    assert not is_resident_id(text)


def test_x_is_upper_case() -> None:
    number = next(
        number
        for serial in range(100)
        if (number := checked(f"42010619900101{serial:03d}"))[17] == "X"
    )
    assert is_resident_id(number)
    assert not is_resident_id(number.lower())


@pytest.mark.parametrize("stem", ["", "4" * 16, "4" * 18, "X" * 17, "４" * 17, "4_" * 8 + "4"])
def test_resident_stems_that_are_none(stem: str) -> None:
    with pytest.raises(ValueError, match="前17位"):
        resident_id_check_digit(stem)


# --- masking --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("12345", "*****"),
        ("E12345678", "E*******8"),
        ("420106900101112", "420**********12"),
        ("42010619900101112X", "420*************2X"),
    ],
)
def test_mask_id(text: str, masked: str) -> None:
    assert mask_id(text) == masked


@given(st.text())
def test_mask_id_keeps_the_length_and_is_idempotent(text: str) -> None:
    masked = mask_id(text)
    assert len(masked) == len(text)
    assert mask_id(masked) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("张三（42010619900101112X）", "张三（420*************2X）"),
        ("身份证420106199001011124号", "身份证420*************24号"),
        ("４２０１０６１９９００１０１１１２Ｘ", "420*************2X"),
        ("420106 19900101 112X", "420*************2X"),
        ("420106-1990-0101-1124", "420*************24"),
        ("42010619900101112", "420************12"),  # the check character is missing
        ("42010619901301112X", "420*************2X"),  # month 13
        ("9142010619900101112X1", "914****************X1"),
        ("931840199001011124", "931*************24"),  # a permanent residence card
        ("420106900101112", "420**********12"),
        ("电话13800138000", "电话138****8000"),
        ("+86 138-0013-8000", "+86 138****8000"),
        ("护照E12345678，EA1234567", "护照E*******8，E*******7"),
        ("回乡证H1234567890", "回乡证H*********0"),
        ("永居证USA110012345678", "永居证USA**********78"),
    ],
)
def test_personal_numbers_are_masked(text: str, masked: str) -> None:
    assert mask_personal(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "武环许〔2022〕12号",
        "鄂武公（交）决字［2022］第420102-1900123456号",
        "鄂武公（交）决字［2022］第4201021900123456号",
        "JY14201020012345",
        "D242012345",
        "91110000600037341L",
        "914201006000373415",  # of the market regulator, mistyped
        SOLE_TRADER_CODE,
        "2022-06-03 09:00 至 2099-12-31",
        "注册号420100000012345",
        "027-85781234",
        "罚款 10000.00 元",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert mask_personal(text) == text


noise = st.text(
    st.one_of(st.sampled_from("0123456789０４９XxＸ- .　\u200b*E（）a"), st.characters()),
    max_size=12,
)


@given(noise, resident_ids, noise, st.sampled_from(["", " ", "-", "　", " - ", "\u200b"]))
def test_no_resident_id_survives(before: str, number: str, after: str, gap: str) -> None:
    written = gap.join((number[:6], number[6:14], number[14:]))
    masked = mask_personal(f"{before}{written}{after}")
    assert number not in masked
    assert written not in masked
    assert number[6:14] not in masked or number[6:14] in before + after


@given(st.lists(st.one_of(noise, resident_ids, st.just("13812345678"), st.just("G12345678"))))
def test_masking_twice_changes_nothing(pieces: list[str]) -> None:
    masked = mask_personal("".join(pieces))
    assert mask_personal(masked) == masked


# --- digests --------------------------------------------------------------------------------


def test_keyed_digest_is_blake2b_of_the_parts_joined() -> None:
    expected = blake2b("江夏区".encode() + b"\xff" + b"penalty", key=b"k", digest_size=16).digest()
    assert keyed_digest(b"k", "江夏区", "penalty") == expected
    assert keyed_digest(b"l", "江夏区", "penalty") != expected


cuts = st.sets(st.integers(0, 4))


def parts(text: str, at: set[int]) -> list[str]:
    """The text in parts that end at these places."""
    ends = [0, *sorted(at), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


@given(st.text(st.characters(exclude_categories=()), max_size=4), cuts, cuts)
def test_one_text_in_different_parts_has_different_digests(
    text: str, one: set[int], other: set[int]
) -> None:
    first, second = parts(text, one), parts(text, other)
    assert (keyed_digest(b"k", *first) == keyed_digest(b"k", *second)) == (first == second)


@pytest.mark.parametrize(("name", "masked"), [("李秀英", "李**"), ("王", "王"), ("", "")])
def test_a_name_keeps_its_first_character(name: str, masked: str) -> None:
    assert mask_name(name) == masked
