"""自检: a bulletin is read as its readers will read it, text against annexes, before it goes out.

Nothing here knows how the text was written. Every number of sections one to eight must be one that
the annexes give; a number that cannot be read is a contradiction too.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Final

from models.bulletin.document import Bulletin, Section, Value, shown
from models.bulletin.figures import Edition, Figures
from models.bulletin.rankings import in_ten_thousands, in_text
from models.errors import InputError
from models.rates import RateKind, rate
from models.tally import NOTHING, Duty, Tally
from models.words import COLUMNS, DOUBLE_PUBLICITY, IN_TOTAL, Category, CategoryGroup, UnitKind


class BulletinError(InputError):
    """The bulletin contradicts itself; `problems` says where, one Chinese line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("通报自相矛盾，不能发布：\n" + "\n".join(problems))
        self.problems = problems


ColumnPath = tuple[str, ...]

_TOTAL: Final = ("总报送量",)
_COLUMNS: Final[dict[Category, ColumnPath]] = {
    category: (heading, "数量") if category in DOUBLE_PUBLICITY else (heading,)
    for category, heading in COLUMNS.items()
}
"""The column of each category that the annexes have, by its titles below the top row."""

_NOUNS: Final[dict[str, tuple[ColumnPath, ...]]] = {
    **{category.noun: (path,) for category, path in _COLUMNS.items()},
    **{
        group.noun: tuple(_COLUMNS[category] for category in group.categories)
        for group in CategoryGroup
    },
}
"""The columns that the text means by each word for what is counted."""

_DOUBLE: Final = CategoryGroup.DOUBLE_PUBLICITY.noun
_MEASURES: Final = "".join(dict.fromkeys(category.about.measure for category in COLUMNS))
"""量词 of what is counted."""

_KINDS: Final = {"区": UnitKind.DISTRICT, "各区": UnitKind.DISTRICT}


def contradictions(bulletin: Bulletin, edition: Edition) -> list[str]:
    """Everything in which the bulletin contradicts its edition, its annexes or its own text."""
    annexes = _Annexes(bulletin, edition)
    return [
        *_in_figures(bulletin, edition.figures),
        *annexes.problems(),
        *_in_text(bulletin, annexes),
    ]


def _in_figures(bulletin: Bulletin, figures: Figures) -> Iterator[str]:
    told = {Duty(cell.unit, cell.category) for cell in bulletin.cells}
    for duty, tally in figures.tallies.items():
        where = f"{duty.unit} {duty.category.zh}"
        if tally.reported and duty not in told:
            yield f"{where}：报送机构不在登记册中，{tally.reported}条没有列入通报"
        counts = (tally.reported, tally.compliant, tally.timely + tally.late, tally.timely, 0)
        if min(tally) < 0 or list(counts) != sorted(counts, reverse=True):
            yield (
                f"{where}：统计数自相矛盾：报送{tally.reported}、合规{tally.compliant}、"
                f"及时{tally.timely}、逾期{tally.late}"
            )


class _Annexes:
    """Annexes 1 (departments) and 2 (districts) as a reader looks things up in them.

    `connected` platforms are in no annex: their number is the edition's.
    """

    def __init__(self, bulletin: Bulletin, edition: Edition) -> None:
        self.connected = edition.platforms.connected
        self._cells = {(cell.unit, cell.category): cell.tally for cell in bulletin.cells}
        self._rows: dict[UnitKind, dict[str, dict[ColumnPath, Value]]] = {}
        self._repeated: list[str] = []
        self.names: dict[str, UnitKind] = {}
        kinds = (UnitKind.DEPARTMENT, UnitKind.DISTRICT)
        for kind, table in zip(kinds, bulletin.annexes[:2], strict=True):
            paths = [path[1:] or path for path in table.paths]
            rows = self._rows[kind] = {}
            for unit, *values in table.rows:
                name = str(unit)
                if name in rows:
                    self._repeated.append(f"附件：{name}出现了不止一次")
                rows[name] = dict(zip(paths[1:], values, strict=True))
                self.names[in_text(name)] = kind

    def counts(self, noun: str, kind: UnitKind) -> dict[str, int]:
        """What each unit of the kind reported of it, named as in the text; without zeros."""
        sums = {
            in_text(unit): sum(_count(row[path]) for path in _NOUNS[noun])
            for unit, row in self._rows[kind].items()
        }
        return {unit: count for unit, count in sums.items() if count}

    def rates(self, noun: str, rate: str, kind: UnitKind) -> dict[str, Decimal]:
        """The rates of the units of the kind, named as in the text."""
        ((column, _),) = _NOUNS[noun]
        return {
            in_text(unit): percent
            for unit, row in self._rows[kind].items()
            if isinstance(percent := row[column, rate], Decimal)
        }

    def tally(self, categories: Iterable[Category]) -> Tally:
        """The sum of the cells in these categories."""
        total = NOTHING
        for (_, category), tally in self._cells.items():
            if category in categories:
                total = total.plus(tally)
        return total

    def listed(self, text: str) -> list[str]:
        """The units that “甲、乙和丙” names. Some have a 和 in their names."""
        known = sorted(map(re.escape, self.names), key=len, reverse=True)
        return re.findall("|".join(known), text)

    def problems(self) -> Iterator[str]:
        """What is wrong with the annexes themselves, and between them and the cells."""
        yield from self._repeated
        found: set[tuple[str, Category]] = set()
        for rows in self._rows.values():
            for unit, row in rows.items():
                total = sum(_count(row[_COLUMNS[category]]) for category in IN_TOTAL)
                if total != _count(row[_TOTAL]):
                    said = _count(row[_TOTAL])
                    yield f"附件：{unit}总报送量{said}，各列之和为{total}"
                for category, path in _COLUMNS.items():
                    tally = self._cells.get((unit, category), NOTHING)
                    found.add((unit, category))
                    yield from self._differences(unit, category, row[path], tally.reported or None)
                    if category in DOUBLE_PUBLICITY:
                        for kind in RateKind:
                            printed = row[path[0], kind.zh]
                            yield from self._differences(unit, category, printed, kind.of(tally))
        for unit, category in self._cells:
            if category in _COLUMNS and (unit, category) not in found:
                yield f"附件：没有列出{unit}的{category.zh}"

    @staticmethod
    def _differences(unit: str, category: Category, said: Value, is_: Value) -> Iterator[str]:
        if said != is_:
            yield f"附件：{unit} {category.zh}为{shown(said) or '空'}，统计为{shown(is_) or '空'}"


def _count(value: Value) -> int:
    return value if isinstance(value, int) else 0


# --- the text -------------------------------------------------------------------------------

_NOUN: Final = f"(?P<noun>{'|'.join(_NOUNS)})"
_SUBJECT: Final = (
    f"(?P<noun>{'|'.join(category.noun for category in DOUBLE_PUBLICITY)})"
    f"(?P<rate>{'|'.join(kind.zh for kind in RateKind)})"
)
_DIGITS: Final = re.compile(r"\d")
_MONTH: Final = re.compile(r"^(截至)?\d+月份，")


def _in_text(bulletin: Bulletin, annexes: _Annexes) -> Iterator[str]:
    for section in bulletin.sections[:-1]:
        yield from _in_section(section, annexes)


def _in_section(section: Section, annexes: _Annexes) -> Iterator[str]:
    for paragraph in section.paragraphs:
        left = _MONTH.sub("", paragraph)
        for pattern, read in _SENTENCES:
            for found in pattern.finditer(left):
                for problem in read(found, annexes, section):
                    yield f"{section.heading}：“{found[0]}”，{problem}"
            left = pattern.sub("；", left)
        if _DIGITS.search(left):
            yield f"{section.heading}：“{paragraph}”中有数字无法与附件核对"
    for part in section.parts:
        yield from _in_section(part, annexes)


def _headline(found: re.Match[str], annexes: _Annexes, _section: Section) -> Iterator[str]:
    printed = sum(sum(annexes.counts(_DOUBLE, kind).values()) for kind in (*UnitKind,))
    if found["reported"] != in_ten_thousands(printed):
        yield f"附件合计{printed}条"
    tally = annexes.tally(DOUBLE_PUBLICITY)
    if found["compliant"] != in_ten_thousands(tally.compliant):
        yield f"统计为合规{tally.compliant}条"
    for kind in RateKind:
        percent = shown(kind.of(tally))
        if (found[kind.zh] or "") != percent:
            yield f"统计的{kind.zh}为{percent}"


def _all_of_them(found: re.Match[str], annexes: _Annexes, _section: Section) -> Iterator[str]:
    kind = _KINDS.get(found["who"], UnitKind.DEPARTMENT)
    rates = annexes.rates(found["noun"], found["rate"], kind)
    if not rates:
        yield "附件中没有这项比率"
        return
    lowest, limit = min(rates.values()), Decimal(found["limit"])
    reached = lowest == limit if found["how"] == "达到" else limit < lowest <= limit + _TENTH
    if not reached:
        yield f"附件中最低为{shown(lowest)}"


_TENTH: Final = Decimal("0.1")
"""“均超过” names a limit no further below the lowest rate."""


def _list(found: re.Match[str], annexes: _Annexes, _section: Section) -> Iterator[str]:
    kind = UnitKind.DEPARTMENT if found["who"] else UnitKind.DISTRICT
    rates = annexes.rates(found["noun"], found["rate"], kind)
    listed: list[str] = []
    for item in found["list"].split("、"):
        rated = _RATED.fullmatch(item)
        unit, said = (rated["unit"], Decimal(rated["rate"])) if rated else (item, Decimal(100))
        listed.append(unit)
        if rates.get(unit) != said:
            yield f"附件中{unit}为{shown(rates.get(unit)) or '空'}"
    known = [rates[unit] for unit in listed if unit in rates]
    for unit, percent in rates.items():
        if unit not in listed and (
            (found["how"] == "达到100%" and percent == 100)
            or (found["how"] == "未达到100%" and percent < 100)
            or (found["how"] == "较高" and percent > min(known, default=percent))
            or (found["how"] == "较低" and percent < max(known, default=percent))
        ):
            yield f"没有列出{unit}，附件中为{shown(percent)}"


_RATED: Final = re.compile(r"(?P<unit>.+)（(?P<rate>[\d.]+)%）")


def _counted(found: re.Match[str], annexes: _Annexes, _section: Section) -> Iterator[str]:
    counts = annexes.counts(found["noun"], _KINDS.get(found["who"], UnitKind.DEPARTMENT))
    total = sum(counts.values())
    if int(found["units"]) != len(counts):
        yield f"附件中有{len(counts)}个"
    if int(found["sum"]) != total:
        yield f"附件合计{total}"
    ordered = sorted(counts.values(), reverse=True)
    if found["leading"]:
        least = ordered[int(found["length"]) - 1 : int(found["length"])]
        first = {unit for unit, count in counts.items() if [count] >= least}
        if first != set(found["leading"].split("、")):
            yield f"附件中最多的是{'、'.join(first)}"
    if found["most"]:
        yield from _same({found["most"]: int(found["count"])}, counts)
        if int(found["count"]) != ordered[0] or found["share"] != _share(ordered[0], total):
            yield f"附件中最多的为{ordered[0]}，占{_share(ordered[0], total)}"
    if found["leaders"]:
        numbers = _numbers(found["each"])
        yield from _each(annexes.listed(found["leaders"]), numbers, counts)
        if numbers != ordered[: len(numbers)]:
            yield f"附件中最多的为{ordered[: len(numbers)]}"


def _share(part: int, whole: int) -> str:
    return f"{rate(part, whole)}%"


def _named(found: re.Match[str], annexes: _Annexes, _section: Section) -> Iterator[str]:
    names = found["names"].split("、")
    kind = annexes.names.get(names[0])
    if kind is None:
        yield f"附件中没有{names[0]}"
        return
    counts = annexes.counts(found["noun"], kind)
    numbers = _numbers(found["counts"])
    if set(names) != set(counts):
        yield f"附件中是{'、'.join(counts)}"
    if found["how"] == "分别":
        yield from _each(names, numbers, counts)
    elif numbers != [sum(counts.values())]:
        yield f"附件合计{sum(counts.values())}"


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _each(units: list[str], numbers: list[int], counts: dict[str, int]) -> Iterator[str]:
    if len(units) != len(numbers):
        yield "名称和数量的个数不同"
    yield from _same(dict(zip(units, numbers, strict=False)), counts)


def _same(said: dict[str, int], counts: dict[str, int]) -> Iterator[str]:
    for unit, number in said.items():
        if counts.get(unit) != number:
            yield f"附件中{unit}为{counts.get(unit, '空')}"


def _none(found: re.Match[str], annexes: _Annexes, _section: Section) -> Iterator[str]:
    kinds = [_KINDS.get(found["who"], UnitKind.DEPARTMENT)] if found["who"] else [*UnitKind]
    for kind in kinds:
        for unit, count in annexes.counts(found["noun"], kind).items():
            yield f"附件中{unit}为{count}"


def _connected(found: re.Match[str], annexes: _Annexes, section: Section) -> Iterator[str]:
    listed = len(section.table.rows) if section.table else 0
    if int(found["new"] or 0) != listed:
        yield f"列出的有{listed}个"
    if int(found["connected"]) != annexes.connected:
        yield f"已对接的有{annexes.connected}个"
    if annexes.connected < listed:
        yield "总数少于新增数"


_Reading = Callable[[re.Match[str], _Annexes, Section], Iterator[str]]
_PERCENT: Final = r"[\d.]+%"
_SENTENCES: Final[tuple[tuple[re.Pattern[str], _Reading], ...]] = (
    (
        re.compile(
            rf"报送{_DOUBLE}总量(?P<reported>[\d.]+万?)条，清洗入库(?P<compliant>[\d.]+万?)条"
            rf"(，数据合规率(?P<合规率>{_PERCENT}))?(，及时率(?P<及时率>{_PERCENT}))?"
        ),
        _headline,
    ),
    (
        re.compile(
            rf"(?P<who>各区|市直单位){_SUBJECT}均(?P<how>达到|超过)(?P<limit>[\d.]+)%",
        ),
        _all_of_them,
    ),
    (
        re.compile(
            rf"(?P<who>市直单位)?{_SUBJECT}(?P<how>达到100%|未达到100%|较高|较低)的区?有："
            "(?P<list>[^。；]+)"
        ),
        _list,
    ),
    (
        re.compile(
            rf"(?P<units>\d+)个(?P<who>区|市直单位)共?报送{_NOUN}(?P<sum>\d+)[{_MEASURES}]"
            r"(，报送数量前(?P<length>\d+)位的是：(?P<leading>[^，。；]+)"
            rf"|，其中(?P<most>[^，。；]+?)报送(?P<count>\d+)[{_MEASURES}]"
            rf"，占报送总量(?P<share>{_PERCENT})"
            rf"|，其中(?P<leaders>[^，。；]+?)(分别)?报送(?P<each>[\d{_MEASURES}、]+))?"
        ),
        _counted,
    ),
    (
        re.compile(
            rf"(?P<names>[^，。；：\d]+?)(?P<how>共|分别|)报送{_NOUN}"
            rf"(?P<counts>[\d{_MEASURES}、和]+)"
        ),
        _named,
    ),
    (
        re.compile(rf"(各区、市直单位均|各区、市各部门均|(?P<who>各区|市直单位))未报送{_NOUN}"),
        _none,
    ),
    (
        re.compile(
            r"已有(?P<connected>\d+)个平台（系统）与市信用信息公共服务平台完成对接，"
            r"(本月没有新增|其中本月新增(?P<new>\d+)个)"
        ),
        _connected,
    ),
)
"""The sentences there are, in the order in which they are looked for, and how each is read."""
