"""报送数量: sections two to seven, how many records which units reported."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from models.bulletin.document import Section
from models.bulletin.figures import Figures
from models.bulletin.rankings import ALL_OF, in_text
from models.bulletin.rules import VolumeForm, VolumeForms, Volumes
from models.rates import rate
from models.registry import Unit
from models.words import Category, CategoryGroup, UnitKind


class Volume(NamedTuple):
    """What a sentence counts. `counted` opens it for districts; `joint` leads to departments'."""

    counts: Category | CategoryGroup
    counted: str = "{}个区报送"
    joint: str = "；"

    @property
    def rule(self) -> str:
        """What the office's rules call it."""
        return self.counts.name.lower()

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories that are counted together."""
        return self.counts.categories if isinstance(self.counts, CategoryGroup) else (self.counts,)

    @property
    def noun(self) -> str:
        """What the text calls it."""
        return self.counts.noun

    @property
    def measure(self) -> str:
        """Its 量词."""
        return self.categories[0].about.measure


VOLUMES: Final = (
    Volume(Category.COMMITMENT, "{}个区共报送", "\n"),
    Volume(Category.FULFILMENT, "{}个区共报送"),
    Volume(CategoryGroup.FIVE_KINDS, "有{}个区共报送"),
    Volume(Category.OTHER_ACTION, joint="，"),
    Volume(Category.GRADING),
    Volume(Category.BASIC),
    Volume(Category.JOINT_CASE),
)


class Share(NamedTuple):
    """What one unit reported."""

    unit: str
    number: int


def volume_sections(figures: Figures, units: Sequence[Unit], rules: Volumes) -> tuple[Section, ...]:
    """Sections two to seven."""
    month = f"{figures.month.number}月份，"

    def told(volume: Volume, opening: str = month) -> tuple[str, ...]:
        forms: VolumeForms = getattr(rules, volume.rule)
        districts, departments = (
            _sentence(volume, kind, _shares(figures, units, kind, volume), forms.of(kind), rules)
            for kind in UnitKind
        )
        if districts is None and departments is None:
            return (f"{opening}各区、市直单位均未报送{volume.noun}。",)
        districts, departments = (
            sentence or f"{ALL_OF[kind]}未报送{volume.noun}"
            for kind, sentence in zip(UnitKind, (districts, departments), strict=True)
        )
        if volume.joint == "\n":
            return f"{opening}{districts}。", f"{departments}。"
        return (f"{opening}{districts}{volume.joint}{departments}。",)

    commitment, fulfilment, five, other, grading, basic, joint_case = VOLUMES
    return (
        Section(
            "二、信用承诺及履约践诺信息报送情况",
            parts=(
                Section(f"（一）{commitment.noun}报送情况", told(commitment)),
                Section(f"（二）{fulfilment.noun}报送情况", told(fulfilment, "")),
            ),
        ),
        Section(
            f"三、{'、'.join(each.zh for each in five.categories)}等{five.noun}报送情况",
            told(five),
        ),
        Section(f"四、行政征收、行政给付、行政补偿等{other.noun}报送情况", told(other)),
        Section(f"五、{grading.noun}报送情况", told(grading)),
        Section(f"六、{basic.noun}报送情况", told(basic)),
        Section(f"七、{joint_case.noun}报送情况", told(joint_case)),
    )


def _shares(figures: Figures, units: Iterable[Unit], kind: UnitKind, volume: Volume) -> list[Share]:
    """What each unit of the kind reported, the most first; equal counts in registry order."""
    shares = [
        Share(unit.id, figures.of(unit.id, *volume.categories).reported)
        for unit in units
        if unit.kind is kind
    ]
    return sorted(
        (share for share in shares if share.number), key=lambda share: share.number, reverse=True
    )


def _sentence(
    volume: Volume, kind: UnitKind, shares: list[Share], form: VolumeForm, rules: Volumes
) -> str | None:
    if not shares:
        return None
    total = sum(share.number for share in shares)
    noun, measure = volume.noun, volume.measure
    if len(shares) == 1:
        form = VolumeForm.NAMED
    if form in (VolumeForm.NAMED, VolumeForm.EACH) and len(shares) <= rules.named:
        names = "、".join(in_text(share.unit) for share in shares)
        if form is VolumeForm.EACH:
            counts = _and([f"{share.number}{measure}" for share in shares])
            return f"{names}分别报送{noun}{counts}"
        return f"{names}{'共' * (len(shares) > 1)}报送{noun}{total}{measure}"
    counted = volume.counted if kind is UnitKind.DISTRICT else "{}个市直单位报送"
    said = f"{counted.format(len(shares))}{noun}{total}{measure}"
    first = shares[0]
    match form:
        case VolumeForm.LEADING:
            length = min(rules.leading, len(shares))
            least = shares[length - 1].number
            leading = "、".join(in_text(each.unit) for each in shares if each.number >= least)
            return f"{said}，报送数量前{length}位的是：{leading}"
        case VolumeForm.SHARE:
            share = rate(first.number, total)
            who = in_text(first.unit)
            return f"{said}，其中{who}报送{first.number}{measure}，占报送总量{share}%"
        case VolumeForm.LEADERS:
            leaders = shares[: rules.leaders]
            names = _and([in_text(each.unit) for each in leaders])
            counts = "、".join(f"{each.number}{measure}" for each in leaders)
            return f"{said}，其中{names}{'分别' * (len(leaders) > 1)}报送{counts}"
        case _:
            return said


def _and(words: Sequence[str]) -> str:
    """甲、乙和丙."""
    *others, last = words
    return f"{'、'.join(others)}和{last}" if others else last
