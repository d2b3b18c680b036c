"""文书号: document numbers in all the spellings that occur, and their one normal form.

The form 发文机关代字〔年份〕序号号 is that of 《党政机关公文处理工作条例》 and GB/T 9704-2012. How
every other form is read is the project's own, after what units really write.
"""

import re
from typing import Final, NamedTuple
from unicodedata import normalize

LONGEST: Final = 256
"""Characters: twice what the published field lists leave for a document number."""


class DocumentNumber(NamedTuple):
    """A document number in its parts: `武环罚〔2022〕A12-1号` is (武环罚, 2022, A, 12, -1).

    Attributes:
        issuer: 发文机关代字 without a closing 字 or 第; brackets of its own are `(` and `)`.
        year: The year; None where none stands apart, as on most certificates.
        series: What stands between year and number: letters, a place, or a leading code with its
            hyphen. Without a year, all between the first Latin letter or digit and the number.
        number: The serial number, from 1 and below 10^18.
        suffix: What follows the number: a sub-number (`-1`, also for 之一), letters, a remark.
    """

    issuer: str
    year: int | None
    series: str
    number: int
    suffix: str

    @property
    def normal(self) -> str:
        """One text for all spellings of this number; parsing it gives this number again."""
        year = "" if self.year is None else f"〔{self.year}〕"
        # Three digits at least after a hyphen, where two would read as a sub-number.
        width = 3 if self.series.endswith("-") else 1
        return f"{self.issuer}{year}{self.series}{self.number:0{width}d}号{self.suffix}"

    @property
    def series_key(self) -> tuple[str, int | None, str]:
        """What the numbers of one running series share: issuer, year, series."""
        return self[:3]


def parse_document_number(text: str) -> DocumentNumber | None:
    """Read a document number in any spelling; None where `text` is none.

    Width, case, spaces, the kind of brackets, 第, 字 before the year or 第, 年 after it, leading
    zeros and 號 are spelling. So is whether a sub-number stands before or after 号, as `-1` or as
    之一. A year may stand without brackets where 年, 第 or a hyphen follows. Of more than 18 digits
    in a row the last nine are the number. Numbers in Chinese numerals are not read.

    None are: a text without a number or with number 0; a number that neither letters nor words go
    before, unless it has six digits or more that are not all the same; a text of more than
    `LONGEST` characters.
    """
    if number := _canonical(text):
        return number
    number = _spelled(text) if len(text) <= LONGEST else None
    # Usually one reading is enough; odd texts lose something at each.
    for _ in range(_READINGS):
        if number is None:
            break
        normal = number.normal
        again = _canonical(normal) or _spelled(normal)
        if again == number:
            return number
        number = again
    return None


_READINGS: Final = 8


_CANONICAL: Final = re.compile(
    r"(?![^〔]*[第號])([一-鿿]+)(?<!字)〔((?:19|20)\d\d)〕([1-9]\d{0,17})号", re.ASCII
)


def _canonical(text: str) -> DocumentNumber | None:
    """The short way, for the form that the rules ask for."""
    if found := _CANONICAL.fullmatch(text):
        issuer, year, number = found.groups()
        return DocumentNumber(issuer, int(year), "", int(number), "")
    return None


def _spelled(text: str) -> DocumentNumber | None:
    """One reading of any text."""
    folded = _folded(text)
    if found := _BRACKETED_YEAR.search(folded) or _BARE_YEAR.search(folded):
        issuer, tail = folded[: found.start()], folded[found.end() :]
        return _number(issuer, int(found[1]), tail)
    start = _CODE.search(folded)
    split = start.start() if start else len(folded)
    return _number(folded[:split], None, folded[split:])


_INVISIBLE = [0xAD, 0x180E, *range(0x200B, 0x2010), *range(0x2060, 0x2065), 0xFEFF]
_FOLD: Final[dict[int, str | None]] = {
    **dict.fromkeys(map(ord, "[{<〔【〖〘《〈「『«‹"), "("),
    **dict.fromkeys(map(ord, "]}>〕】〗〙》〉」』»›"), ")"),
    **dict.fromkeys(map(ord, "‐‑‒–—―−_第"), "-"),
    **{ord(lower): lower.upper() for lower in "abcdefghijklmnopqrstuvwxyz"},
    **dict.fromkeys(_INVISIBLE),
    ord("號"): "号",
}


def _folded(text: str) -> str:
    visible = "".join(normalize("NFKC", text).split()).translate(_FOLD)
    # Once more: what was apart before may compose now.
    return _PART.sub(_part, normalize("NFKC", visible).rstrip("。.,;、"))


_BRACKETED_YEAR: Final = re.compile(r"\(+((?:19|20)\d\d)(?:年度?)?[()]+(?=.*\d)", re.ASCII)
_BARE_YEAR: Final = re.compile(
    r"\(*(?<!\d)((?:19|20)\d\d)(?:年度?[()/-]*|[()/-]+)(?=.*\d)", re.ASCII
)
_CODE: Final = re.compile(r"\(?[A-Z0-9]")

_PART: Final = re.compile(
    r"(?<=[A-Z0-9号一二三四五六七八九十])之(?:(?=\d)|([一二三四五六七八九十])(?!\d))", re.ASCII
)
_SUBS = r"((?:-\d{1,2}(?!\d))*)"
# What a sub-number divides has at most five digits: 12-1 is a part of number 12, and
# 420102-12 is number 12 of a place.
_NUMBER = rf"(?<!\d)(?!(?<=\()(?:19|20)\d\d(?:年度?)?\))(\d+)(?:(?<!\d{{6}}){_SUBS})?([A-Z]{{0,3}})"
_TAIL_WITH_HAO: Final = re.compile(rf"([^号]*?){_NUMBER}号{_SUBS}(.*)", re.ASCII)
_TAIL: Final = re.compile(
    rf"(.*?){_NUMBER}{_SUBS}((?:[^\d(]|\([^()]*\)|\((?![^()]*\)))*)", re.ASCII
)


def _number(issuer: str, year: int | None, tail: str) -> DocumentNumber | None:
    """Put the parts together: what is before the year, the year, and all that follows it."""
    tail = tail.lstrip("字-/")
    found = _TAIL_WITH_HAO.fullmatch(tail) or _TAIL.fullmatch(tail.replace("号", "-"))
    if found is None:
        return None
    series, digits, sub, letters, sub_after, rest = found.groups(default="")
    suffix = f"{_plain(sub)}{letters}{_plain(sub_after)}{rest}"

    issuer = issuer.lstrip("-/").rstrip("字-/(")
    if suffix == ")" and issuer.startswith("(") and issuer.count("(") > issuer.count(")"):
        # 《武环许〔2022〕12号》: brackets around the whole.
        issuer, suffix = issuer[1:].lstrip("-/"), ""

    bare_series = series.rstrip("字-/")
    if not bare_series[-1:].isdigit():
        series = bare_series
    if len(digits) > _MOST_DIGITS:
        series, digits = f"{series}{digits[:-_KEPT_DIGITS]}-", digits[-_KEPT_DIGITS:]

    number = int(digits)
    named = any(map(str.isalnum, issuer + series))
    long_enough = year is None and number >= 100_000 and len(set(str(number))) > 1
    if number == 0 or not (named or long_enough):
        return None
    return DocumentNumber(issuer, year, series, number, suffix)


_MOST_DIGITS: Final = 18
_KEPT_DIGITS: Final = 9


def _part(found: re.Match[str]) -> str:
    return f"-{'一二三四五六七八九十'.index(found[1]) + 1}" if found[1] else "-"


def _plain(subs: str) -> str:
    """Sub-numbers without leading zeros."""
    return "".join(f"-{int(sub)}" for sub in subs.split("-")[1:])
