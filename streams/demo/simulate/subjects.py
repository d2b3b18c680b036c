"""Who simulated records are about, and who decides: agencies and subjects, all invented.

Codes and numbers are valid in form only. Persons' identity numbers have the area 420100, which is
issued to no one. Everything follows from a number, so nothing needs to be remembered to get it
again.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from models.identity import (
    CREDIT_CODE_ALPHABET,
    credit_code_check_digit,
    resident_id_check_digit,
)
from models.rules import NATURAL_PERSON, ORGANISATION, SOLE_TRADER
from models.words import Category
from streams.errors import InputError

# --- who reports ------------------------------------------------------------------------------

GENERAL: Final = "综合"
"""The field of agencies whose matters the simulator does not distinguish."""

_DISTRICT_FIELDS: Final = {
    "行审": "行政审批局",
    "市监": "市场监督管理局",
    "环": "生态环境分局",
    "城管": "城市管理执法局",
    "卫": "卫生健康局",
    "应急": "应急管理局",
}
_DISTRICTS: Final = {
    "东湖高新区": ("武新", "420111"),
    "硚口区": ("武硚", "420104"),
    "东西湖区": ("武西", "420112"),
    "江夏区": ("武夏", "420115"),
    "江岸区": ("武岸", "420102"),
    "洪山区": ("武洪", "420111"),
    "蔡甸区": ("武蔡", "420114"),
    "江汉区": ("武江", "420103"),
    "汉阳区": ("武汉阳", "420105"),
    "新洲区": ("武新洲", "420117"),
    "经开区": ("武经", "420113"),
    "黄陂区": ("武陂", "420116"),
    "武昌区": ("武昌", "420106"),
    "青山区": ("武青", "420107"),
    "东湖风景区": ("武景", "420106"),
}
_CITY: Final = "420100"
_DEPARTMENTS: Final = {
    "市市场监督管理局": ("武市监", "市监"),
    "市交通运输局": ("武交", GENERAL),
    "市税务局": ("武税", GENERAL),
    "市住房保障和房屋管理局": ("武房", GENERAL),
    "市人社局": ("武人社", GENERAL),
    "市卫健委": ("武卫", "卫"),
    "市自然资源和规划局": ("武自然资规", GENERAL),
    "市城管委": ("武城管", "城管"),
    "市文化和旅游局": ("武文旅", GENERAL),
    "市商务局": ("武商", GENERAL),
    "市城乡建设局": ("武城建", GENERAL),
    "市气象局": ("武气", GENERAL),
    "市应急管理局": ("武应急", "应急"),
    "市民政局": ("武民政", GENERAL),
    "市园林和林业局": ("武园林", GENERAL),
    "市水务局": ("武水", GENERAL),
    "市农业农村局": ("武农", GENERAL),
    "市司法局": ("武司", GENERAL),
    "市民宗委": ("武民宗", GENERAL),
    "市民防办": ("武民防", GENERAL),
    "市发改委": ("武发改", GENERAL),
    "市烟草专卖局": ("武烟", GENERAL),
    "市生态环境局": ("武环", "环"),
    "市统计局": ("武统", GENERAL),
    "市公管办(市政务服务和大数据管理局)": ("武政数", GENERAL),
}
_UNIT_NUMBER: Final = {unit: number for number, unit in enumerate((*_DISTRICTS, *_DEPARTMENTS))}


class Agency(NamedTuple):
    """机关: who decides and issues documents. `series` is its mark in document numbers."""

    name: str
    code: str
    series: str
    field: str


@dataclass(frozen=True, slots=True)
class Issuer:
    """A reporting unit as the records show it: where it is and which agencies decide for it.

    `place` begins the names of its subjects, `region` (six digits) is in their codes; `number`
    keeps the codes of one unit apart from those of another.
    """

    number: int
    place: str
    region: str
    agencies: tuple[Agency, ...]

    @classmethod
    def of(cls, unit: str, category: Category) -> "Issuer":
        """The unit as the issuer of one category's records.

        Raises:
            InputError: the simulator knows no such unit.
        """
        number = _UNIT_NUMBER.get(unit)
        if number is None:
            raise InputError(f"模拟器没有报送机构“{unit}”的资料")
        word = _SERIES_WORD.get(category, "")
        if unit in _DISTRICTS:
            mark, region = _DISTRICTS[unit]
            place = f"武汉市{unit}"
            decides = [
                (field, f"{place}{name}", f"{mark}{field}{word}")
                for field, name in _DISTRICT_FIELDS.items()
                if field != "行审" or category is Category.LICENCE
            ]
        else:
            (mark, field), region, place = _DEPARTMENTS[unit], _CITY, "武汉市"
            decides = [(field, f"武汉{unit}", f"{mark}{word}")]
        return cls(
            number,
            place,
            region,
            tuple(
                Agency(name, _agency_code(region, 10 * number + place_in_unit), series, field)
                for place_in_unit, (field, name, series) in enumerate(decides)
            ),
        )


_SERIES_WORD: Final = {
    Category.LICENCE: "许",
    Category.PENALTY: "罚",
    Category.ENFORCEMENT: "强",
    Category.CONFIRMATION: "确",
    Category.ADJUDICATION: "裁",
    Category.REWARD: "奖",
    Category.INSPECTION: "检",
    Category.OTHER_ACTION: "行",
}


def _agency_code(region: str, number: int) -> str:
    first17 = f"11{region}{number:09d}"
    return first17 + credit_code_check_digit(first17)


# --- who the records are about ----------------------------------------------------------------


class Subject(NamedTuple):
    """行政相对人. `code` is a credit code, or the identity number of a natural person.

    `registration` is the 工商注册号 of a sole trader who has not received the code yet, else "".
    """

    kind: str
    name: str
    code: str
    representative: str
    registration: str = ""


_FIRST: Final = "宏恒华金瑞泰盛兴永德鑫源嘉信诚汇通远达安康佳美百福国中天海江汉楚荆光明卓越启航智"
_SECOND: Final = "达丰晟辉隆泽润峰程博创腾飞翔旺顺和祥利昌茂荣景林森岳川云帆锦绣合众联邦亿万家业立"
_TRADES: Final = (
    *("建材", "商贸", "科技", "餐饮管理", "物流", "环保科技", "建筑劳务", "电子商务", "医疗器械"),
    *("物业管理", "广告传媒", "机电设备", "食品", "农业发展", "装饰工程", "教育咨询", "信息技术"),
    *("汽车服务", "服装", "文化传播", "仓储", "园林绿化", "人力资源", "化工", "消防工程"),
)
_FORMS: Final = ("有限公司", "有限责任公司", "股份有限公司", "集团有限公司")
_SHOPS: Final = ("经营部", "商行", "餐馆", "便利店", "服务部", "工作室", "维修店", "百货店")
_SURNAMES: Final = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
)
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国志文斌宇浩凯健俊帆雪梅琳"

_TRADE_COUNT: Final = len(_TRADES)
_SECOND_COUNT: Final = len(_SECOND)
_FIRST_COUNT: Final = len(_FIRST)

POPULATION: Final = _TRADE_COUNT * _SECOND_COUNT * _FIRST_COUNT * len(_FORMS)
"""How many different subjects a unit has; their names differ too, except persons'."""

_STRIDE: Final = 104_729
"""A prime that does not divide POPULATION: neighbouring numbers are unlike, and none repeats."""

_TRIPLES: Final = [
    a + b + c
    for a in CREDIT_CODE_ALPHABET
    for b in CREDIT_CODE_ALPHABET
    for c in CREDIT_CODE_ALPHABET
]


def subject(issuer: Issuer, number: int, *, persons: bool = True) -> Subject:
    """The unit's subject of that number; numbers repeat after POPULATION.

    Most are organisations, some sole traders, few (or none without `persons`) natural persons.
    """
    index = number * _STRIDE % POPULATION
    rest, trade = divmod(index, _TRADE_COUNT)
    rest, second = divmod(rest, _SECOND_COUNT)
    form, first = divmod(rest, _FIRST_COUNT)
    kind = (first + second + trade) % 16
    representative = (
        _SURNAMES[(second + 7 * trade) % len(_SURNAMES)]
        + _GIVEN[(first + 5 * trade) % len(_GIVEN)]
        + _GIVEN[(second + 11 * form) % len(_GIVEN)]
    )
    brand = f"{issuer.place}{_FIRST[first]}{_SECOND[second]}"
    if kind < 11 or (kind == 15 and not persons):
        name = f"{brand}{_TRADES[trade]}{_FORMS[form]}"
        return Subject(ORGANISATION, name, _credit_code("91", issuer, index), representative)
    if kind < 15:
        name = f"{brand}{_TRADES[trade]}{_SHOPS[2 * form + trade % 2]}"
        registration = f"{issuer.region}6{index:08d}" if kind == 14 else ""
        code = _credit_code("92", issuer, index)
        return Subject(SOLE_TRADER, name, code, representative, registration)
    born = f"{1955 + index % 48}{1 + index % 12:02d}{1 + index % 28:02d}"
    first17 = f"{_CITY}{born}{index % 1000:03d}"
    code = first17 + resident_id_check_digit(first17)
    return Subject(NATURAL_PERSON, representative, code, representative)


def _credit_code(kind: str, issuer: Issuer, index: int) -> str:
    high, low = divmod(issuer.number * POPULATION + index, len(_TRIPLES))
    first17 = f"{kind}{issuer.region}MA{_TRIPLES[high]}{_TRIPLES[low]}K"
    return first17 + credit_code_check_digit(first17)
