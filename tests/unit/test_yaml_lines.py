from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.yaml_lines import YamlFault, YamlList, YamlMap, line_at, parse_yaml

TEXT = """\
# 注释
units:
  - name: 江夏区
    window: 7
  - {name: 洪山区, since: 2022-01-01}

rate: 0.95
on_duty: true
nobody:
"""


def test_plain_values_and_the_line_of_each() -> None:
    root = parse_yaml(TEXT, "units.yaml")
    assert root == {
        "units": [
            {"name": "江夏区", "window": 7},
            {"name": "洪山区", "since": date(2022, 1, 1)},
        ],
        "rate": 0.95,
        "on_duty": True,
        "nobody": None,
    }
    assert isinstance(root, YamlMap)
    assert root.lines == {"units": 2, "rate": 7, "on_duty": 8, "nobody": 9}
    units = root["units"]
    assert isinstance(units, YamlList)
    assert (units.line, units.lines) == (3, [3, 5])
    first = units[0]
    assert isinstance(first, YamlMap)
    assert (first.line, first.lines) == (3, {"name": 3, "window": 4})


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("units",), 2),
        (("units", 0, "window"), 4),
        (("units", 1, "since"), 5),
        (("units", 1, "missing"), 5),
        (("units", 9), 2),
        (("units", -1), 2),
        (("units", "name"), 2),
        (("rate", "deeper"), 7),
    ],
)
def test_line_at_names_the_nearest_known_line(path: tuple[str | int, ...], line: int) -> None:
    assert line_at(parse_yaml(TEXT, "units.yaml"), path) == line


def test_an_empty_text_is_none() -> None:
    assert parse_yaml("# 只有注释\n", "a.yaml") is None
    assert line_at(None, ("a",)) == 1


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: 2\na: 3", 3, "“a”重复，已在第 1 行"),
        ("a:\n  - {b: 1, b: 2}", 2, "“b”重复"),
        ("a: 1\n2022: 2", 2, "必须是文字"),
        ("a: 1\n<<: {b: 2}", 2, ""),
        ("? [a]\n: 1", 1, "必须是文字"),
        ("a: 1\nb: &x 2", 2, "锚点"),
        ("a: 1\nb: *x", 2, "锚点"),
        ("a: 1\nb: !!bool no way", 2, "标签"),
        ("a: !!python/object:os.system x", 1, "标签"),
        ("a: 1\nb: 2022-13-01", 2, "“2022-13-01”不是有效的值"),
        ("a: 1\nb: =", 2, "YAML 格式错误"),
        ("a: 1\nb: [1, 2", 2, "YAML 格式错误"),
        ("a: 1\n\tb: 2", 2, "YAML 格式错误"),
        ("a: 1\n---\nb: 2", 2, "YAML 格式错误"),
        ("a: 1\nb: \x07", 2, "控制字符 U+0007"),
    ],
)
def test_a_fault_names_source_and_line(text: str, line: int, word: str) -> None:
    with pytest.raises(YamlFault) as caught:
        parse_yaml(text, "deploy/registry/a.yaml")
    fault = caught.value
    assert fault.line == line
    assert word in fault.reason
    assert str(fault) == f"deploy/registry/a.yaml 第 {line} 行：{fault.reason}"


@given(st.text(alphabet=st.sampled_from("ab01 :-,[]{}\n\t\"'#&*!?|>=<.~%@`\\"), max_size=40))
def test_any_text_is_read_or_its_fault_lies_within_it(text: str) -> None:
    line = 1
    try:
        parse_yaml(text, "a.yaml")
    except YamlFault as fault:
        line = fault.line
    # What is left open is told at the line after the last.
    assert 1 <= line <= text.count("\n") + 2
