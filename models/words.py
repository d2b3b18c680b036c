"""The words of the field, as code and as Chinese text (docs/architecture.md, Words)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
"""The zone of every calendar day, deadline and month."""


class Category(StrEnum):
    """信息类别: what kind of record it is. The value is the wire form, the order ours."""

    LICENCE = "licence"
    PENALTY = "penalty"
    ENFORCEMENT = "enforcement"
    CONFIRMATION = "confirmation"
    ADJUDICATION = "adjudication"
    REWARD = "reward"
    INSPECTION = "inspection"
    OTHER_ACTION = "other_action"
    GRADING = "grading"
    BASIC = "basic"
    COMMITMENT = "commitment"
    FULFILMENT = "fulfilment"
    JOINT_CASE = "joint_case"
    PUBLICITY = "publicity"

    @property
    def about(self) -> "About":
        """What is known of it."""
        return _ABOUT[self]

    @property
    def zh(self) -> str:
        """The office's word for it."""
        return _ABOUT[self].zh

    @property
    def noun(self) -> str:
        """What the bulletin's text calls its records."""
        return _ABOUT[self].noun


class CategoryGroup(StrEnum):
    """Categories that are spoken of together. The value is the office's word."""

    DOUBLE_PUBLICITY = "双公示"
    """The two whose rates the bulletin publishes."""
    FIVE_KINDS = "五类"
    """The five kinds of administrative action counted together."""

    @property
    def noun(self) -> str:
        """What the bulletin's text calls their records."""
        return "“双公示”信息" if self is CategoryGroup.DOUBLE_PUBLICITY else "五类行政管理信息"

    @property
    def categories(self) -> tuple[Category, ...]:
        """The categories in it."""
        return tuple(category for category in Category if category.about.group is self)


class About(NamedTuple):
    """What is known of a category.

    `noun` and `column` are the words of the published bulletin (June 2022) for its records, in the
    text and over the column of annexes 1 and 2; a category without a column is not in them.
    `in_total`: whether 总报送量 counts it, or it is counted beside it. `measure`: 量词.
    """

    zh: str
    noun: str
    column: str | None
    group: CategoryGroup | None = None
    in_total: bool = True
    measure: str = "条"


_DOUBLE: Final = CategoryGroup.DOUBLE_PUBLICITY
_FIVE: Final = CategoryGroup.FIVE_KINDS

_ABOUT: Final = {
    Category.LICENCE: About("行政许可", "行政许可信息", "行政许可", _DOUBLE),
    Category.PENALTY: About("行政处罚", "行政处罚信息", "行政处罚", _DOUBLE),
    Category.ENFORCEMENT: About("行政强制", "行政强制信息", "行政强制", _FIVE),
    Category.CONFIRMATION: About("行政确认", "行政确认信息", "行政确认", _FIVE),
    Category.ADJUDICATION: About("行政裁决", "行政裁决信息", "行政裁决", _FIVE),
    Category.REWARD: About("行政奖励", "行政奖励信息", "行政奖励", _FIVE),
    Category.INSPECTION: About("行政监督检查", "行政监督检查信息", "行政监督检查", _FIVE),
    Category.OTHER_ACTION: About("其他行政行为", "其他行政行为信息", "其他行政行为信息"),
    Category.GRADING: About("分级分类结果", "分级分类结果信息", "分级分类评价结果"),
    Category.BASIC: About("基础信息", "基础信息", "基础信息"),
    Category.COMMITMENT: About("信用承诺", "信用承诺信息", "信用承诺信息(条)", in_total=False),
    Category.FULFILMENT: About("履约践诺", "履约践诺信息", "履约践诺信息(条)", in_total=False),
    Category.JOINT_CASE: About(
        "联合奖惩案例", "联合奖惩案例", "联合奖惩案例(个)", in_total=False, measure="个"
    ),
    Category.PUBLICITY: About("诚信宣传活动", "诚信宣传活动", None, in_total=False),
}
"""The one table of the categories: whatever speaks of one, reads it here."""

CATEGORY_OF: Final[Mapping[str, Category]] = {
    name: category for category in Category for name in (category.value, category.zh)
}
"""Each category by its names: the wire form and the office's word."""

DOUBLE_PUBLICITY: Final = _DOUBLE.categories
FIVE_KINDS: Final = _FIVE.categories

IN_TOTAL: Final = frozenset(category for category in Category if category.about.in_total)
"""总报送量: the categories a unit's total counts; the others are counted beside it."""

COLUMNS: Final[Mapping[Category, str]] = {
    category: column
    for in_total in (True, False)
    for category in Category
    if category.about.in_total is in_total and (column := category.about.column)
}
"""The categories that annexes 1 and 2 have, with the headings of their columns, in their order."""


class UnitKind(StrEnum):
    """报送机构的类型."""

    DISTRICT = "district"
    DEPARTMENT = "department"


class Op(StrEnum):
    """What a submission asks for."""

    UPSERT = "upsert"
    WITHDRAW = "withdraw"


class Effect(StrEnum):
    """What a submission did to its record."""

    NEW = "new"
    CORRECTION = "correction"
    DUPLICATE = "duplicate"
    WITHDRAWN = "withdrawn"
    UNREADABLE = "unreadable"
