"""五类行政管理信息 and 其他行政行为.

The collection standard for the five kinds (《5类行政管理信息数据归集标准（试行）》, named in the
bulletin) is not public, so these schemas are the project's own: the shape of the published
双公示 lists with field codes of their own, to be replaced field by field when the standard is
published.
"""

from typing import Annotated, ClassVar, Final

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
    ID_KINDS,
    PROJECT,
    SUBJECT_KINDS,
    SubjectFields,
    not_before,
    required_when,
)
from models.words import Category

OWN = f"{PROJECT}（五类行政管理信息归集标准未公开，仿双公示字段）"


_EXAMPLE: Final = {
    "XDR_MC": "武汉市江夏区福锦物流股份有限公司",
    "XDR_LB": "法人及非法人组织",
    "FRDB": "郭敏勇",
    "XDR_SHXYM": "91420115MA00KKE7KL",
    "JDRQ": "2022-06-01",
    "JG": "武汉市江夏区市场监督管理局",
    "JGDM": "11420115000000030Y",
    "LYDW": "武汉市江夏区市场监督管理局",
    "LYDWDM": "11420115000000030Y",
}
"""What the examples of all kinds have in common."""


class AdministrativeAction(Record):
    """What every administrative action states: subject, document, content, day, agency, source."""

    source = OWN
    decided = "JDRQ"
    subject = "XDR_MC"
    subject_kind = "XDR_LB"
    document = "WSH"
    about: ClassVar = SubjectFields.of("")

    XDR_MC: Annotated[str, text("行政相对人名称", 200)]
    XDR_LB: Annotated[str, choice("行政相对人类别", *SUBJECT_KINDS)]
    XDR_SHXYM: Annotated[str, text("统一社会信用代码", 18)] = ""
    XDR_GSZC: Annotated[str, text("工商注册号", 50)] = ""
    FRDB: Annotated[str, text("法定代表人", 50)] = ""
    FR_ZJLX: Annotated[str, choice("法定代表人证件类型", *ID_KINDS)] = ""
    FR_ZJHM: Annotated[str, id_number("法定代表人证件号码", 64)] = ""
    XDR_ZJLX: Annotated[str, choice("证件类型", *ID_KINDS)] = ""
    XDR_ZJHM: Annotated[str, id_number("证件号码", 64)] = ""
    WSMC: Annotated[str, text("文书名称", 64)]
    WSH: Annotated[str, document_number("文书号", 128)]
    NR: Annotated[str, text("决定内容", 4000)]
    JDRQ: Annotated[str, decided_day("决定日期")]
    JG: Annotated[str, text("实施机关", 200)]
    JGDM: Annotated[str, agency_code("实施机关统一社会信用代码")]
    LYDW: Annotated[str, text("数据来源单位", 200)]
    LYDWDM: Annotated[str, agency_code("数据来源单位统一社会信用代码")]
    BZ: Annotated[str, remark()] = ""


class Enforcement(AdministrativeAction):
    """行政强制: measures and executions of 行政强制法 (2011) 第九条 and 第十二条."""

    category = Category.ENFORCEMENT
    rules: ClassVar = (not_before("QZ_JSRQ", "QZ_KSRQ", "强制开始日期"),)
    example: ClassVar = {
        **_EXAMPLE,
        "WSMC": "行政强制决定书",
        "WSH": "武夏市监强〔2022〕12号",
        "NR": "决定扣押财物",
        "QZ_LB": "扣押财物",
        "QZ_YJ": "《中华人民共和国行政强制法》第九条第三项",
        "QZ_KSRQ": "2022-06-01",
        "QZ_JSRQ": "2022-07-01",
    }

    QZ_LB: Annotated[
        str,
        choice(
            "强制类别",
            "限制公民人身自由",
            "查封场所、设施或者财物",
            "扣押财物",
            "冻结存款、汇款",
            "加处罚款或者滞纳金",
            "划拨存款、汇款",
            "拍卖或者依法处理查封、扣押的场所、设施或者财物",
            "排除妨碍、恢复原状",
            "代履行",
            "其他",
        ),
    ]
    QZ_YJ: Annotated[str, text("强制依据", 4000)]
    QZ_KSRQ: Annotated[str, day("强制开始日期")] = ""
    QZ_JSRQ: Annotated[str, day("强制结束日期")] = ""


class Confirmation(AdministrativeAction):
    """行政确认."""

    category = Category.CONFIRMATION
    rules: ClassVar = (not_before("QR_YXQZ", "JDRQ", "决定日期"),)
    example: ClassVar = {
        **_EXAMPLE,
        "WSMC": "行政确认决定书",
        "WSH": "武夏市监确〔2022〕12号",
        "NR": "经审核，对既有建筑加装电梯确认予以确认",
        "QR_SX": "既有建筑加装电梯确认",
    }

    QR_SX: Annotated[str, text("确认事项", 256)]
    QR_YXQZ: Annotated[str, day("确认有效期至")] = ""


class Adjudication(AdministrativeAction):
    """行政裁决."""

    category = Category.ADJUDICATION
    example: ClassVar = {
        **_EXAMPLE,
        "WSMC": "行政裁决书",
        "WSH": "武夏市监裁〔2022〕12号",
        "NR": "对房屋征收补偿争议作出裁决",
        "CJ_SX": "房屋征收补偿争议",
        "CJ_BSQR": "武汉市江夏区福锦物流有限公司",
        "CJ_YJ": "《国有土地上房屋征收与补偿条例》第二十六条",
    }

    CJ_SX: Annotated[str, text("裁决事项", 256)]
    CJ_BSQR: Annotated[str, text("被申请人名称", 200)]
    CJ_YJ: Annotated[str, text("裁决依据", 4000)]


class Reward(AdministrativeAction):
    """行政奖励."""

    category = Category.REWARD
    example: ClassVar = {
        **_EXAMPLE,
        "WSMC": "行政奖励决定书",
        "WSH": "武夏市监奖〔2022〕12号",
        "NR": "因举报违法行为查证属实予以奖励",
        "JL_LB": "荣誉",
        "JL_SY": "举报违法行为查证属实",
    }

    JL_LB: Annotated[str, choice("奖励类别", "荣誉", "物质", "荣誉和物质", "其他")]
    JL_SY: Annotated[str, text("奖励事由", 4000)]
    JL_JE: Annotated[str, amount("奖励金额（万元）")] = ""


class Inspection(AdministrativeAction):
    """行政监督检查."""

    category = Category.INSPECTION
    rules: ClassVar = (
        required_when(
            "JC_CLYJ", "JC_JG", lambda result: result == "不合格", "检查结果为不合格", PROJECT
        ),
    )
    example: ClassVar = {
        **_EXAMPLE,
        "WSMC": "行政检查记录",
        "WSH": "武夏市监检〔2022〕12号",
        "NR": "对明码标价情况进行检查",
        "JC_LB": "日常检查",
        "JC_SX": "明码标价情况",
        "JC_JG": "不合格",
        "JC_CLYJ": "责令十五日内改正，届时复查",
    }

    JC_LB: Annotated[str, choice("检查类别", "日常检查", "专项检查", "双随机抽查", "其他")]
    JC_SX: Annotated[str, text("检查事项", 512)]
    JC_JG: Annotated[str, choice("检查结果", "合格", "不合格", "其他")]
    JC_CLYJ: Annotated[str, text("处理意见", 4000)] = ""


class OtherAction(AdministrativeAction):
    """其他行政行为: levies, grants, compensations and the rest."""

    category = Category.OTHER_ACTION
    example: ClassVar = {
        **_EXAMPLE,
        "WSMC": "决定书",
        "WSH": "武夏市监行〔2022〕12号",
        "NR": "一次性吸纳就业补贴，按规定办理",
        "QT_LB": "给付",
        "QT_SX": "一次性吸纳就业补贴",
        "QT_JE": "0.05",
    }

    QT_LB: Annotated[str, choice("行为类别", "征收", "给付", "补偿", "其他")]
    QT_SX: Annotated[str, text("事项名称", 256)]
    QT_JE: Annotated[str, amount("金额（万元）")] = ""
