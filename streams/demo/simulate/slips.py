"""What goes wrong with simulated records, and what a correction changes."""

from collections.abc import Callable
from typing import Final

from models.identity import SOLE_TRADER_CODE, is_credit_code, is_resident_id
from models.words import FIVE_KINDS, Category
from streams.demo.simulate.records import WRITERS, Fields

Edit = Callable[[Fields], None]
"""Changes a record in place; never the fields that identify it."""


def _set(**values: str) -> Edit:
    return lambda record: record.update(values)


def _without(*codes: str) -> Edit:
    def drop(record: Fields) -> None:
        for code in codes:
            record.pop(code, None)

    return drop


def _mistyped(code: str) -> Edit:
    """The last character of a code, its check digit, is another one."""

    def change(record: Fields) -> None:
        begin = record.get(code, SOLE_TRADER_CODE)[:-1]
        # One digit may be right for a credit code and another one for a resident's number.
        record[code] = next(
            wrong
            for digit in "012"
            if not is_credit_code(wrong := begin + digit) and not is_resident_id(wrong)
        )

    return change


_ACTIONS: Final = (*FIVE_KINDS, Category.OTHER_ACTION)
_ACTION_SLIPS: Final = (
    _mistyped("XDR_SHXYM"),
    _mistyped("LYDWDM"),
    _set(NR="测试"),
    _without("WSMC"),
    _set(XDR_LB="企业"),
)

SLIPS: Final[dict[Category, tuple[Edit, ...]]] = {
    Category.LICENCE: (
        _mistyped("XK_XDR_SHXYM"),
        _without("XK_NR"),
        _set(XK_YXQZI="2021-01-01"),
        _set(XK_XKLB="一般"),
        _set(XK_XKWS="无"),
        _mistyped("XK_XKJGDM"),
        _set(XK_YXQZ="2022-02-30"),
        _set(XK_LYDW="\u200b审批局"),
        _without("XK_LYDWDM", "XK_ZT"),
    ),
    Category.PENALTY: (
        _mistyped("CF_XDR_SHXYM"),
        _set(CF_CFLB="罚款", CF_NR_FK=""),
        _set(CF_SY="***"),
        _set(CF_GSJZQ="2021-01-01"),
        _set(CF_WFXW="测试"),
        _without("CF_YJ"),
        _mistyped("CF_CFJGDM"),
        _without("CF_SJLYDM"),
    ),
    **dict.fromkeys(_ACTIONS, _ACTION_SLIPS),
    Category.GRADING: (
        _set(PJ_DJ="优秀"),
        _mistyped("ZT_DM"),
        _mistyped("PJ_DWDM"),
        _set(YXQZ="2021-01-01"),
    ),
    Category.BASIC: (
        _set(DJ_ZT="在营"),
        _without("FRDB"),
        _set(CLRQ="2099-12-31"),
        _mistyped("DJ_JGDM"),
    ),
    Category.COMMITMENT: (
        _mistyped("identify"),
        _set(commitmentTypeId="书面承诺"),
        _set(content="略"),
        _without("liabilityBreachCommitment"),
    ),
    Category.FULFILMENT: (
        _set(fulfillmentStatus="全部未履行", unperformedCommitmentContent=""),
        _set(acceptanceConfirmUnit="无"),
        _set(fulfillmentStatusDate="2022-06-31"),
    ),
    Category.JOINT_CASE: (
        _set(AL_LX="惩戒"),
        _mistyped("ZT_DM"),
        _without("AL_CS"),
        _mistyped("SS_DWDM"),
    ),
}
"""What reporters get wrong, by category: each slip alone makes a valid record non-compliant."""

_REMARKED: Final = _set(BZ="经复核更正")

AMENDMENTS: Final[dict[Category, Edit]] = {
    **dict.fromkeys(WRITERS, _REMARKED),
    Category.COMMITMENT: _set(remarks="经复核更正"),
    Category.FULFILMENT: _set(acceptanceConfirmUnit="经复核的认定单位"),
}
"""What makes a valid record another valid version of itself."""
