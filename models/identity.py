"""Who a record is about: credit codes, resident identity numbers, and hiding them.

Sources: GB 32100-2015 with its amendment of 2016 (统一社会信用代码), GB 11643-1999 (公民身份号码),
RFC 7693 (BLAKE2). What masking keeps is the project's own, after GB/T 35273-2020
(个人信息安全规范), which asks that personal information be de-identified wherever it is shown.
"""

import re
from datetime import date
from hashlib import blake2b
from typing import Final

SOLE_TRADER_CODE: Final = "00000000000000000X"
"""What a sole trader (个体工商户) without a credit code writes; not itself a credit code."""

CREDIT_CODE_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of a credit code in order of their values: no I, O, S, V, Z."""

# Position i weighs 3^i mod 31. As 34 ≡ 3 (mod 31), the weighted sum is the reversed code read as
# one number in base 34, which int() does at once.
_BASE_34: Final = bytes.maketrans(
    CREDIT_CODE_ALPHABET.encode(), b"0123456789abcdefghijklmnopqrstuvwxyz"[:31]
)
_NOT_IN_CREDIT_CODE: Final = bytes(set(range(256)) - set(CREDIT_CODE_ALPHABET.encode()))


def is_credit_code(text: str) -> bool:
    """Whether `text` is a 统一社会信用代码 by GB 32100: 18 characters whose check character fits.

    Of the parts it demands a department (position 1) that is not 0 and a district of six digits
    (3 to 8). It does not demand a department or class from today's lists, which amendments extend,
    nor that the organisation code in 9 to 17 has the check digit of GB 11714: codes issued without
    an earlier organisation code need not carry one. Lower case, spaces and `SOLE_TRADER_CODE` are
    no credit codes.
    """
    if len(text) != 18 or text[0] == "0" or not text[2:8].isdigit():
        return False
    code = text.encode("ascii", "ignore").translate(_BASE_34, _NOT_IN_CREDIT_CODE)
    return len(code) == 18 and (int(code[16::-1], 34) + int(code[17:], 34)) % 31 == 0


def credit_code_check_digit(first17: str) -> str:
    """The 18th character of a credit code, from the 17 before it.

    Raises:
        ValueError: `first17` is not 17 characters of `CREDIT_CODE_ALPHABET`.
    """
    code = first17.encode("ascii", "ignore").translate(_BASE_34, _NOT_IN_CREDIT_CODE)
    if not len(code) == len(first17) == 17:
        raise ValueError("统一社会信用代码的前17位不合规")
    return CREDIT_CODE_ALPHABET[-int(code[::-1], 34) % 31]


PROVINCES: Final = frozenset(
    str(code)
    for region in ("11-15", "21-23", "31-37", "41-46", "50-54", "61-65", "71-71", "81-83")
    for code in range(int(region[:2]), int(region[3:]) + 1)
)
"""First two digits of a resident identity number.

GB/T 2260, and 81, 82, 83 of the residence permits (居住证) of people from Hong Kong, Macao and
Taiwan, which follow GB 11643 too.
"""

EARLIEST_BIRTH: Final = date(1880, 1, 1)
"""No one born earlier has a resident identity card: the cards began in 1984."""


def is_resident_id(text: str, on: date | None = None) -> bool:
    """Whether `text` is a resident identity number (公民身份号码) by GB 11643-1999.

    18 characters: a real province (`PROVINCES`; the lower levels change too often to be demanded),
    a real day of birth from `EARLIEST_BIRTH` to `on` (open where None), and the check character,
    whose X the standard writes in upper case only. The numbers of 15 digits, invalid since 2013,
    are not accepted.
    """
    if (
        len(text) != 18
        or not text.isascii()
        or not text[:17].isdigit()
        or text[17] != _resident_check(text[:17])
        or text[:2] not in PROVINCES
    ):
        return False
    try:
        born = date.fromisoformat(text[6:14])
    except ValueError:
        return False
    return born >= EARLIEST_BIRTH and (on is None or born <= on)


def resident_id_check_digit(first17: str) -> str:
    """The 18th character of a resident identity number, from the 17 digits before it.

    Raises:
        ValueError: `first17` is not 17 digits.
    """
    if len(first17) != 17 or not first17.isascii() or not first17.isdigit():
        raise ValueError("身份号码的前17位不是数字")
    return _resident_check(first17)


def _resident_check(first17: str) -> str:
    # Position i (from 0) weighs 2^(17 - i) mod 11, and 13 ≡ 2 (mod 11).
    return "10X98765432"[int(first17, 13) * 2 % 11]


def mask_id(text: str) -> str:
    """An identity number with its middle hidden by `*`, at the same length.

    Of 12 characters or more the first 3 and the last 2 stay, of 6 or more the first and the last,
    of fewer none: enough to find the record one has at hand, too little to find the person. Of a
    resident identity number that hides county, birth day and most of the serial number.
    Masking twice changes nothing.
    """
    if len(text) >= 12:
        return f"{text[:3]}{'*' * (len(text) - 5)}{text[-2:]}"
    if len(text) >= 6:
        return f"{text[0]}{'*' * (len(text) - 2)}{text[-1]}"
    return "*" * len(text)


_SEPARATOR = r"[\s\-‐-―－_.·\u200b-\u200d\u2060\ufeff]"
_SOME_DIGITS: Final = re.compile(r"(?:[\dXxＸｘ][^\dXxＸｘ]{0,3}){6}[\dXxＸｘ]")
"""Seven digits near each other: the shortest personal number, a travel document's, has so many."""
_RUN: Final = re.compile(rf"\d(?:{_SEPARATOR}{{0,3}}[\dXxＸｘ])+")
_SOLID: Final = re.compile(r"(?<!\d)\d[\dXxＸｘ]{14,}")
_DAY_OF_YEAR = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_PLACE = rf"(?:{'|'.join(sorted(PROVINCES))})\d{{4}}"
# A permanent residence card (2023) begins with 9 and a province, and a country comes next.
_BORN: Final = re.compile(rf"(?:{_PLACE}|9\d{{5}})(?:1[89]|20)\d\d{_DAY_OF_YEAR}\d{{3}}")
_BORN_15: Final = re.compile(rf"{_PLACE}\d\d{_DAY_OF_YEAR}\d{{3}}")
_MOBILE: Final = re.compile(
    r"(?<!\d)((?:(?:00)?86[\s\-]?)?1[3-9]\d)[\s\-]?\d{4}[\s\-]?(\d{4})(?!\d)"
)
_TRAVEL_DOCUMENT: Final = re.compile(
    r"(?<![A-Z0-9])(?:[CDEGHKLMPSTW]\d{8}|E[A-Z]\d{7}|[HM]\d{10}|[A-Z]{3}\d{12})(?![A-Z0-9])",
    re.IGNORECASE,
)


def mask_personal(text: str) -> str:
    """Free text with every number that looks personal masked, fit to be shown and logged.

    Hidden are, in any digits Unicode has:

    - what holds a resident identity number or the number of a foreigner's permanent residence card,
      also with spaces, hyphens or dots inside, a wrong check character, or digits around it;
    - any 17 or more digits in a row, except codes of organisations: `is_credit_code`,
      `SOLE_TRADER_CODE`, and what begins with 9 (the market regulator's, right or mistyped);
    - 15 digits in a row built like an identity number of before 1999;
    - mobile phone numbers: three digits and four stay;
    - travel documents: passports and permits as China issues them, residence cards before 2023.

    Document numbers and dates stay readable, as long as they are not built like the above.
    Masking twice changes nothing.
    """
    if _SOME_DIGITS.search(text) is None:
        return text
    text = _RUN.sub(_hide_born, text)
    text = _SOLID.sub(_hide_solid, text)
    text = _MOBILE.sub(r"\1****\2", text)
    return _TRAVEL_DOCUMENT.sub(lambda found: mask_id(found[0]), text)


def _hide_born(found: re.Match[str]) -> str:
    number = _plain(found[0])
    return mask_id(number) if _BORN.search(number) else found[0]


def _hide_solid(found: re.Match[str]) -> str:
    number = _plain(found[0])
    match len(number):
        case 15:
            personal = _BORN_15.fullmatch(number) is not None
        case 16:
            personal = False
        case 17 | 18:
            # With 17, the check character of a credit code may be the letter that comes next.
            code = found.string[found.start() : found.start() + 18]
            personal = not (number[0] == "9" or code == SOLE_TRADER_CODE or is_credit_code(code))
        case _:
            personal = True
    return mask_id(number) if personal else found[0]


def _plain(run: str) -> str:
    """The digits of `run` as ASCII, and X for what is written for it; separators are left out."""
    return "".join(
        str(int(character)) if character.isdecimal() else "X"
        for character in run
        if character.isdecimal() or character in "XxＸｘ"
    )


def mask_name(name: str) -> str:
    """A natural person's name with all but its first character hidden: 李*, 欧**."""
    return name[:1] + "*" * (len(name) - 1)


def keyed_digest(key: bytes, *parts: str) -> bytes:
    """16 bytes of keyed BLAKE2b (a MAC, RFC 7693) over one or more texts.

    Equal for equal parts in equal order; without `key` (at most 64 bytes) it reveals nothing of
    them. Different parts never give the same input: they are joined by 0xFF, which UTF-8 never has.
    """
    # surrogatepass, as a lone surrogate is a text too, and one that must not stop a worker.
    message = b"\xff".join([part.encode("utf-8", "surrogatepass") for part in parts])
    return blake2b(message, key=key, digest_size=16).digest()
