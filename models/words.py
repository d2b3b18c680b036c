"""The words of the field, as code and as Chinese text (DESIGN section 2)."""

from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
"""The zone of every calendar day, deadline and month."""


class Category(StrEnum):
    """信息类别: what kind of record it is. The value is the wire form, `zh` the office's word."""

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
    def zh(self) -> str:
        """The office's word for it."""
        return _CATEGORY_ZH[self]


_CATEGORY_ZH: Final = {
    Category.LICENCE: "行政许可",
    Category.PENALTY: "行政处罚",
    Category.ENFORCEMENT: "行政强制",
    Category.CONFIRMATION: "行政确认",
    Category.ADJUDICATION: "行政裁决",
    Category.REWARD: "行政奖励",
    Category.INSPECTION: "行政监督检查",
    Category.OTHER_ACTION: "其他行政行为",
    Category.GRADING: "分级分类结果",
    Category.BASIC: "基础信息",
    Category.COMMITMENT: "信用承诺",
    Category.FULFILMENT: "履约践诺",
    Category.JOINT_CASE: "联合奖惩案例",
    Category.PUBLICITY: "诚信宣传活动",
}


DOUBLE_PUBLICITY: Final = (Category.LICENCE, Category.PENALTY)
"""双公示: the two categories whose rates the bulletin publishes."""

FIVE_KINDS: Final = (
    Category.ENFORCEMENT,
    Category.CONFIRMATION,
    Category.ADJUDICATION,
    Category.REWARD,
    Category.INSPECTION,
)
"""五类: the five kinds of administrative action counted together."""

IN_TOTAL: Final = frozenset(
    (*DOUBLE_PUBLICITY, *FIVE_KINDS, Category.OTHER_ACTION, Category.GRADING, Category.BASIC)
)
"""总报送量: the categories a unit's total counts; the other four are counted beside it."""


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
