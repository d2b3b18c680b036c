"""The documents say what the code does."""

import re
from pathlib import Path
from typing import get_args

from models.records import SCHEMAS
from models.rules import REQUIRED, TYPE, ItemRule, RecordRule, Severity
from models.submission import Refusal
from models.words import FIVE_KINDS, IN_TOTAL, Category, CategoryGroup
from streams.meters import METERS
from streams.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


def test_every_rule_is_in_the_rules_with_its_severity() -> None:
    found: list[ItemRule | RecordRule] = []
    for schema in SCHEMAS.values():
        found += schema.rules
        for item in schema.items.values():
            found += item.rules
    rules = {rule.id: rule.severity for rule in found}
    rules |= {REQUIRED.id: Severity.ERROR, TYPE.id: Severity.ERROR}
    text = (DOCS / "rules.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| `([a-z-]+)` \|.*\| (error|warning) \|", text, re.MULTILINE))
    assert listed == {name: severity.value for name, severity in rules.items()}


def test_every_refusal_is_in_the_rules() -> None:
    """That there are no others, mypy sees to."""
    _, text = (DOCS / "rules.md").read_text("utf-8").split("**无法读取的报送**")
    table, _ = text.split("## 4.")
    assert {*re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)} == {*get_args(Refusal)}


def test_every_setting_is_in_the_operations() -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `XINSHAO_([A-Z_]+)` \|", text, re.MULTILINE))
    assert documented == {name.upper() for name in Settings.model_fields} | {"FILE", "SECRETS"}


def test_every_metric_is_in_the_operations() -> None:
    text = (DOCS / "operations.md").read_text("utf-8")
    assert METERS
    assert {meter.name for meter in METERS if f"`{meter.name}" not in text} == set()


def test_every_test_that_shows_a_guarantee_is_there() -> None:
    text = (DOCS / "guarantees.md").read_text("utf-8")
    named = set(re.findall(r"`(test_[a-z_0-9]+)(?:\[|`)", text))
    tests = "".join(each.read_text("utf-8") for each in (DOCS.parent / "tests").rglob("test_*.py"))
    assert named
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_every_category_is_in_the_integration_guide() -> None:
    text = (DOCS / "integrate.md").read_text("utf-8")
    (row,) = re.findall(r"^\| `category` \|.+$", text, re.MULTILINE)
    assert re.findall(r"`(\w+)` (\w+)", row) == [(each.value, each.zh) for each in Category]


def test_every_natural_key_is_in_the_rules() -> None:
    text = (DOCS / "rules.md").read_text("utf-8")
    (table,) = re.findall(r"\| 类别 \| 识别字段 \|\n.+\n((?:\|.+\|\n)+)", text)
    assert re.findall(r"\| (\w+) \| (.+) \|", table) == [
        (category.zh, "、".join(schema.items[code].name for code in schema.model.natural_key))
        for category, schema in SCHEMAS.items()
        if not schema.model.document
    ]


def test_the_total_in_the_rules_is_the_one_that_is_counted() -> None:
    (formula,) = re.findall("- 总报送量 = (.+)。", (DOCS / "rules.md").read_text("utf-8"))
    named = {CategoryGroup.FIVE_KINDS.value: FIVE_KINDS}
    named |= {category.zh: (category,) for category in Category}
    assert {each for name in formula.split(" + ") for each in named[name]} == IN_TOTAL
