"""The verbs that need no server: judge, deadline, simulate."""

import io
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.submission import Position
from models.verdict import RecordState
from models.words import Category, Op
from streams.cli import run
from streams.judging.offline import temporary_states
from tests.support.deployed import CALENDAR
from tests.support.processes import XINSHAO
from tests.support.samples import RESIDENT_ID, VALID, delivery


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.splitlines()]


class Xinshao:
    """The program, run in this process."""

    def __init__(self, captured: pytest.CaptureFixture[bytes]) -> None:
        self._captured = captured

    def __call__(self, *arguments: str) -> Outcome:
        code = run(list(arguments))
        sys.stdout.flush()
        out, err = self._captured.readouterr()
        return Outcome(code, out.decode(), err.decode())


@pytest.fixture
def xinshao(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Xinshao:
    # Laying out 140 years takes longer than everything else that a verb does here.
    monkeypatch.setattr("streams.registry.load_calendar", lambda _folder: CALENDAR)
    return Xinshao(capsysbinary)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A file with everything that can become of a row."""
    path = tmp_path / "mixed.ndjson"
    lines = [
        delivery(),
        delivery(),
        delivery(XK_NR="测试"),
        delivery(op=Op.WITHDRAW, envelope={"reason": "重复录入"}),
        delivery(Category.PENALTY),
        b"{}",
        delivery(unit=f"某区{RESIDENT_ID}"),
        delivery(Category.REWARD, op=Op.WITHDRAW, envelope={"reason": "误报"}),
    ]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


# --- judge ------------------------------------------------------------------------------------


def test_judge_gives_a_json_line_for_every_row(xinshao: Xinshao, mixed: Path) -> None:
    outcome = xinshao("judge", str(mixed), "--json")
    assert outcome.code == 1
    assert outcome.err == ""
    rows = outcome.json
    assert [row["row"] for row in rows] == [1, 2, 3, 4, 5, 6, 7, 8]
    effects = [row["effect"] for row in rows]
    assert effects == [
        *("new", "duplicate", "correction", "withdrawn", "new"),
        *("unreadable", "unreadable", "unreadable"),
    ]
    assert len({row["record_key"] for row in rows[:4]}) == 1
    assert [row["compliant"] for row in rows[:3]] == [True, True, False]
    (reason,) = rows[2]["reasons"]
    assert (reason["rule"], reason["field"], reason["severity"]) == (
        "placeholder",
        "XK_NR",
        "error",
    )
    assert rows[0]["deadline"] == "2022-06-22"
    assert rows[0]["timely"] is True
    assert RESIDENT_ID not in outcome.out


def test_judge_says_of_an_unreadable_row_what_is_known(xinshao: Xinshao, mixed: Path) -> None:
    *_, empty, stranger, missing = xinshao("judge", str(mixed), "--json").json
    assert set(stranger) == set(missing) == set(empty)
    message = empty["reasons"][0].pop("message")
    assert "报送机构" in message
    assert empty == {
        "row": 6,
        "unit": None,
        "category": None,
        "record_key": None,
        "effect": "unreadable",
        "compliant": False,
        "timely": None,
        "deadline": None,
        "provisional": False,
        "reasons": [{"rule": "unit", "field": "", "severity": "error"}],
    }
    assert stranger["category"] == "licence"
    assert (missing["unit"], missing["category"]) == ("江夏区", "reward")
    assert missing["reasons"][0]["rule"] == "withdraw-unknown"


def test_judge_in_words(xinshao: Xinshao, mixed: Path) -> None:
    outcome = xinshao("judge", str(mixed))
    assert outcome.code == 1
    assert "第 1 行" not in outcome.out
    assert "第 3 行  江夏区  行政许可  武夏" in outcome.out
    assert "✗ 许可内容（XK_NR）填的是占位内容“测试”" in outcome.out
    assert "第 6 行  无法读取：缺少报送机构" in outcome.out
    assert "有 3 行无法读取" in outcome.out
    assert RESIDENT_ID not in outcome.out
    (penalty,) = (line for line in outcome.out.splitlines() if "行政处罚" in line)
    (total,) = (line for line in outcome.out.splitlines() if "合计" in line)
    assert penalty.split() == [
        *("江夏区", "行政处罚", "1", "1", "100.00", "1", "100.00", "0", "0", "0", "0"),
    ]
    assert total.split() == ["合计", "1", "1", "100.00", "1", "100.00", "0", "1", "1", "1"]


def test_judge_is_content_with_a_compliant_table(xinshao: Xinshao, tmp_path: Path) -> None:
    path = tmp_path / "许可.csv"
    record = VALID[Category.LICENCE]
    path.write_text(",".join(record) + ",联系电话\n" + ",".join(record.values()) + ",x\n")
    arguments = ("judge", str(path), "--unit", "武汉市江夏区", "--received-at", "2022-06-24T01:00")
    outcome = xinshao(*arguments)
    assert outcome.code == 0
    assert "全部合规" in outcome.out
    assert "注意：不认识的列没有读取：联系电话" in outcome.out
    outcome = xinshao(*arguments, "--json", "--category", "行政许可")
    assert outcome.code == 0
    assert outcome.json[0]["unit"] == "江夏区"
    assert outcome.json[0]["timely"] is False
    assert outcome.err == "注意：不认识的列没有读取：联系电话\n"


def test_judge_reads_standard_input(xinshao: Xinshao, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(delivery() + b"\n")))
    outcome = xinshao("judge", "-", "--json")
    assert (outcome.code, outcome.json[0]["effect"]) == (0, "new")


def test_the_rows_own_time_wins(xinshao: Xinshao, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(delivery() + b"\n" + delivery(received_at=None, XK_NR="另一内容"))
    late = ("--received-at", "2022-07-01")
    rows = xinshao("judge", str(path), "--json", *late).json
    assert [row["timely"] for row in rows] == [True, True]
    path.write_bytes(delivery(received_at=None))
    assert xinshao("judge", str(path), "--json", *late).json[0]["timely"] is False


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("judge", "没有.csv"), "没有这个文件"),
        (("judge", "{file}", "--category", "nothing"), "没有信息类别"),
        (("judge", "{file}", "--unit", "黄浦区"), "不在登记册中"),
        (("judge", "{file}", "--received-at", "昨天"), "不是时间"),
        (("judge", "{file}", "--registry", "没有"), "登记册"),
        (("judge",), "缺少参数"),
        (("judge", "{file}", "--nope"), "没有这个选项"),
        (("nothing",), "没有这个命令"),
        ((), "缺少命令"),
        (("deadline", "2022-02-30"), "不是真实存在的日期"),
        (("deadline", "2099-12-01"), "不在工作日历"),
        (("deadline", "2022-06-01", "--days", "0"), "至少为1个工作日"),
        (("deadline", "2022-06-01", "--days", "x"), "--days"),
        (("simulate", "2022-05", "--out", "-"), "没有 2022-05"),
        (("simulate", "2022-06", "--out", "-", "--scale", "x"), "不是数字"),
        (("simulate", "2022-06", "--out", "-", "--scale", "0"), "scale"),
        (("simulate", "2022-06", "--out", "/没有/这里", "--scale", "0.001"), "/没有/这里"),
    ],
)
def test_what_is_foreseeable_is_one_line_and_exit_code_2(
    xinshao: Xinshao, mixed: Path, arguments: tuple[str, ...], told: str
) -> None:
    outcome = xinshao(*(argument.format(file=mixed) for argument in arguments))
    assert outcome.code == 2
    assert outcome.out == ""
    assert told in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    path = tmp_path / "long.ndjson"
    path.write_bytes((delivery() + b"\n") * 300)
    for options in ("--json", "--registry=deploy/registry"):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*XINSHAO, "judge", str(path), options],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (141, b"")


def test_an_interrupt_ends_quietly() -> None:
    process = subprocess.Popen(
        [*XINSHAO, "judge", "-", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell's background job ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    # So many rows that some of the output leaves the buffer: then it is judging.
    process.stdin.write((delivery() + b"\n") * 100)
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")


# --- the states behind it -----------------------------------------------------------------------

days = st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31))
counts = st.integers(0, 2**32 - 1)
states = st.builds(
    RecordState,
    position=st.builds(Position, st.integers(0, 9), st.integers(-1, 2**62)),
    version=counts,
    digest=st.binary(min_size=16, max_size=16),
    unit=st.sampled_from(["江夏区", "市税务局", "汉阳区"]),
    category=st.sampled_from(Category),
    day=days,
    deadline=days | st.none(),
    provisional=st.booleans(),
    compliant=st.booleans(),
    timely=st.sampled_from([True, False, None]),
    first_compliant=days | st.none(),
    withdrawn=st.booleans(),
    corrections=counts,
    duplicates=counts,
)
STATE = RecordState(
    Position(0, 0), 1, bytes(16), "江夏区", Category.BASIC, date.max, None, False, True, None, None
)
keys = st.integers(0, 30).map(lambda n: n.to_bytes(16))


@given(st.lists(st.tuples(keys, states), max_size=60))
def test_states_that_went_to_disk_come_back_as_they_were(
    puts: list[tuple[bytes, RecordState]],
) -> None:
    expected: dict[bytes, RecordState] = {}
    with temporary_states(held=4) as kept:
        for key, state in puts:
            assert kept.get(key) == expected.get(key)
            kept.put(key, state)
            expected[key] = state
        for n in range(31):
            key = n.to_bytes(16)
            assert kept.get(key) == expected.get(key)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_states(held=1) as kept:
        kept.put(bytes(16), STATE)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


# --- deadline -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "seven", "fourteen"),
    [
        ("2022-04-29", "2022-05-12", "2022-05-23"),
        ("20220601", "2022-06-13", "2022-06-22"),
        ("2022年6月30日", "2022-07-11", "2022-07-20"),
        ("2022/9/28", "2022-10-12", "2022-10-21"),
    ],
)
def test_deadline(xinshao: Xinshao, decided: str, seven: str, fourteen: str) -> None:
    (answer,) = xinshao("deadline", decided, "--json").json
    assert (answer["days"], answer["deadline"], answer["provisional"]) == (14, fourteen, False)
    (answer,) = xinshao("deadline", decided, "--days", "7", "--json").json
    assert (answer["days"], answer["deadline"]) == (7, seven)
    assert fourteen in xinshao("deadline", decided).out


def test_a_provisional_deadline_says_why(xinshao: Xinshao) -> None:
    outcome = xinshao("deadline", "2036-01-04")
    assert "预估：2036 年的节假日安排尚未公布或没有收录" in outcome.out
    assert xinshao("deadline", "2036-01-04", "--json").json[0]["provisional"] is True


def test_the_window_follows_the_registry(xinshao: Xinshao, tmp_path: Path) -> None:
    for file in Path("deploy/registry").iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    (tmp_path / "windows.yaml").write_text(
        "- {days: 14}\n- {category: penalty, days: 7}\n- {unit: 江夏区, days: 5}\n"
        "- {category: publicity, days: null}\n"
    )

    def days(*options: str) -> object:
        arguments = ("deadline", "2022-06-01", "--registry", str(tmp_path), *options)
        return xinshao(*arguments, "--json").json[0]["days"]

    assert days() == 14
    assert days("--category", "行政处罚") == 7
    assert days("--unit", "武汉市江夏区") == 5
    assert days("--unit", "洪山区", "--category", "penalty") == 7
    assert days("--category", "publicity") is None
    silent = ("--category", "publicity", "--registry", str(tmp_path))
    assert "不考核" in xinshao("deadline", "2022-06-01", *silent).out


# --- simulate -----------------------------------------------------------------------------------


def test_simulate_writes_what_judge_reads(xinshao: Xinshao, tmp_path: Path) -> None:
    path = tmp_path / "june.ndjson"
    arguments = ("simulate", "2022-06", "--scale", "0.0001", "--seed", "7")
    outcome = xinshao(*arguments, "--out", str(path))
    assert (outcome.code, outcome.out) == (0, "")
    assert "公布的表有误：江岸区 行政许可" in outcome.err
    assert "个百分点" in outcome.err
    rows = xinshao("judge", str(path), "--json").json
    assert len(rows) == len(path.read_bytes().splitlines())
    assert f"已写出 {len(rows)} 条报送" in outcome.err
    assert all(row["effect"] != "unreadable" for row in rows)
    assert xinshao(*arguments, "--out", "-").out == path.read_text()
