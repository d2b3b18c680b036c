import csv
import pickle
import re
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from yaml import safe_dump

from models.month import Month
from models.registry import (
    DEFAULT_WINDOW,
    FILES,
    OFFICE,
    OPERATORS,
    AlertLines,
    Contact,
    Platform,
    Registry,
    RegistryError,
    Unit,
    Via,
)
from models.words import Category, UnitKind
from streams.errors import InputError
from streams.published import PublishedCell, published_month
from streams.registry import load_calendar, load_registry

FOLDER = Path(__file__).parents[2] / "deploy" / "registry"

SMALL = {
    "units.yaml": """\
- {id: 江岸区, kind: district, aliases: [武汉市江岸区]}
- {id: 黄陂区, kind: district}
- id: 市公管办(市政务服务和大数据管理局)
  kind: department
  aliases: [市公管办]
""",
    "platforms.yaml": """\
- id: jiangan
  name: 江岸区电子政务公共平台
  owner: 武汉市江岸区
  since: 2022-06-01
  via: api
- id: gongguan
  name: 审管联动
  owner: 市公管办
  speaks_for: [市公管办, 黄陂区]
  categories: [licence]
  since: 2022-06-01
  via: kafka
""",
    "contacts.yaml": """\
- {unit: 江岸区, role: 报送岗, email: a@jiangan.example}
- {unit: 黄陂区, role: 报送岗, email: a@huangpi.example}
- {unit: 武汉市江岸区, role: 值班岗, email: b@jiangan.example, webhook: https://hook.example/key1}
""",
    "thresholds.yaml": """\
- category: licence
  compliance: {warning: 98, critical: 95.5}
  timeliness: {warning: 98, critical: 90}
  min_count: 5
  for: 15m
- category: licence
  unit: 市公管办
  compliance: {warning: 90, critical: 80}
  min_count: 1
  for: 1h30m
""",
    "windows.yaml": """\
- {days: 14}
- {category: licence, days: 7}
- {category: publicity, days: null}
- {unit: 江岸区, days: 10}
- {unit: 江岸区, category: penalty, days: 5}
""",
}


@pytest.fixture(scope="module")
def shipped() -> Registry:
    return load_registry(FOLDER)


@pytest.fixture(scope="module")
def small() -> Registry:
    return Registry.parse(SMALL)


def refusal(texts: Mapping[str, str]) -> tuple[str, ...]:
    with pytest.raises(RegistryError) as caught:
        Registry.parse(texts)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


# --- the shipped registry -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "table", "count"),
    [(UnitKind.DISTRICT, "districts.csv", 15), (UnitKind.DEPARTMENT, "departments.csv", 25)],
)
def test_shipped_units_are_those_of_the_bulletin(
    shipped: Registry, kind: UnitKind, table: str, count: int
) -> None:
    text = (files("streams.published") / "2022-06" / table).read_text("utf-8")
    published = list(dict.fromkeys(row["unit"] for row in csv.DictReader(text.splitlines())))
    assert [unit.id for unit in shipped.units if unit.kind is kind] == published
    assert len(published) == count


def test_shipped_platforms_are_those_of_the_bulletin(shipped: Registry) -> None:
    assert [(platform.owner, platform.name) for platform in shipped.platforms] == [
        ("市公管办(市政务服务和大数据管理局)", "武汉市审管联动信息交互平台"),
        ("蔡甸区", "蔡甸区大数据平台"),
        ("经开区", "经开区政策兑现综合服务平台"),
        ("东西湖区", "社会治理指挥中心信息化平台"),
        ("黄陂区", "大数据平台"),
        ("江岸区", "江岸区电子政务公共平台"),
        ("汉阳区", "汉阳楼宇招商信息平台"),
        ("汉阳区", "汉阳教育云平台"),
    ]
    assert {platform.since for platform in shipped.platforms} == {date(2022, 6, 1)}
    assert all(platform.speaks_for == {platform.owner} for platform in shipped.platforms)


@pytest.mark.parametrize(
    ("name", "unit_id"),
    [
        ("江夏区", "江夏区"),
        ("武汉东湖新技术开发区", "东湖高新区"),
        ("武汉经济技术开发区", "经开区"),
        ("东湖生态旅游风景区", "东湖风景区"),
        ("市公管办", "市公管办(市政务服务和大数据管理局)"),
        ("市政务服务和大数据管理局", "市公管办(市政务服务和大数据管理局)"),
        ("市公管办（市政务服务和大数据管理局）", "市公管办(市政务服务和大数据管理局)"),
    ],
)
def test_shipped_units_are_found_by_every_name(shipped: Registry, name: str, unit_id: str) -> None:
    unit = shipped.unit(name)
    assert unit is not None
    assert unit.id == unit_id


def test_misprint_of_the_bulletin_is_no_unit(shipped: Registry) -> None:
    assert shipped.unit("黄浦区") is None


def test_every_shipped_unit_can_be_told_at_an_address_that_reaches_nobody(
    shipped: Registry,
) -> None:
    told = [OFFICE, OPERATORS, *(unit.id for unit in shipped.units)]
    for name in told:
        (contact,) = shipped.contacts_for(name)
        assert contact.email.endswith(".example")
    assert len({contact.email for contact in shipped.contacts}) == len(told)


def test_shipped_windows_and_thresholds(shipped: Registry) -> None:
    for unit in shipped.units:
        assert {shipped.window(unit.id, category) for category in Category} == {14}
    threshold = shipped.thresholds_for("江夏区", Category.PENALTY)
    assert threshold is not None
    assert threshold.compliance == AlertLines(warning=Decimal(98), critical=Decimal(95))
    assert threshold.timeliness == AlertLines(warning=Decimal(98), critical=Decimal(90))
    assert threshold.min_count == 5
    assert shipped.thresholds_for("江夏区", Category.BASIC) is None


# --- look-ups -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit_id", "category", "days"),
    [
        ("江岸区", Category.PENALTY, 5),
        ("江岸区", Category.LICENCE, 10),
        ("江岸区", Category.PUBLICITY, 10),
        ("黄陂区", Category.LICENCE, 7),
        ("黄陂区", Category.PUBLICITY, None),
        ("黄陂区", Category.PENALTY, 14),
        (None, Category.LICENCE, 7),
        (None, Category.PENALTY, 14),
    ],
)
def test_the_more_exact_window_holds(
    small: Registry, unit_id: str | None, category: Category, days: int | None
) -> None:
    assert small.window(unit_id, category) == days


def test_window_is_the_default_where_none_is_set() -> None:
    registry = Registry.parse(SMALL | {"windows.yaml": "[]"})
    assert registry.window("江岸区", Category.LICENCE) == DEFAULT_WINDOW == 14


def test_window_of_a_stranger_is_an_error(small: Registry) -> None:
    with pytest.raises(KeyError):
        small.window("黄浦区", Category.LICENCE)


def test_threshold_of_a_unit_stands_instead_of_its_category(small: Registry) -> None:
    general = small.thresholds_for("江岸区", Category.LICENCE)
    own = small.thresholds_for("市公管办(市政务服务和大数据管理局)", Category.LICENCE)
    assert general is not None
    assert own is not None
    assert general.compliance is not None
    assert (general.unit, general.compliance.critical) == (None, Decimal("95.5"))
    assert (own.min_count, own.for_, own.timeliness) == (1, "1h30m", None)
    assert small.thresholds_for("江岸区", Category.PENALTY) is None


def test_contacts_are_found_by_unit_whatever_name_the_file_used(small: Registry) -> None:
    assert [contact.role for contact in small.contacts_for("江岸区")] == ["报送岗", "值班岗"]
    assert small.contacts_for("市公管办(市政务服务和大数据管理局)") == ()


def test_platform_speaks_for_its_owner_in_everything_unless_told(small: Registry) -> None:
    platform = small.platform("jiangan")
    assert platform is not None
    assert platform.owner == "江岸区"
    assert platform.via is Via.API
    assert all(platform.may_speak_for("江岸区", category) for category in Category)
    assert not platform.may_speak_for("黄陂区", Category.LICENCE)


def test_platform_speaks_only_for_units_and_categories_it_was_given(small: Registry) -> None:
    platform = small.platform("gongguan")
    assert platform is not None
    assert platform.may_speak_for("市公管办(市政务服务和大数据管理局)", Category.LICENCE)
    assert platform.may_speak_for("黄陂区", Category.LICENCE)
    assert not platform.may_speak_for("黄陂区", Category.PENALTY)
    assert not platform.may_speak_for("江岸区", Category.LICENCE)
    assert small.platform("nobody") is None


def test_registry_and_entries_cannot_be_changed(small: Registry) -> None:
    with pytest.raises(FrozenInstanceError):
        small.identity_key = b"other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        small.units[0].id = "别名"  # type: ignore[misc]


def test_secrets_do_not_show() -> None:
    registry = Registry.parse(SMALL, b"top-secret")
    assert registry.identity_key == b"top-secret"
    shown = repr(registry) + str(registry) + repr(registry.contacts)
    assert "top-secret" not in shown
    assert "key1" not in shown


def test_identity_key_is_empty_offline(small: Registry) -> None:
    assert small.identity_key == b""


def test_other_files_are_not_read() -> None:
    assert len(Registry.parse(SMALL | {"calendar.yaml": "- : ["}).units) == 3


def test_registry_can_be_handed_to_another_process(small: Registry) -> None:
    copy = pickle.loads(pickle.dumps(small))
    assert copy.units == small.units
    assert copy.window("江岸区", Category.PENALTY) == 5


def test_entries_made_by_hand_keep_the_names_they_were_given() -> None:
    unit = Unit(id="江岸区", kind=UnitKind.DISTRICT)
    platform = Platform(id="p", name="平台", owner="江岸区", since=date(2022, 6, 1), via=Via.FILE)
    contact = Contact(unit="江岸区", role="岗", email="a@b.example")
    registry = Registry((unit,), (platform,), (contact,))
    assert registry.platform("p") is platform
    assert registry.contacts_for("江岸区") == (contact,)
    assert registry.window("江岸区", Category.LICENCE) == DEFAULT_WINDOW


# --- refusals -------------------------------------------------------------------------------


# Each is added to the end of the sound file; `line` counts from the first line added.
REFUSALS: list[tuple[str, str, int, str]] = [
    # units
    ("units", "- {id: 江岸区, kind: district}", 1, "“江岸区”与第 1 行的 id 或别名重复"),
    ("units", "- {id: 市公管办, kind: district}", 1, "“市公管办”与第 5 行的 id 或别名重复"),
    (
        "units",
        "- id: 甲\n  kind: district\n  aliases:\n  - 乙\n  - 武汉市江岸区",
        5,
        "“武汉市江岸区”与第 1 行的 id 或别名重复",
    ),
    ("units", "- id: 甲\n  kind: district\n  aliases: [乙, 甲]", 3, "“甲”与第 6 行"),
    ("units", "- {id: '', kind: district}", 1, "id 不能为空"),
    ("units", "- id: 甲\n  kind: city", 2, "kind 应为以下之一：district、department"),
    ("units", "- {id: 甲}", 1, "缺少 kind，请补上"),
    ("units", "- {id: 12, kind: district}", 1, "id 应为文字"),
    ("units", "- {id: 甲, kind: district, aliases: 乙}", 1, "aliases 应为列表"),
    ("units", "- id: 甲\n  kind: district\n  alias: 乙", 3, "alias 是不认识的键"),
    ("units", "- 甲", 1, "这一条 应为“键: 值”的形式"),
    # platforms
    (
        "platforms",
        "{P}\n  owner: 黄浦区",
        5,
        "owner 不是 units.yaml 中的报送机构（是否应为“黄陂区”？）",
    ),
    ("platforms", "{P}\n  owner: ABC", 5, "owner 不是 units.yaml 中的报送机构，请改正"),
    (
        "platforms",
        "{P}\n  owner: 江岸区\n  speaks_for:\n  - 江岸区\n  - 江夏区",
        8,
        "speaks_for 第 2 项 不是 units.yaml 中的报送机构",
    ),
    ("platforms", "{P}\n  owner: 江岸区\n  speaks_for: []", 6, "speaks_for 不能是空列表"),
    (
        "platforms",
        "{P}\n  owner: 江岸区\n  categories: [licence, 许可]",
        6,
        "categories 第 2 项 应为以下之一：licence、penalty、",
    ),
    ("platforms", "{P}\n  owner: 江岸区\n  categories: licence", 6, "categories 应为列表"),
    ("platforms", "{P}\n  owner: 江岸区\n  since_: 2022", 6, "since_ 是不认识的键"),
    ("platforms", "{P}\n  owner: 江岸区\n  rhythm: 0", 6, "rhythm 不能小于 1"),
    ("platforms", "{P}\n  owner: 江岸区\n  rhythm: 每周", 6, "rhythm 应为整数"),
    ("platforms", "{P}", 1, "缺少 owner，请补上"),
    (
        "platforms",
        "- {id: jiangan, name: 台, owner: 黄陂区, via: api, since: 2022-06-01}",
        1,
        "id 与第 1 行重复",
    ),
    (
        "platforms",
        "- {id: A/b, name: 台, owner: 黄陂区, via: api, since: 2022-06-01}",
        1,
        "id 只能用小写字母、数字和连字符",
    ),
    (
        "platforms",
        "- {id: a, name: 台, owner: 黄陂区, via: mail, since: 2022-06-01}",
        1,
        "via 应为以下之一：api、kafka、file",
    ),
    ("platforms", "{S} 2022年6月", 2, "since 应为日期，写成 2022-06-01"),
    ("platforms", "{S} 20220601", 2, "since 应为日期，写成 2022-06-01"),
    ("platforms", "{S} '2022-06-01'", 2, "since 应为日期，写成 2022-06-01"),
    ("platforms", "{S} 2022-06-01 08:00:00", 2, "since 应为日期，写成 2022-06-01"),
    # contacts
    ("contacts", "- {unit: 江夏区, role: 岗, email: a@b.example}", 1, "unit 不是 units.yaml"),
    ("contacts", "- {unit: 江岸区, role: 岗, email: b.example}", 1, "email 不是有效的邮箱地址"),
    ("contacts", "- {unit: 江岸区, role: 岗, email: a@b}", 1, "email 不是有效的邮箱地址"),
    ("contacts", "- {unit: 江岸区, role: 岗, email: a b@c.example}", 1, "email 不是有效的邮箱地址"),
    ("contacts", "- {unit: 江岸区, role: 岗, email: 张@c.example}", 1, "email 不是有效的邮箱地址"),
    (
        "contacts",
        "- {unit: 武汉市江岸区, role: 岗, email: a@jiangan.example}",
        1,
        "unit 和 email 与第 1 行重复",
    ),
    (
        "contacts",
        "- unit: 江岸区\n  role: 岗\n  email: c@d.example\n  webhook: http://x.example",
        4,
        "webhook 应为 https:// 开头的地址",
    ),
    (
        "contacts",
        "- unit: 江岸区\n  role: 岗\n  email: c@d.example\n  webhook: https://x.example/?key=1",
        4,
        "webhook 不能带密钥",
    ),
    ("contacts", "- {unit: 江岸区, email: c@d.example}", 1, "缺少 role"),
    # thresholds
    (
        "thresholds",
        "{T}\n  compliance: {warning: 101, critical: 5}",
        4,
        "compliance warning 不能大于 100",
    ),
    (
        "thresholds",
        "{T}\n  compliance: {warning: 5, critical: -1}",
        4,
        "compliance critical 不能小于 0",
    ),
    (
        "thresholds",
        "{T}\n  timeliness:\n    warning: .nan\n    critical: 1",
        5,
        "timeliness warning 应为数字",
    ),
    (
        "thresholds",
        "{T}\n  timeliness: {warning: 高, critical: 1}",
        4,
        "timeliness warning 应为数字",
    ),
    (
        "thresholds",
        "{T}\n  timeliness: {warning: true, critical: 1}",
        4,
        "timeliness warning 应为数字",
    ),
    ("thresholds", "{T}\n  timeliness: {warning: 90}", 4, "缺少 timeliness critical，请补上"),
    ("thresholds", "{T}\n  timeliness: 90", 4, "timeliness 应为“键: 值”的形式"),
    (
        "thresholds",
        "{T}\n  compliance:\n    warning: 90\n    critical: 95",
        4,
        "compliance 的 warning 低于 critical",
    ),
    (
        "thresholds",
        "{T}\n  compliance: {warning: 95, critical: 90, info: 99}",
        4,
        "compliance info 是不认识的键，请改正或删去；可用的键：warning、critical",
    ),
    ("thresholds", "{T}\n  unit: 江夏区", 4, "unit 不是 units.yaml 中的报送机构"),
    (
        "thresholds",
        "- {category: licence, min_count: 1, for: 5m}",
        1,
        "unit 和 category 与第 1 行重复",
    ),
    ("thresholds", "- {category: licences, min_count: 1, for: 5m}", 1, "category 应为以下之一"),
    ("thresholds", "- {category: basic, min_count: 0, for: 5m}", 1, "min_count 不能小于 1"),
    ("thresholds", "- {category: basic, min_count: 1.0, for: 5m}", 1, "min_count 应为整数"),
    ("thresholds", "- {category: basic, min_count: true, for: 5m}", 1, "min_count 应为整数"),
    ("thresholds", "- {category: basic, min_count: 1, for: 5}", 1, "for 应为文字"),
    ("thresholds", "- {category: basic, min_count: 1, for: 5 分钟}", 1, "for 应为时长，如 15m"),
    ("thresholds", "- {category: basic, min_count: 1, for: ''}", 1, "for 应为时长，如 15m"),
    ("thresholds", "- {category: basic, min_count: 1}", 1, "缺少 for，请补上"),
    # windows
    ("windows", "- {category: penalty, days: 0}", 1, "days 不能小于 1"),
    ("windows", "- {category: penalty, days: 1400}", 1, "days 不能大于 250"),
    ("windows", "- {category: penalty, days: 7.5}", 1, "days 应为整数"),
    ("windows", "- {category: penalty, days: '7'}", 1, "days 应为整数"),
    ("windows", "- {category: penalty}", 1, "缺少 days"),
    ("windows", "- {category: 处罚, days: 7}", 1, "category 应为以下之一"),
    ("windows", "- {unit: 江夏区, days: 7}", 1, "unit 不是 units.yaml 中的报送机构"),
    ("windows", "- {days: 7}", 1, "unit 和 category 与第 1 行重复"),
    ("windows", "- {unit: 武汉市江岸区, days: 7}", 1, "unit 和 category 与第 4 行重复"),
    ("windows", "- {category: penalty, days: 7, days: 8}", 1, "键“days”重复"),
]
SHORT = {
    "{P}": "- id: a\n  name: 台\n  since: 2022-06-01\n  via: api",
    "{S}": "- {id: a, name: 台, owner: 黄陂区, via: api,\n   since:",
    "{T}": "- category: basic\n  min_count: 1\n  for: 5m",
}


@pytest.mark.parametrize(("name", "added", "line", "message"), REFUSALS)
def test_refusal_names_the_line(name: str, added: str, line: int, message: str) -> None:
    file = f"{name}.yaml"
    for mark, text in SHORT.items():
        if added.startswith(mark):
            added = added.replace(mark, text) + ("}" if mark == "{S}" else "")
    (problem,) = refusal(SMALL | {file: SMALL[file] + added})
    assert problem.startswith(f"{file}:{SMALL[file].count(chr(10)) + line}: {message}")


def test_all_problems_are_told_in_order() -> None:
    problems = refusal(
        SMALL
        | {
            "contacts.yaml": "- {unit: 甲, role: 岗, email: x}\n- 7",
            "windows.yaml": "- {days: 0, day: 1}",
            "platforms.yaml": "platforms: []",
        }
    )
    assert [problem.split(" ")[0] for problem in problems] == [
        "contacts.yaml:1:",
        "contacts.yaml:1:",
        "contacts.yaml:2:",
        "platforms.yaml:1:",
        "windows.yaml:1:",
        "windows.yaml:1:",
    ]


def test_a_faulty_unit_is_told_once_not_at_every_mention() -> None:
    units = SMALL["units.yaml"].replace("黄陂区, kind: district", "黄陂区, kind: city")
    (problem,) = refusal(SMALL | {"units.yaml": units})
    assert problem.startswith("units.yaml:2: kind 应为")


@pytest.mark.parametrize("units", ["", "units: []", "- {id: [", None])
def test_units_that_cannot_be_read_are_told_once(units: str | None) -> None:
    texts = {file: text for file, text in SMALL.items() if file != "units.yaml"}
    (problem,) = refusal(texts if units is None else texts | {"units.yaml": units})
    assert problem.startswith("units.yaml:1: ")


def test_missing_files_are_named() -> None:
    assert refusal({}) == tuple(f"{file}:1: 登记册缺少这个文件，请补上" for file in sorted(FILES))


def test_no_value_is_quoted() -> None:
    person, mail = "11010519491231002X", "zhangsan@"
    contact = (
        f"- {{unit: '{person}', role: 5, email: {mail}, wecom: [{person}], webhook: {person}}}"
    )
    told = "\n".join(refusal(SMALL | {"contacts.yaml": contact}))
    assert len(told.splitlines()) == 5
    assert person not in told
    assert mail not in told


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.floats()
    | st.dates()
    | st.sampled_from(["", "江岸区", "甲", "licence", "api", "15m", "a@b.example", "district"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["warning", "critical", "x"]), inner, max_size=2)
    ),
    max_leaves=3,
)
KEYS = st.sampled_from(
    sorted({key for text in SMALL.values() for key in re.findall(r"(\w+):", text)} | {"x"})
)


@given(st.sampled_from(FILES), st.lists(st.dictionaries(KEYS, PLAIN) | PLAIN, max_size=3))
def test_whatever_a_file_holds_is_read_or_refused_in_chinese(file: str, entries: object) -> None:
    try:
        Registry.parse(SMALL | {file: safe_dump(entries, allow_unicode=True)})
    except RegistryError as error:
        for problem in error.problems:
            assert re.match(r"\w+\.yaml:[1-9]\d*: .*[\u4e00-\u9fff]", problem)
            assert "的值不对" not in problem
            assert "Input" not in problem


# --- the folder -----------------------------------------------------------------------------


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    for load in (load_registry, load_calendar):
        with pytest.raises(RegistryError, match="登记册文件夹不存在"):
            load(tmp_path / "nowhere")


def test_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"units\.yaml:1: 登记册缺少这个文件"):
        load_registry(tmp_path)
    with pytest.raises(RegistryError, match=r"calendar\.yaml:1: .*缺少这个文件"):
        load_calendar(tmp_path)


def test_folder_written_on_windows(tmp_path: Path) -> None:
    for file, text in SMALL.items():
        (tmp_path / file).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert load_registry(tmp_path, b"key").identity_key == b"key"
    (tmp_path / "units.yaml").write_bytes("# one\n- {id: 江岸区, kind: district}".encode("gb18030"))
    with pytest.raises(RegistryError, match=r"units\.yaml:2: 不是 UTF-8 编码"):
        load_registry(tmp_path)


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "units.yaml").mkdir()
    with pytest.raises(RegistryError, match=r"units\.yaml:1: 读不出来"):
        load_registry(tmp_path)


def test_calendar_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "calendar.yaml").write_text("announced: []\ndays: []\nmore: []\n", "utf-8")
    with pytest.raises(RegistryError, match=r"^calendar\.yaml:3: "):
        load_calendar(tmp_path)


def test_shipped_calendar_loads() -> None:
    calendar = load_calendar(FOLDER)
    assert calendar.deadline(date(2022, 6, 1), 14).day == date(2022, 6, 22)


# --- published tables -----------------------------------------------------------------------


def test_published_month_holds_both_annexes() -> None:
    cells = published_month(Month(2022, 6))
    assert len(cells) == 132 + 85
    assert cells[1] == PublishedCell(
        "东湖高新区", "行政许可", 967, Decimal("99.28"), Decimal("100.00"), "annex2", ""
    )
    late = next(cell for cell in cells if cell.unit == "市统计局" and cell.category == "行政处罚")
    assert (late.count, late.timeliness_rate) == (1, Decimal("0.00"))
    lost = next(cell for cell in cells if cell.unit == "硚口区" and cell.basis == "inferred")
    assert (lost.category, lost.count, lost.compliance_rate) == ("五类未列明", 86, None)
    assert "86" in lost.note


def test_published_totals_are_the_sums_of_their_parts() -> None:
    beside = {"总报送量", "信用承诺", "履约践诺", "联合奖惩案例"}
    totals: dict[str, int] = {}
    parts: dict[str, int] = {}
    for cell in published_month(Month(2022, 6)):
        if cell.category == "总报送量":
            totals[cell.unit] = cell.count
        elif cell.category not in beside:
            parts[cell.unit] = parts.get(cell.unit, 0) + cell.count
    assert len(totals) == 39
    assert parts == totals


def test_month_that_was_not_published() -> None:
    with pytest.raises(InputError, match="已公布通报，现有：2022-06"):
        published_month(Month(2022, 7))
