"""行政处罚."""

from typing import Annotated, ClassVar

from models.records.base import (
    Record,
    agency_code,
    amount,
    choice,
    day,
    decided_day,
    document_number,
    id_number,
    remark,
    text,
)
from models.rules import (
    FIELD_LISTS,
    ID_KINDS,
    POSITIVE_AMOUNT,
    SUBJECT_KINDS,
    SubjectFields,
    not_before,
    required_when,
    several_of,
)
from models.words import Category

PENALTY_KINDS = (
    "警告",
    "通报批评",
    "罚款",
    "没收违法所得",
    "没收非法财物",
    "暂扣许可证件",
    "降低资质等级",
    "吊销许可证件",
    "限制开展生产经营活动",
    "责令停产停业",
    "责令关闭",
    "限制从业",
    "行政拘留",
    "其他",
)
"""处罚类别: 行政处罚法 (2021) 第九条."""


class Penalty(Record):
    """行政处罚信息, field codes of the published 双公示 field lists."""

    category = Category.PENALTY
    source = FIELD_LISTS
    decided = "CF_JDRQ"
    subject = "CF_XDR_MC"
    subject_kind = "CF_XDR_LB"
    document = "CF_WSH"
    about: ClassVar = SubjectFields.of("CF_")
    rules: ClassVar = (
        required_when("CF_NR_FK", "CF_CFLB", lambda kinds: "罚款" in kinds, "处罚类别含罚款"),
        required_when("CF_NR_WFFF", "CF_CFLB", lambda kinds: "没收" in kinds, "处罚类别含没收"),
        required_when(
            "CF_NR_ZKDX",
            "CF_CFLB",
            lambda kinds: "暂扣" in kinds or "吊销" in kinds,
            "处罚类别含暂扣或吊销",
        ),
        not_before("CF_YXQ", "CF_JDRQ", "处罚决定日期"),
        not_before("CF_GSJZQ", "CF_JDRQ", "处罚决定日期"),
    )
    example: ClassVar = {
        "CF_XDR_MC": "武汉市江夏区福锦物流股份有限公司",
        "CF_XDR_LB": "法人及非法人组织",
        "CF_FRDB": "郭敏勇",
        "CF_XDR_SHXYM": "91420115MA00KKE7KL",
        "CF_WSH": "武夏市监罚〔2022〕12号",
        "CF_WFXW": "经营超过保质期的食品",
        "CF_SY": "经查，当事人货架上有超过保质期的食品，事实清楚，证据确凿",
        "CF_YJ": "《中华人民共和国食品安全法》第一百二十四条",
        "CF_CFLB": "警告",
        "CF_NR": "警告，责令改正",
        "CF_JDRQ": "2022-06-01",
        "CF_GSJZQ": "2023-05-31",
        "CF_CFJG": "武汉市江夏区市场监督管理局",
        "CF_CFJGDM": "11420115000000030Y",
        "CF_SJLY": "武汉市江夏区市场监督管理局",
        "CF_SJLYDM": "11420115000000030Y",
    }

    CF_XDR_MC: Annotated[str, text("行政相对人名称", 200)]
    CF_XDR_LB: Annotated[str, choice("行政相对人类别", *SUBJECT_KINDS)]
    CF_XDR_SHXYM: Annotated[str, text("统一社会信用代码", 32)] = ""
    CF_XDR_GSZC: Annotated[str, text("工商注册号", 50)] = ""
    CF_XDR_ZZJG: Annotated[str, text("组织机构代码", 32)] = ""
    CF_XDR_SWDJ: Annotated[str, text("税务登记号", 32)] = ""
    CF_XDR_SYDW: Annotated[str, text("事业单位证书号", 120)] = ""
    CF_XDR_SHZZ: Annotated[str, text("社会组织登记证号", 50)] = ""
    CF_FRDB: Annotated[str, text("法定代表人", 50)] = ""
    CF_FR_ZJLX: Annotated[str, choice("法定代表人证件类型", *ID_KINDS)] = ""
    CF_FR_ZJHM: Annotated[str, id_number("法定代表人证件号码", 32)] = ""
    CF_XDR_ZJLX: Annotated[str, choice("证件类型", *ID_KINDS)] = ""
    CF_XDR_ZJHM: Annotated[str, id_number("证件号码", 64)] = ""
    CF_WSH: Annotated[str, document_number("行政处罚决定书文号", 128)]
    CF_WFXW: Annotated[str, text("违法行为类型", 2000)]
    CF_SY: Annotated[str, text("违法事实", 20000)]
    CF_YJ: Annotated[str, text("处罚依据", 20000)]
    CF_CFLB: Annotated[str, text("处罚类别", 200, several_of(PENALTY_KINDS))]
    CF_NR: Annotated[str, text("处罚内容", 20000)]
    CF_NR_FK: Annotated[str, amount("罚款金额（万元）", POSITIVE_AMOUNT)] = ""
    CF_NR_WFFF: Annotated[str, amount("没收违法所得、没收非法财物的金额（万元）")] = ""
    CF_NR_ZKDX: Annotated[str, text("暂扣或吊销证照名称及编号", 200)] = ""
    CF_JDRQ: Annotated[str, decided_day("处罚决定日期")]
    CF_YXQ: Annotated[str, day("处罚有效期")] = ""
    CF_GSJZQ: Annotated[str, day("公示截止期")] = ""
    CF_CFJG: Annotated[str, text("处罚机关", 200)]
    CF_CFJGDM: Annotated[str, agency_code("处罚机关统一社会信用代码")]
    CF_SJLY: Annotated[str, text("数据来源单位", 200)]
    CF_SJLYDM: Annotated[str, agency_code("数据来源单位统一社会信用代码")]
    BZ: Annotated[str, remark(limit=20000)] = ""
