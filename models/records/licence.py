"""行政许可."""

from typing import Annotated, ClassVar

from models.records.base import (
    Record,
    agency_code,
    choice,
    day,
    decided_day,
    document_number,
    id_number,
    remark,
    text,
)
from models.rules import FIELD_LISTS, ID_KINDS, SUBJECT_KINDS, SubjectFields, not_before
from models.words import Category


class Licence(Record):
    """行政许可信息, field codes of the published 双公示 field lists."""

    category = Category.LICENCE
    source = FIELD_LISTS
    decided = "XK_JDRQ"
    subject = "XK_XDR_MC"
    subject_kind = "XK_XDR_LB"
    document = "XK_WSH"
    about: ClassVar = SubjectFields.of("XK_")
    rules: ClassVar = (not_before("XK_YXQZI", "XK_YXQZ", "有效期自"),)
    example: ClassVar = {
        "XK_XDR_MC": "武汉市江夏区福锦物流股份有限公司",
        "XK_XDR_LB": "法人及非法人组织",
        "XK_FRDB": "郭敏勇",
        "XK_XDR_SHXYM": "91420115MA00KKE7KL",
        "XK_XKWS": "准予行政许可决定书",
        "XK_WSH": "武夏行审许〔2022〕12号",
        "XK_XKLB": "普通",
        "XK_NR": "准予按批准的设计文件施工",
        "XK_JDRQ": "2022-06-01",
        "XK_YXQZ": "2022-06-01",
        "XK_YXQZI": "2099-12-31",
        "XK_XKJG": "武汉市江夏区行政审批局",
        "XK_XKJGDM": "11420115000000030Y",
        "XK_ZT": "1",
        "XK_LYDW": "武汉市江夏区行政审批局",
        "XK_LYDWDM": "11420115000000030Y",
        "XK_XKZS": "施工许可证",
        "XK_XKBH": "42011520220000012",
    }

    XK_XDR_MC: Annotated[str, text("行政相对人名称", 200)]
    XK_XDR_LB: Annotated[str, choice("行政相对人类别", *SUBJECT_KINDS)]
    XK_XDR_SHXYM: Annotated[str, text("统一社会信用代码", 18)] = ""
    XK_XDR_GSZC: Annotated[str, text("工商注册号", 50)] = ""
    XK_XDR_ZZJG: Annotated[str, text("组织机构代码", 9)] = ""
    XK_XDR_SWDJ: Annotated[str, text("税务登记号", 15)] = ""
    XK_XDR_SYDW: Annotated[str, text("事业单位证书号", 12)] = ""
    XK_XDR_SHZZ: Annotated[str, text("社会组织登记证号", 50)] = ""
    XK_FRDB: Annotated[str, text("法定代表人", 50)] = ""
    XK_FR_ZJLX: Annotated[str, choice("法定代表人证件类型", *ID_KINDS)] = ""
    XK_FR_ZJHM: Annotated[str, id_number("法定代表人证件号码", 64)] = ""
    XK_XDR_ZJLX: Annotated[str, choice("证件类型", *ID_KINDS)] = ""
    XK_XDR_ZJHM: Annotated[str, id_number("证件号码", 64)] = ""
    XK_XKWS: Annotated[str, text("行政许可决定文书名称", 64)]
    XK_WSH: Annotated[str, document_number("行政许可决定文书号", 64)]
    XK_XKLB: Annotated[str, choice("许可类别", "普通", "特许", "认可", "核准", "登记", "其他")]
    XK_XKZS: Annotated[str, text("许可证书名称", 64)] = ""
    XK_XKBH: Annotated[str, text("许可编号", 64)] = ""
    XK_NR: Annotated[str, text("许可内容", 4000)]
    XK_JDRQ: Annotated[str, decided_day("许可决定日期")]
    XK_YXQZ: Annotated[str, day("有效期自")]
    XK_YXQZI: Annotated[str, day("有效期至")]
    XK_XKJG: Annotated[str, text("许可机关", 200)]
    XK_XKJGDM: Annotated[str, agency_code("许可机关统一社会信用代码")]
    XK_ZT: Annotated[str, choice("当前状态", "1", "2")]
    XK_LYDW: Annotated[str, text("数据来源单位", 200)]
    XK_LYDWDM: Annotated[str, agency_code("数据来源单位统一社会信用代码")]
    BZ: Annotated[str, remark()] = ""
