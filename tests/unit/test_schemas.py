"""The published JSON Schemas agree with the judge, as far as they go."""

from typing import Any

import jsonschema_rs
import orjson
import pytest

from models.records import SCHEMAS
from models.submission import read_delivery
from models.words import Category
from streams.intake.gateway.schemas import submission_schema
from tests.support.samples import VALID, reasons_of


def valid(category: Category, **given: Any) -> bool:
    submission = {"unit": "江夏区", "category": category.value, **given}
    return jsonschema_rs.Draft202012Validator(
        submission_schema(category), validate_formats=True
    ).is_valid(submission)


def rules_broken(category: Category, record: dict[str, Any]) -> set[str]:
    raw = orjson.dumps({"unit": "江夏区", "category": category.value, "record": record})
    return {reason.rule for reason in reasons_of(read_delivery(raw))}


@pytest.mark.parametrize("category", Category)
def test_what_is_compliant_is_valid(category: Category) -> None:
    assert jsonschema_rs.meta.is_valid(submission_schema(category))
    blank = dict.fromkeys(SCHEMAS[category].items.keys() - SCHEMAS[category].required, "")
    for record in (VALID[category], {**blank, **VALID[category]}, SCHEMAS[category].model.example):
        assert valid(category, record=record)
        assert valid(category, record={**record, "op": "withdraw"}, op="withdraw", reason="录错")
    assert not valid(category, record=VALID[category], op="withdraw")
    assert not valid(category, record=VALID[category], op="delete")
    assert not valid(category, record=None)


@pytest.mark.parametrize("category", Category)
def test_what_is_not_valid_breaks_the_same_rule(category: Category) -> None:
    sample = VALID[category]
    for code, item in SCHEMAS[category].items.items():
        wrong: list[tuple[Any, str]] = [([], "type")]
        if code in SCHEMAS[category].required:
            wrong.append(("", "required"))
        if item.options:
            wrong.append(("别的", "code-list"))
        if item.limit is not None:
            by = {rule.id for rule in item.rules} & {"length", "credit-code", "amount"}
            wrong.append(("长" * (item.limit + 1), max(by)))
        if any(rule.id == "date" for rule in item.rules):
            wrong.append(("2022-02-30", "date"))
        for value, rule in wrong:
            record = {**sample, code: value}
            assert not valid(category, record=record), (code, value)
            assert rule in rules_broken(category, record), (code, value)


def test_every_field_says_its_name_and_what_is_asked() -> None:
    record = submission_schema(Category.LICENCE)["$defs"]["record"]
    assert record["properties"]["XK_WSH"] == {
        "title": "行政许可决定文书号",
        "description": "必填；不超过 64 个字符；没有内容的留空，不要填“无”“测试”之类；"
        "完整的文书号，如 武环许〔2022〕12号",
        "type": "string",
        "maxLength": 64,
        "minLength": 1,
    }
