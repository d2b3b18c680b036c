"""红黑榜: section one of the bulletin, who is best and worst in the rates of 双公示.

The rules are those that reproduce the lists of the bulletin of June 2022 (bulletin.yaml says them
in the office's words).
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from itertools import takewhile
from typing import Final, NamedTuple

from models.bulletin.document import Section, Standing, shown
from models.bulletin.figures import Figures
from models.bulletin.rules import FULL, Lists, Rankings
from models.rates import RateKind, rate
from models.registry import Unit
from models.tally import NOTHING
from models.words import DOUBLE_PUBLICITY, Category, CategoryGroup, UnitKind

_DOUBLE: Final = CategoryGroup.DOUBLE_PUBLICITY.noun

TEN_THOUSAND: Final = 10_000


_QUALITY: Final = {RateKind.COMPLIANCE: "合规性", RateKind.TIMELINESS: "及时性"}
"""What each rate measures, as the text calls it."""

ALL_OF: Final = {UnitKind.DISTRICT: "各区", UnitKind.DEPARTMENT: "市直单位"}
"""The units of a kind, as the text calls them."""


def in_text(unit: str) -> str:
    """A unit's name as the text writes it: brackets in full width."""
    return unit.translate({ord("("): "（", ord(")"): "）"})


class Rated(NamedTuple):
    """A unit with its rate."""

    unit: str
    rate: Decimal

    def __str__(self) -> str:
        percent = f"{self.rate.normalize():f}"
        return f"{in_text(self.unit)}（{percent}%）"


class Group:
    """The units of a kind that have a rate in a category, ready to be listed."""

    def __init__(
        self,
        figures: Figures,
        units: Iterable[Unit],
        kind: UnitKind,
        category: Category,
        ranked: RateKind,
        rankings: Rankings,
    ) -> None:
        self._kind = kind
        self._subject = f"{category.noun}{ranked.zh}"
        self._lists: Lists = rankings.of(kind)
        self._ties = rankings.ties
        (other,) = (kind for kind in RateKind if kind is not ranked)
        rated = []
        for position, unit in enumerate(unit for unit in units if unit.kind is kind):
            tally = figures.of(unit.id, category)
            percent = ranked.of(tally)
            if percent is not None:
                beside = other.of(tally)
                precedence = _place(unit.id, rankings.precedence), position
                rated.append((Rated(unit.id, percent), beside or Decimal(0), precedence))
        self._best_first = [
            each[0] for each in sorted(rated, key=lambda each: (-each[0].rate, -each[1], each[2]))
        ]
        self._worst_first = [
            each[0] for each in sorted(rated, key=lambda each: (each[0].rate, each[1], each[2]))
        ]

    def best(self) -> tuple[str, bool] | None:
        """The sentence on the best, and whether it speaks of all; None where nobody is named."""
        everybody = self._everybody()
        if everybody is not None:
            return everybody, True
        full = [in_text(each.unit) for each in self._best_first if each.rate == FULL]
        if full:
            return self._listing("达到100%", full), False
        good = self._good()
        return (self._listing("较高", map(str, good)), False) if good else None

    def worst(self) -> str | None:
        """The sentence on the worst; None where nobody is named."""
        if self._everybody() is not None:
            return None
        below = [each for each in self._worst_first if each.rate < FULL]
        if self._lists.worst is None:
            return self._listing("未达到100%", map(str, below)) if below else None
        if below and self._best_first[0].rate < FULL:
            good = self._good()
            below = [each for each in below if each not in good]
        bad = self._cut(below, self._lists.worst)
        return self._listing("较低", map(str, bad)) if bad else None

    def _good(self) -> Sequence[Rated]:
        """The best where none is at 100 %: a good rate is above somebody's."""
        if self._lists.best is None:
            return ()
        above = [each for each in self._best_first if each.rate > self._best_first[-1].rate]
        return self._cut(above, self._lists.best)

    def _everybody(self) -> str | None:
        if len(self._best_first) < 2:
            return None
        lowest = self._best_first[-1].rate
        who = f"{ALL_OF[self._kind]}{self._subject}"
        if lowest == FULL:
            return f"{who}均达到100%"
        if self._lists.all_above is not None and lowest > self._lists.all_above:
            return f"{who}均超过{max(_tenth_below(lowest), self._lists.all_above).normalize():f}%"
        return None

    def _listing(self, how: str, names: Iterable[str]) -> str:
        listed = "、".join(names)
        if self._kind is UnitKind.DISTRICT:
            return f"{self._subject}{how}的区有：{listed}"
        return f"市直单位{self._subject}{how}的有：{listed}"

    def _cut(self, units: Sequence[Rated], length: int) -> Sequence[Rated]:
        last = units[length - 1 : length]
        if self._ties and last:
            level = takewhile(lambda each: each.rate == last[0].rate, units[length:])
            return [*units[:length], *level]
        return units[:length]


def _place(unit: str, precedence: Sequence[str]) -> int:
    return precedence.index(unit) if unit in precedence else len(precedence)


def _tenth_below(percent: Decimal) -> Decimal:
    """The highest percent of one decimal that is below this one."""
    return percent.quantize(Decimal("0.1"), ROUND_CEILING) - Decimal("0.1")


def standings(
    figures: Figures, units: Iterable[str], category: Category, kind: RateKind
) -> dict[str, Standing]:
    """Rate and rank of each of the units that has a rate; equal rates have equal rank."""
    rates = {unit: kind.of(figures.of(unit, category)) for unit in units}
    known = {unit: percent for unit, percent in rates.items() if percent is not None}
    ordered = sorted(known.values(), reverse=True)
    return {unit: Standing(percent, ordered.index(percent) + 1) for unit, percent in known.items()}


def double_publicity(figures: Figures, units: Sequence[Unit], rankings: Rankings) -> Section:
    """Section one."""
    parts = []
    for numeral, category in zip("一二", DOUBLE_PUBLICITY, strict=True):
        heading = f"（{numeral}）{category.noun}报送情况"
        lists = tuple(_rankings(figures, units, category, rankings))
        none = f"{figures.month.number}月份，各区、市直单位均未报送{category.noun}。"
        parts.append(Section(heading, () if lists else (none,), parts=lists))
    return Section(
        f"一、{'、'.join(each.zh for each in DOUBLE_PUBLICITY)}{_DOUBLE}报送情况",
        (_headline(figures, units),),
        None,
        tuple(parts),
    )


def _headline(figures: Figures, units: Iterable[Unit]) -> str:
    total = NOTHING
    for unit in units:
        total = total.plus(figures.of(unit.id, *DOUBLE_PUBLICITY))
    month = f"{figures.month.number}月份，各区、市各部门"
    if not total.reported:
        return f"{month}均未报送{_DOUBLE}。"
    rates = "，".join(
        f"{kind.zh}{shown(percent)}" for kind in RateKind if (percent := kind.of(total)) is not None
    )
    return (
        f"{month}报送{_DOUBLE}总量{in_ten_thousands(total.reported)}条，"
        f"清洗入库{in_ten_thousands(total.compliant)}条，数据{rates}。"
    )


def in_ten_thousands(count: int) -> str:
    """A count as the headline writes it: 万 with two decimals, half up, from 10,000 on."""
    if count < TEN_THOUSAND:
        return str(count)
    share = rate(count, 100 * TEN_THOUSAND)
    return f"{share}万"


def _rankings(
    figures: Figures, units: Sequence[Unit], category: Category, rankings: Rankings
) -> Iterator[Section]:
    def groups(ranked: RateKind) -> list[Group]:
        return [Group(figures, units, kind, category, ranked, rankings) for kind in UnitKind]

    number = 0
    for good in (True, False):
        for ranked in RateKind:
            paragraphs = tuple(_best(groups(ranked)) if good else _worst(groups(ranked)))
            if paragraphs:
                number += 1
                how = "较好" if good else "较差"
                heading = f"{number}.{category.noun}报送{_QUALITY[ranked]}{how}的单位"
                yield Section(heading, paragraphs)


def _best(groups: Iterable[Group]) -> Iterator[str]:
    """Paragraphs on the best; a sentence on all departments joins that on the districts."""
    districts, departments = (group.best() for group in groups)
    if districts is not None and departments is not None and departments[1]:
        joint = "，" if districts[1] else "；"
        yield f"{districts[0]}{joint}{departments[0]}。"
        return
    for sentence in (districts, departments):
        if sentence is not None:
            yield f"{sentence[0]}。"


def _worst(groups: Iterable[Group]) -> Iterator[str]:
    for group in groups:
        sentence = group.worst()
        if sentence is not None:
            yield f"{sentence}。"
