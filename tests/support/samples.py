"""One valid record of every category, and submissions made of them."""

from datetime import date, datetime
from typing import Any

import orjson

from models.identity import credit_code_check_digit, resident_id_check_digit
from models.judging import submission_of
from models.records import SCHEMAS
from models.registry import Registry
from models.rules import Reason
from models.submission import START, Delivery, Position, Submission, read_delivery
from models.words import SHANGHAI, Category, Op

CREDIT_CODE = "91420115MA4K1234X"
CREDIT_CODE += credit_code_check_digit(CREDIT_CODE)
AGENCY_CODE = "11420115011234567"
AGENCY_CODE += credit_code_check_digit(AGENCY_CODE)
RESIDENT_ID = "42011519900307123"
RESIDENT_ID += resident_id_check_digit(RESIDENT_ID)
COMPANY = "武汉市江夏区宏达建材有限公司"
AGENCY = "武汉市江夏区生态环境分局"

ADMINISTRATIVE = {
    "XDR_MC": COMPANY,
    "XDR_LB": "法人及非法人组织",
    "XDR_SHXYM": CREDIT_CODE,
    "FRDB": "王建国",
    "WSMC": "决定书",
    "WSH": "武夏综执决〔2022〕8号",
    "NR": "按规定办理",
    "JDRQ": "2022-06-01",
    "JG": AGENCY,
    "JGDM": AGENCY_CODE,
    "LYDW": AGENCY,
    "LYDWDM": AGENCY_CODE,
}

VALID: dict[Category, dict[str, str]] = {
    Category.LICENCE: {
        "XK_XDR_MC": COMPANY,
        "XK_XDR_LB": "法人及非法人组织",
        "XK_XDR_SHXYM": CREDIT_CODE,
        "XK_FRDB": "王建国",
        "XK_FR_ZJLX": "身份证",
        "XK_FR_ZJHM": RESIDENT_ID,
        "XK_XKWS": "准予行政许可决定书",
        "XK_WSH": "武夏行审许〔2022〕12号",
        "XK_XKLB": "普通",
        "XK_XKZS": "排污许可证",
        "XK_XKBH": "91420115MA4K1234XP001V",
        "XK_NR": "准予排放污染物",
        "XK_JDRQ": "2022-06-01",
        "XK_YXQZ": "2022-06-01",
        "XK_YXQZI": "2027-05-31",
        "XK_XKJG": AGENCY,
        "XK_XKJGDM": AGENCY_CODE,
        "XK_ZT": "1",
        "XK_LYDW": AGENCY,
        "XK_LYDWDM": AGENCY_CODE,
    },
    Category.PENALTY: {
        "CF_XDR_MC": COMPANY,
        "CF_XDR_LB": "法人及非法人组织",
        "CF_XDR_SHXYM": CREDIT_CODE,
        "CF_FRDB": "王建国",
        "CF_WSH": "武夏环罚〔2022〕12号",
        "CF_WFXW": "超标排放水污染物",
        "CF_SY": "总排口化学需氧量超标0.4倍",
        "CF_YJ": "《中华人民共和国水污染防治法》第八十三条",
        "CF_CFLB": "罚款；警告",
        "CF_NR": "罚款人民币三万元",
        "CF_NR_FK": "3",
        "CF_JDRQ": "2022-06-01",
        "CF_YXQ": "2025-06-01",
        "CF_GSJZQ": "2025-06-01",
        "CF_CFJG": AGENCY,
        "CF_CFJGDM": AGENCY_CODE,
        "CF_SJLY": AGENCY,
        "CF_SJLYDM": AGENCY_CODE,
    },
    Category.ENFORCEMENT: {
        **ADMINISTRATIVE,
        "QZ_LB": "扣押财物",
        "QZ_YJ": "《中华人民共和国行政强制法》第九条",
        "QZ_KSRQ": "2022-06-01",
        "QZ_JSRQ": "2022-06-30",
    },
    Category.CONFIRMATION: {**ADMINISTRATIVE, "QR_SX": "工伤认定"},
    Category.ADJUDICATION: {
        **ADMINISTRATIVE,
        "CJ_SX": "土地权属争议",
        "CJ_BSQR": "武汉市江夏区光明村",
        "CJ_YJ": "《中华人民共和国土地管理法》第十四条",
    },
    Category.REWARD: {**ADMINISTRATIVE, "JL_LB": "荣誉", "JL_SY": "安全生产先进", "JL_JE": "0"},
    Category.INSPECTION: {
        **ADMINISTRATIVE,
        "JC_LB": "双随机抽查",
        "JC_SX": "危险废物管理",
        "JC_JG": "合格",
    },
    Category.OTHER_ACTION: {**ADMINISTRATIVE, "QT_LB": "给付", "QT_SX": "稳岗返还"},
    Category.GRADING: {
        "ZT_MC": COMPANY,
        "ZT_LB": "法人及非法人组织",
        "ZT_DM": CREDIT_CODE,
        "PJ_MC": "环保信用评价",
        "PJ_ND": "2021",
        "PJ_DJ": "A",
        "PJRQ": "2022-06-01",
        "PJ_DW": AGENCY,
        "PJ_DWDM": AGENCY_CODE,
    },
    Category.BASIC: {
        "ZT_MC": COMPANY,
        "ZT_LB": "法人及非法人组织",
        "ZT_DM": CREDIT_CODE,
        "FRDB": "王建国",
        "CLRQ": "2016-03-07",
        "BGRQ": "2022-06-01",
        "DJ_ZT": "存续",
        "DJ_JG": "武汉市江夏区行政审批局",
        "DJ_JGDM": AGENCY_CODE,
    },
    Category.COMMITMENT: {
        "code": "42011520220601000012",
        "subjectName": COMPANY,
        "subjectCategory": "法人及非法人组织",
        "identify": CREDIT_CODE,
        "commitmentTypeId": "主动型",
        "reason": "办理排污许可",
        "content": "依法排污",
        "liabilityBreachCommitment": "接受联合惩戒",
        "commitmentDate": "2022-06-01",
        "acceptanceUnit": AGENCY,
        "acceptanceUnitIdentify": AGENCY_CODE,
        "publicationType": "可向社会公开",
    },
    Category.FULFILMENT: {
        "commitmentId": "20220601000012",
        "fulfillmentStatus": "全部履行",
        "fulfillmentStatusDate": "2022-06-01",
    },
    Category.JOINT_CASE: {
        "ZT_MC": COMPANY,
        "ZT_LB": "法人及非法人组织",
        "ZT_DM": CREDIT_CODE,
        "AL_LX": "联合惩戒",
        "AL_SX": "政府采购资格审查",
        "AL_CS": "禁止参加政府采购活动",
        "AL_YJ": "《政府采购法》第二十二条",
        "SSRQ": "2022-06-01",
        "SS_DW": AGENCY,
        "SS_DWDM": AGENCY_CODE,
    },
    Category.PUBLICITY: {
        "BS_DW": "江夏区",
        "KF_MT": "长江日报",
        "GJ_BT": "诚信宣传进校园",
        "WZLJ": "https://news.example/2022/06/01/credit.html",
        "HD_RQ": "2022-06-01",
    },
}

RECEIVED = datetime(2022, 6, 3, 9, tzinfo=SHANGHAI)
RECEIVED_ON = RECEIVED.date()
for schema in SCHEMAS.values():
    # Where a category has no record here, the example of its template is one.
    VALID.setdefault(schema.category, {**schema.model.example})


def delivery(
    category: Category = Category.LICENCE,
    *,
    unit: str = "江夏区",
    op: Op = Op.UPSERT,
    received_at: datetime | None = RECEIVED,
    without: tuple[str, ...] = (),
    envelope: dict[str, Any] | None = None,
    **changes: Any,
) -> bytes:
    """A submission on the wire: the category's valid record with some items changed."""
    record = {**VALID[category], **changes}
    for code in without:
        del record[code]
    return orjson.dumps(
        {
            "unit": unit,
            "category": category.value,
            "op": op.value,
            "received_at": received_at,
            "record": record,
            **({"reason": "录入错误"} if op is Op.WITHDRAW else {}),
            **(envelope or {}),
        }
    )


def submitted(raw: bytes, registry: Registry, position: Position = START) -> Submission:
    """What is on the wire, read into the submission that it is by its own account."""
    return submission_of(read_delivery(raw), registry, position=position)


def values_of(said: Delivery | Submission) -> dict[str, str]:
    """What the rules see of a record: a text for every item of its category."""
    return {code: column.values[0] for code, column in said.schema.lay_out([said.record]).items()}


def reasons_of(said: Delivery | Submission, on: date = RECEIVED_ON) -> list[Reason]:
    """Every rule that a record breaks which was received on that day."""
    return said.schema.reasons(said.schema.lay_out([said.record]), on).get(0, [])
