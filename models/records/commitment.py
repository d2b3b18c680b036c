"""信用承诺 and 履约践诺: field names of the published standard."""

from typing import Annotated, ClassVar

from models.records.base import Record, choice, day, decided_day, id_number, remark, text
from models.rules import (
    COMMITMENT_CODE,
    COMMITMENT_STANDARD,
    CREDIT_CODE,
    SUBJECT_CODE,
    SUBJECT_KINDS,
    WHOLE_NUMBER,
    empty_when,
    not_before,
    required_when,
)
from models.words import Category

PERFORMED = "全部履行"


class Commitment(Record):
    """信用承诺."""

    category = Category.COMMITMENT
    source = COMMITMENT_STANDARD
    decided = "commitmentDate"
    subject = "subjectName"
    subject_kind = "subjectCategory"
    natural_key = ("code",)
    rules: ClassVar = (not_before("commitmentValidity", "commitmentDate", "承诺作出日期"),)
    example: ClassVar = {
        "code": "42011520220601060002",
        "subjectName": "武汉市江夏区福锦物流股份有限公司",
        "subjectCategory": "法人及非法人组织",
        "identify": "91420115MA00KKE7KL",
        "commitmentTypeId": "主动型",
        "reason": "参加政府采购",
        "content": "所提供的材料真实、合法、有效",
        "liabilityBreachCommitment": "违反承诺的，自愿接受信用惩戒并承担法律责任",
        "commitmentDate": "2022-06-01",
        "commitmentValidity": "2023-05-31",
        "acceptanceUnit": "武汉市江夏区市场监督管理局",
        "acceptanceUnitIdentify": "11420115000000030Y",
        "publicationType": "可向社会公开",
    }

    code: Annotated[str, text("承诺编码", 20, COMMITMENT_CODE)]
    subjectName: Annotated[str, text("承诺人名称", 200)]
    subjectCategory: Annotated[str, choice("承诺人类别", *SUBJECT_KINDS)]
    identify: Annotated[str, id_number("承诺人代码", 18, SUBJECT_CODE)]
    commitmentTypeId: Annotated[
        str,
        choice(
            "承诺类型",
            "审批替代型",
            "容缺受理型",
            "证明事项型",
            "信用修复型",
            "行业自律型",
            "主动型",
            "其他",
        ),
    ]
    reason: Annotated[str, text("承诺事由", 512)]
    content: Annotated[str, text("承诺内容", 4000)]
    liabilityBreachCommitment: Annotated[str, text("违诺责任", 4000)]
    commitmentDate: Annotated[str, decided_day("承诺作出日期")]
    commitmentValidity: Annotated[str, day("承诺有效期")] = ""
    acceptanceUnit: Annotated[str, text("承诺受理单位", 200)]
    acceptanceUnitIdentify: Annotated[str, text("承诺受理单位代码", 18, CREDIT_CODE)]
    publicationType: Annotated[
        str, choice("公开类型", "可向社会公开", "特定范围内公开", "不可公开")
    ]
    remarks: Annotated[str, remark()] = ""


class Fulfilment(Record):
    """履约践诺: how a commitment was kept.

    `commitmentId` must lead to a commitment; whether it does is not a rule of one record, so it is
    not judged here.
    """

    category = Category.FULFILMENT
    source = COMMITMENT_STANDARD
    decided = "fulfillmentStatusDate"
    subject = "commitmentId"
    natural_key = ("commitmentId",)
    rules: ClassVar = (
        *(
            rule(field, "fulfillmentStatus", when, because, COMMITMENT_STANDARD)
            for field in ("unperformedCommitmentContent", "liabilityBreachCommitmentContent")
            for rule, when, because in (
                (
                    required_when,
                    lambda status: status not in (PERFORMED, ""),
                    "承诺没有全部履行",
                ),
                (
                    empty_when,
                    lambda status: status == PERFORMED,
                    "承诺已全部履行",
                ),
            )
        ),
    )
    example: ClassVar = {
        "commitmentId": "42011520220303060002",
        "fulfillmentStatus": "全部履行",
        "fulfillmentStatusDate": "2022-06-01",
        "acceptanceConfirmUnit": "武汉市江夏区市场监督管理局",
        "acceptanceConfirmUnitIdentify": "11420115000000030Y",
    }

    commitmentId: Annotated[str, text("信用承诺id(关联)", 20, WHOLE_NUMBER)]
    fulfillmentStatus: Annotated[str, choice("承诺履行状态", PERFORMED, "部分履行", "全部未履行")]
    unperformedCommitmentContent: Annotated[str, text("未履行的承诺内容", 4000)] = ""
    liabilityBreachCommitmentContent: Annotated[str, text("违诺责任追究内容", 4000)] = ""
    fulfillmentStatusDate: Annotated[str, decided_day("承诺履行状态认定日期")] = ""
    acceptanceConfirmUnit: Annotated[str, text("承诺履行状态认定单位", 200)] = ""
    acceptanceConfirmUnitIdentify: Annotated[
        str, text("承诺履行状态认定单位代码", 18, CREDIT_CODE)
    ] = ""
