"""What simulated records say: the fields of every category."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

from models.identity import SOLE_TRADER_CODE
from models.rules import NATURAL_PERSON, RESIDENT_ID, SubjectFields
from models.words import Category
from streams.demo.simulate.subjects import GENERAL, POPULATION, Agency, Issuer, Subject, subject

Fields = dict[str, str]
"""A record by field code."""


class Draft(NamedTuple):
    """All that a record follows from.

    `number` is its own in its cell, `who` that of its subject, `serial` that of its document.
    """

    issuer: Issuer
    agency: Agency
    number: int
    who: int
    serial: int
    decided: date
    draw: int

    @property
    def document(self) -> str:
        """文书号 in the agency's own series."""
        return f"{self.agency.series}〔{self.decided.year}〕{self.serial}号"

    def subject(self, *, persons: bool = True) -> Subject:
        """Whom the record is about: another one for every number of the cell."""
        return subject(self.issuer, self.who, persons=persons)


class Matter(NamedTuple):
    """What an agency of one field permits, punishes and looks at."""

    licences: tuple[tuple[str, str], ...]
    offences: tuple[tuple[str, str, str], ...]
    inspections: tuple[str, ...]


_MATTERS: Final = {
    GENERAL: Matter(
        (
            ("经营许可证", "准予从事许可范围内的经营活动"),
            ("施工许可证", "准予按批准的设计文件施工"),
            ("", "准予变更登记事项"),
            ("资质证书", "准予延续资质，有效期内不得超越等级承揽业务"),
        ),
        (
            (
                "未按规定办理变更手续",
                "变更后三十日内未办理手续",
                "《中华人民共和国行政许可法》第八十条",
            ),
            ("未按规定报送资料", "经催告仍未按期报送资料", "《中华人民共和国统计法》第四十一条"),
            (
                "超越许可范围经营",
                "在许可范围之外开展经营活动",
                "《中华人民共和国行政许可法》第八十条",
            ),
        ),
        ("资质条件保持情况", "日常经营行为", "资料报送情况"),
    ),
    "市监": Matter(
        (
            ("食品经营许可证", "准予从事预包装食品销售"),
            ("营业执照", "准予设立登记"),
            ("营业执照", "准予变更经营范围"),
            ("特种设备使用登记证", "准予电梯使用登记"),
        ),
        (
            ("未明码标价", "店内在售商品未标明价格", "《中华人民共和国价格法》第四十二条"),
            (
                "经营超过保质期的食品",
                "货架上有超过保质期的食品",
                "《中华人民共和国食品安全法》第一百二十四条",
            ),
            ("发布虚假广告", "宣传内容与实际不符", "《中华人民共和国广告法》第五十五条"),
        ),
        ("食品经营场所卫生", "明码标价情况", "特种设备安全", "登记事项公示信息"),
    ),
    "环": Matter(
        (
            ("排污许可证", "准予排放污染物"),
            ("", "同意建设项目环境影响报告表"),
            ("辐射安全许可证", "准予使用Ⅲ类射线装置"),
        ),
        (
            (
                "超标排放水污染物",
                "总排口化学需氧量超标",
                "《中华人民共和国水污染防治法》第八十三条",
            ),
            (
                "未采取有效防尘措施",
                "施工现场物料未覆盖",
                "《中华人民共和国大气污染防治法》第一百一十五条",
            ),
        ),
        ("危险废物管理", "污染防治设施运行情况", "自动监测设备"),
    ),
    "城管": Matter(
        (
            ("建筑垃圾处置证", "准予处置建筑垃圾"),
            ("", "准予临时占用道路"),
            ("", "准予设置户外广告设施"),
        ),
        (
            ("擅自占用道路", "占用人行道堆放物品", "《城市道路管理条例》第四十二条"),
            (
                "运输建筑垃圾沿途撒漏",
                "车辆未密闭造成路面污染",
                "《城市建筑垃圾管理规定》第二十三条",
            ),
        ),
        ("门前三包责任落实", "建筑垃圾运输", "户外广告设施安全"),
    ),
    "卫": Matter(
        (
            ("公共场所卫生许可证", "准予经营公共场所"),
            ("医疗机构执业许可证", "准予执业登记"),
            ("护士执业证书", "准予护士执业注册"),
        ),
        (
            (
                "未按规定消毒公共用品",
                "顾客用品用具未按规定清洗消毒",
                "《公共场所卫生管理条例》第十四条",
            ),
            (
                "使用非卫生技术人员",
                "未取得资格的人员从事诊疗活动",
                "《医疗机构管理条例》第四十七条",
            ),
        ),
        ("公共场所卫生", "医疗废物处置", "消毒隔离制度落实"),
    ),
    "应急": Matter(
        (
            ("危险化学品经营许可证", "准予经营危险化学品"),
            ("烟花爆竹经营（零售）许可证", "准予零售烟花爆竹"),
        ),
        (
            (
                "未如实记录安全生产教育培训",
                "培训档案与实际不符",
                "《中华人民共和国安全生产法》第九十七条",
            ),
            (
                "未设置安全警示标志",
                "危险作业场所无明显警示标志",
                "《中华人民共和国安全生产法》第九十九条",
            ),
        ),
        ("安全生产责任制落实", "有限空间作业", "应急预案和演练"),
    ),
}
_MATTERS["行审"] = Matter(
    (*_MATTERS[GENERAL].licences, *_MATTERS["市监"].licences, *_MATTERS["卫"].licences), (), ()
)


def _plus(day: date, years: int) -> str:
    """The day before the anniversary, by 365 days a year: a term's end."""
    return (day + timedelta(days=365 * years - 1)).isoformat()


_SUBJECT_OF: Final = {prefix: SubjectFields.of(prefix) for prefix in ("XK_", "CF_", "")}


def _about(subject: Subject, prefix: str) -> Fields:
    """The fields of the subject, by what its kind must state."""
    fields = _SUBJECT_OF[prefix]
    about = {f"{prefix}XDR_MC": subject.name, fields.kind: subject.kind}
    if subject.kind == NATURAL_PERSON:
        about[fields.id_kind] = RESIDENT_ID
        about[fields.id_number] = subject.code
        return about
    about[fields.representative] = subject.representative
    if subject.registration:
        about[fields.credit_code] = SOLE_TRADER_CODE
        about[fields.registration] = subject.registration
    else:
        about[fields.credit_code] = subject.code
    return about


def _licence(draft: Draft) -> Fields:
    agency, decided, draw = draft.agency, draft.decided, draft.draw
    licences = _MATTERS[agency.field].licences
    certificate, content = licences[draw % len(licences)]
    day = decided.isoformat()
    fields = _about(draft.subject(), "XK_")
    fields |= {
        "XK_XKWS": "准予行政许可决定书",
        "XK_WSH": draft.document,
        "XK_XKLB": ("普通", "普通", "核准", "登记", "认可")[draw // 32 % 5],
        "XK_NR": content,
        "XK_JDRQ": day,
        "XK_YXQZ": day,
        "XK_YXQZI": _plus(decided, 3 + draw // 512 % 3) if draw // 256 % 4 else "2099-12-31",
        "XK_XKJG": agency.name,
        "XK_XKJGDM": agency.code,
        "XK_ZT": "1",
        "XK_LYDW": agency.name,
        "XK_LYDWDM": agency.code,
    }
    if certificate:
        fields["XK_XKZS"] = certificate
        fields["XK_XKBH"] = f"{draft.issuer.region}{decided.year}{draft.serial:07d}"
    return fields


def _penalty(draft: Draft) -> Fields:
    agency, decided, draw = draft.agency, draft.decided, draft.draw
    offences = _MATTERS[agency.field].offences
    offence, fact, basis = offences[draw % len(offences)]
    fields = _about(draft.subject(), "CF_")
    fields |= {
        "CF_WSH": draft.document,
        "CF_WFXW": offence,
        "CF_SY": f"经查，当事人{fact}，事实清楚，证据确凿",
        "CF_YJ": basis,
    }
    if draw // 32 % 5:
        fine = 500 * (1 + draw // 256 % 100)
        confiscates = draw // 64 % 8 == 0
        fields["CF_CFLB"] = "罚款；没收违法所得" if confiscates else "罚款"
        fields["CF_NR"] = f"罚款人民币{fine}元" + ("，没收违法所得200元" if confiscates else "")
        fields["CF_NR_FK"] = f"{fine / 10_000:g}"
        if confiscates:
            fields["CF_NR_WFFF"] = "0.02"
    else:
        fields["CF_CFLB"] = "警告"
        fields["CF_NR"] = "警告，责令改正"
    return fields | {
        "CF_JDRQ": decided.isoformat(),
        "CF_GSJZQ": _plus(decided, 1),
        "CF_CFJG": agency.name,
        "CF_CFJGDM": agency.code,
        "CF_SJLY": agency.name,
        "CF_SJLYDM": agency.code,
    }


def _action(draft: Draft, document_name: str, content: str) -> Fields:
    agency = draft.agency
    fields = _about(draft.subject(), "")
    return fields | {
        "WSMC": document_name,
        "WSH": draft.document,
        "NR": content,
        "JDRQ": draft.decided.isoformat(),
        "JG": agency.name,
        "JGDM": agency.code,
        "LYDW": agency.name,
        "LYDWDM": agency.code,
    }


def _enforcement(draft: Draft) -> Fields:
    kind, basis = (
        ("查封场所、设施或者财物", "《中华人民共和国行政强制法》第九条第二项"),
        ("扣押财物", "《中华人民共和国行政强制法》第九条第三项"),
        ("加处罚款或者滞纳金", "《中华人民共和国行政强制法》第十二条第一项"),
        ("排除妨碍、恢复原状", "《中华人民共和国行政强制法》第十二条第四项"),
        ("代履行", "《中华人民共和国行政强制法》第十二条第五项"),
    )[draft.draw % 5]
    return _action(draft, "行政强制决定书", f"决定{kind}") | {
        "QZ_LB": kind,
        "QZ_YJ": basis,
        "QZ_KSRQ": draft.decided.isoformat(),
        "QZ_JSRQ": (draft.decided + timedelta(days=30)).isoformat(),
    }


def _confirmation(draft: Draft) -> Fields:
    matter = ("工伤认定", "既有建筑加装电梯确认", "税收居民身份认定", "地名命名确认")[
        draft.draw % 4
    ]
    return _action(draft, "行政确认决定书", f"经审核，对{matter}予以确认") | {"QR_SX": matter}


def _adjudication(draft: Draft) -> Fields:
    matter, basis = (
        ("土地权属争议", "《中华人民共和国土地管理法》第十四条"),
        ("房屋征收补偿争议", "《国有土地上房屋征收与补偿条例》第二十六条"),
    )[draft.draw % 2]
    respondent = subject(draft.issuer, draft.who + POPULATION // 2, persons=False)
    return _action(draft, "行政裁决书", f"对{matter}作出裁决") | {
        "CJ_SX": matter,
        "CJ_BSQR": respondent.name,
        "CJ_YJ": basis,
    }


def _reward(draft: Draft) -> Fields:
    reason = ("安全生产先进", "举报违法行为查证属实", "科技创新贡献突出")[draft.draw % 3]
    return _action(draft, "行政奖励决定书", f"因{reason}予以奖励") | {
        "JL_LB": "荣誉",
        "JL_SY": reason,
    }


def _inspection(draft: Draft) -> Fields:
    draw = draft.draw
    matters = _MATTERS[draft.agency.field].inspections
    matter = matters[draw % len(matters)]
    fields = _action(draft, "行政检查记录", f"对{matter}进行检查")
    fields["JC_LB"] = ("日常检查", "专项检查", "双随机抽查")[draw // 16 % 3]
    fields["JC_SX"] = matter
    if draw // 64 % 20:
        fields["JC_JG"] = "合格"
    else:
        fields["JC_JG"] = "不合格"
        fields["JC_CLYJ"] = "责令十五日内改正，届时复查"
    return fields


def _other_action(draft: Draft) -> Fields:
    kind, matter = (
        ("给付", "稳岗返还"),
        ("给付", "一次性吸纳就业补贴"),
        ("征收", "污水处理费征收"),
        ("补偿", "临时占地补偿"),
        ("其他", "备案"),
    )[draft.draw % 5]
    fields = _action(draft, "决定书", f"{matter}，按规定办理")
    fields |= {"QT_LB": kind, "QT_SX": matter}
    if kind != "其他":
        fields["QT_JE"] = f"{(1 + draft.draw // 16 % 400) / 20:g}"
    return fields


def _grading(draft: Draft) -> Fields:
    who, agency = draft.subject(persons=False), draft.agency
    return {
        "ZT_MC": who.name,
        "ZT_LB": who.kind,
        "ZT_DM": who.code,
        "PJ_MC": {
            "环": "环保信用评价",
            "卫": "公共场所卫生信誉度评价",
            "应急": "安全生产信用评价",
        }.get(agency.field, "行业信用分级分类评价"),
        "PJ_ND": str(draft.decided.year - 1),
        "PJ_DJ": "AAABBBBCCD"[draft.draw % 10],
        "PJRQ": draft.decided.isoformat(),
        "YXQZ": _plus(draft.decided, 1),
        "PJ_DW": agency.name,
        "PJ_DWDM": agency.code,
    }


def _basic(draft: Draft) -> Fields:
    who, agency, draw = draft.subject(persons=False), draft.agency, draft.draw
    return {
        "ZT_MC": who.name,
        "ZT_LB": who.kind,
        "ZT_DM": who.code,
        "FRDB": who.representative,
        "CLRQ": f"{2001 + draw % 20}-{1 + draw // 32 % 12:02d}-{1 + draw // 512 % 28:02d}",
        "BGRQ": draft.decided.isoformat(),
        "DJ_ZT": "注销" if draw // 16384 % 25 == 0 else "存续",
        "JYFW": "许可项目以审批结果为准；一般项目凭营业执照依法自主开展经营活动",
        "DJ_JG": agency.name,
        "DJ_JGDM": agency.code,
    }


def _commitment_code(draft: Draft, day: date) -> str:
    # Some units share a region: a block of serials each keeps their codes apart.
    serial = (20_000 * draft.issuer.number + draft.number + 1) % 1_000_000
    return f"{draft.issuer.region}{day.isoformat().replace('-', '')}{serial:06d}"


def _commitment(draft: Draft) -> Fields:
    who, agency = draft.subject(), draft.agency
    kind, reason, content = (
        ("主动型", "信用承诺公示", "依法诚信经营，自觉接受社会监督"),
        ("主动型", "参加政府采购", "所提供的材料真实、合法、有效"),
        ("审批替代型", "办理经营许可", "已知晓并符合许可条件，按要求从事经营活动"),
        ("容缺受理型", "办理变更登记", "在十个工作日内补齐所缺材料"),
        ("证明事项型", "办理资格认定", "符合证明事项规定的条件，愿意承担不实承诺的责任"),
        ("信用修复型", "申请信用修复", "已纠正失信行为，不再发生同类违法行为"),
        ("行业自律型", "加入行业协会", "遵守行业规范，公平竞争"),
    )[draft.draw % 7]
    return {
        "code": _commitment_code(draft, draft.decided),
        "subjectName": who.name,
        "subjectCategory": who.kind,
        "identify": who.code,
        "commitmentTypeId": kind,
        "reason": reason,
        "content": content,
        "liabilityBreachCommitment": "违反承诺的，自愿接受信用惩戒并承担法律责任",
        "commitmentDate": draft.decided.isoformat(),
        "commitmentValidity": _plus(draft.decided, 1),
        "acceptanceUnit": agency.name,
        "acceptanceUnitIdentify": agency.code,
        "publicationType": "特定范围内公开" if who.kind == NATURAL_PERSON else "可向社会公开",
    }


_BROKEN_PROMISE: Final = {
    "fulfillmentStatus": "部分履行",
    "unperformedCommitmentContent": "承诺的材料未按期补齐",
    "liabilityBreachCommitmentContent": "责令限期补齐，记入信用记录",
}


def _fulfilment(draft: Draft) -> Fields:
    promised = draft.decided - timedelta(days=90)
    kept = draft.draw % 50 != 0
    return {
        "commitmentId": _commitment_code(draft, promised),
        **({"fulfillmentStatus": "全部履行"} if kept else _BROKEN_PROMISE),
        "fulfillmentStatusDate": draft.decided.isoformat(),
        "acceptanceConfirmUnit": draft.agency.name,
        "acceptanceConfirmUnitIdentify": draft.agency.code,
    }


def _joint_case(draft: Draft) -> Fields:
    who, agency = draft.subject(persons=False), draft.agency
    kind, matter, measure, basis = (
        ("联合激励", "容缺受理", "优先办理，实行绿色通道", "《武汉市守信联合激励措施清单》"),
        ("联合激励", "减少检查频次", "降低双随机抽查比例", "《武汉市守信联合激励措施清单》"),
        (
            "联合惩戒",
            "政府采购资格审查",
            "禁止参加政府采购活动",
            "《中华人民共和国政府采购法》第二十二条",
        ),
    )[draft.draw % 3]
    return {
        "ZT_MC": who.name,
        "ZT_LB": who.kind,
        "ZT_DM": who.code,
        "AL_LX": kind,
        "AL_SX": matter,
        "AL_CS": measure,
        "AL_YJ": basis,
        "SSRQ": draft.decided.isoformat(),
        "SS_DW": agency.name,
        "SS_DWDM": agency.code,
    }


WRITERS: Final[dict[Category, Callable[[Draft], Fields]]] = {
    Category.LICENCE: _licence,
    Category.PENALTY: _penalty,
    Category.ENFORCEMENT: _enforcement,
    Category.CONFIRMATION: _confirmation,
    Category.ADJUDICATION: _adjudication,
    Category.REWARD: _reward,
    Category.INSPECTION: _inspection,
    Category.OTHER_ACTION: _other_action,
    Category.GRADING: _grading,
    Category.BASIC: _basic,
    Category.COMMITMENT: _commitment,
    Category.FULFILMENT: _fulfilment,
    Category.JOINT_CASE: _joint_case,
}
"""The function that makes a valid record of a draft. 诚信宣传活动 is in no published table."""
