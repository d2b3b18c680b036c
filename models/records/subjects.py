"""分级分类结果, 基础信息 and 联合奖惩案例: what is known of a subject rather than decided on it.

No standard for them is public: the field lists are the project's own.
"""

from typing import Annotated, ClassVar

from models.records.base import (
    Record,
    agency_code,
    choice,
    day,
    decided_day,
    id_number,
    remark,
    text,
)
from models.rules import (
    CREDIT_CODE,
    ORGANISATION,
    PROJECT,
    SOLE_TRADER,
    SUBJECT_CODE,
    SUBJECT_KINDS,
    not_before,
    required_when,
)
from models.words import Category


class Grading(Record):
    """分级分类结果: the credit grade that an agency gave a subject."""

    category = Category.GRADING
    source = PROJECT
    decided = "PJRQ"
    subject = "ZT_MC"
    subject_kind = "ZT_LB"
    natural_key = ("ZT_MC", "PJ_MC", "PJ_ND")
    rules: ClassVar = (not_before("YXQZ", "PJRQ", "评价日期"),)
    example: ClassVar = {
        "ZT_MC": "武汉市江夏区福锦物流股份有限公司",
        "ZT_LB": "法人及非法人组织",
        "ZT_DM": "91420115MA00KKE7KL",
        "PJ_MC": "行业信用分级分类评价",
        "PJ_ND": "2021",
        "PJ_DJ": "A",
        "PJRQ": "2022-06-01",
        "YXQZ": "2023-05-31",
        "PJ_DW": "武汉市江夏区市场监督管理局",
        "PJ_DWDM": "11420115000000030Y",
    }

    ZT_MC: Annotated[str, text("主体名称", 200)]
    ZT_LB: Annotated[str, choice("主体类别", *SUBJECT_KINDS)]
    ZT_DM: Annotated[str, id_number("主体代码", 18, SUBJECT_CODE)]
    PJ_MC: Annotated[str, text("评价名称", 200)]
    PJ_ND: Annotated[str, text("评价年度", 4)]
    PJ_DJ: Annotated[str, choice("评价等级", "A", "B", "C", "D")]
    PJRQ: Annotated[str, decided_day("评价日期")]
    YXQZ: Annotated[str, day("有效期至")] = ""
    PJ_DW: Annotated[str, text("评价单位", 200)]
    PJ_DWDM: Annotated[str, agency_code("评价单位统一社会信用代码")]
    BZ: Annotated[str, remark()] = ""


class Basic(Record):
    """基础信息: a subject's registration as it stands after its latest change."""

    category = Category.BASIC
    source = PROJECT
    decided = "BGRQ"
    subject = "ZT_MC"
    subject_kind = "ZT_LB"
    natural_key = ("ZT_MC", "ZT_DM", "BGRQ")
    rules: ClassVar = (not_before("BGRQ", "CLRQ", "成立日期"),)
    example: ClassVar = {
        "ZT_MC": "武汉市江夏区福锦物流股份有限公司",
        "ZT_LB": "法人及非法人组织",
        "ZT_DM": "91420115MA00KKE7KL",
        "FRDB": "郭敏勇",
        "CLRQ": "2002-01-01",
        "BGRQ": "2022-06-01",
        "DJ_ZT": "注销",
        "JYFW": "许可项目以审批结果为准；一般项目凭营业执照依法自主开展经营活动",
        "DJ_JG": "武汉市江夏区市场监督管理局",
        "DJ_JGDM": "11420115000000030Y",
    }

    ZT_MC: Annotated[str, text("主体名称", 200)]
    ZT_LB: Annotated[str, choice("主体类别", ORGANISATION, SOLE_TRADER)]
    ZT_DM: Annotated[str, text("统一社会信用代码", 18, CREDIT_CODE)]
    FRDB: Annotated[str, text("法定代表人或经营者", 50)]
    CLRQ: Annotated[str, day("成立日期")]
    BGRQ: Annotated[str, decided_day("登记或变更日期")]
    DJ_ZT: Annotated[str, choice("登记状态", "存续", "吊销", "注销", "迁出", "其他")]
    JYFW: Annotated[str, text("经营范围或业务范围", 8000)] = ""
    DJ_JG: Annotated[str, text("登记机关", 200)]
    DJ_JGDM: Annotated[str, agency_code("登记机关统一社会信用代码")]
    BZ: Annotated[str, remark()] = ""


class JointCase(Record):
    """联合奖惩案例: a joint incentive for the trustworthy or sanction of the untrustworthy."""

    category = Category.JOINT_CASE
    source = PROJECT
    decided = "SSRQ"
    subject = "ZT_MC"
    subject_kind = "ZT_LB"
    natural_key = ("ZT_MC", "AL_SX", "SSRQ")
    rules: ClassVar = (
        required_when(
            "AL_YJ", "AL_LX", lambda kind: kind == "联合惩戒", "案例类型为联合惩戒", PROJECT
        ),
    )
    example: ClassVar = {
        "ZT_MC": "武汉市江夏区福锦物流股份有限公司",
        "ZT_LB": "法人及非法人组织",
        "ZT_DM": "91420115MA00KKE7KL",
        "AL_LX": "联合激励",
        "AL_SX": "减少检查频次",
        "AL_CS": "降低双随机抽查比例",
        "AL_YJ": "《武汉市守信联合激励措施清单》",
        "SSRQ": "2022-06-01",
        "SS_DW": "武汉市江夏区市场监督管理局",
        "SS_DWDM": "11420115000000030Y",
    }

    ZT_MC: Annotated[str, text("主体名称", 200)]
    ZT_LB: Annotated[str, choice("主体类别", *SUBJECT_KINDS)]
    ZT_DM: Annotated[str, id_number("主体代码", 18, SUBJECT_CODE)]
    AL_LX: Annotated[str, choice("案例类型", "联合激励", "联合惩戒")]
    AL_SX: Annotated[str, text("奖惩事项", 256)]
    AL_CS: Annotated[str, text("奖惩措施", 4000)]
    AL_YJ: Annotated[str, text("奖惩依据", 4000)] = ""
    SSRQ: Annotated[str, decided_day("实施日期")]
    SS_DW: Annotated[str, text("实施单位", 200)]
    SS_DWDM: Annotated[str, agency_code("实施单位统一社会信用代码")]
    BZ: Annotated[str, remark()] = ""
