"""`xinshao judge`: verdicts on a file before it is submitted."""

import sys
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from streams.cli.options import (
    AsJson,
    InCategory,
    OfUnit,
    RegistryFolder,
    category_of,
    registry_of,
    time_of,
    unit_of,
)
from streams.cli.terminal import FINDINGS, progress, stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from decimal import Decimal

    from models.tally import Tally
    from models.words import Category
    from streams.files import Given, Rows
    from streams.judging.offline import JudgedRow

MOVE_BAR_EVERY: Final = 2000
"""Rows between two moves of the progress bar."""


def judge(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="NDJSON、CSV 或 XLSX 文件；- 从标准输入读 NDJSON")
    ],
    category: InCategory = None,
    unit: OfUnit = None,
    received_at: Annotated[
        str | None,
        typer.Option(
            "--received-at", metavar="TIME", help="没有写明接收时间的按此时间；缺省为现在"
        ),
    ] = None,
    as_json: AsJson = False,
    registry: RegistryFolder = None,
) -> None:
    """Judge every row of a file: what is not compliant, and why."""
    from streams.files import Given
    from streams.judging.offline import AT_ONCE, judge_rows, temporary_states

    known, calendar = registry_of(registry)
    received = time_of(received_at)
    given = Given(unit_of(unit, known), category_of(category))
    report: _JsonLines | _Findings = _JsonLines() if as_json else _Findings()
    with (
        _rows(file, given) as rows,
        temporary_states() as states,
        progress(report.screen, "研判") as move,
    ):
        at_once = 1 if file == "-" else AT_ONCE
        for judged in judge_rows(rows, received, states, known, calendar, at_once):
            report.tell(judged)
            if judged.row % MOVE_BAR_EVERY == 0:
                move(rows.progress())
    report.end(rows.notes)
    if report.found:
        raise typer.Exit(FINDINGS)


@contextmanager
def _rows(file: str, given: "Given") -> "Iterator[Rows]":
    from streams.files import open_file, read_stream

    if file == "-":
        yield read_stream(sys.stdin.buffer, given)
    else:
        with open_file(Path(file), given) as rows:
            yield rows


class _JsonLines:
    """One JSON line a row on stdout."""

    def __init__(self) -> None:
        import orjson

        self.found = False
        self.screen = stderr() if not sys.stdout.isatty() else None
        self._dumps = orjson.dumps
        self._write = sys.stdout.buffer.write

    def tell(self, judged: "JudgedRow") -> None:
        answer = judged.as_json()
        if not answer["compliant"]:
            self.found = True
        self._write(self._dumps(answer))
        self._write(b"\n")

    def end(self, notes: list[str]) -> None:
        sys.stdout.buffer.flush()
        terminal = stderr()
        for note in notes:
            terminal.print(f"注意：{note}", soft_wrap=True)


class _Findings:
    """What is to be corrected, row by row, and a table of the counts at the end."""

    def __init__(self) -> None:
        from models.tally import Tallies

        self.found = False
        self._out = stdout()
        self.screen = self._out if self._out.is_terminal else stderr()
        self._tallies = Tallies()
        self._unreadable = 0

    def tell(self, judged: "JudgedRow") -> None:
        from models.rules import Severity, shown
        from models.submission import Unreadable

        verdict = judged.verdict
        if isinstance(verdict, Unreadable):
            self.found = True
            self._unreadable += 1
            self._print(f"第 {judged.row} 行  无法读取：{verdict}", "red")
            return
        state = verdict.state
        self._tallies.move(judged.before, state)
        if not state.compliant:
            self.found = True
        if not verdict.reasons:
            return
        result = "合规，有提示" if state.compliant else "不合规"
        title = (f"第 {judged.row} 行", state.unit, state.category.zh, shown(verdict.document))
        self._print(f"{'  '.join(filter(None, title))}  {result}", "bold")
        for reason in verdict.reasons:
            broken = reason.severity is Severity.ERROR
            self._print(
                f"  {'✗' if broken else '!'} {reason.message}", "red" if broken else "yellow"
            )

    def end(self, notes: list[str]) -> None:
        from rich.table import Column, Table

        from models.tally import NOTHING, Tally

        counts: dict[tuple[str, Category], Tally] = {}
        for bucket, tally in self._tallies:
            cell = (bucket.unit, bucket.category)
            counts[cell] = counts.get(cell, NOTHING).plus(tally)
        whole = reduce(Tally.plus, counts.values(), NOTHING)
        # A terminal has little room: what is rare has a column only where it occurs.
        shown = [c for c in _COLUMNS if not c.rare or c.text(whole) != "0"]
        table = Table(
            Column("报送机构", min_width=6, overflow="fold"),
            Column("信息类别", no_wrap=True),
            box=None,
            padding=(0, 1, 0, 0),
            header_style="bold",
        )
        for column in shown:
            table.add_column(column.heading, justify="right", no_wrap=True)
        for (unit, category), tally in sorted(counts.items()):
            table.add_row(unit, category.zh, *(column.text(tally) for column in shown))
        if len(counts) > 1:
            table.add_row("合计", "", *(column.text(whole) for column in shown))
        if counts:
            self._out.print(table)
        for note in notes:
            self._print(f"注意：{note}", "yellow")
        if self._unreadable:
            self._print(f"有 {self._unreadable} 行无法读取，没有计入", "red")
        if not counts and not self._unreadable:
            self._print("没有可研判的信息", "yellow")
        elif not self.found:
            self._print("全部合规", "green")

    def _print(self, line: str, style: str) -> None:
        self._out.print(line, style=style, soft_wrap=True)


def _percent(rate: "Decimal | None") -> str:
    return "—" if rate is None else str(rate)


class _Column(NamedTuple):
    """A column of the table of counts."""

    heading: str
    text: "Callable[[Tally], str]"
    rare: bool = False


_COLUMNS: Final = (
    _Column("报送", lambda tally: str(tally.reported)),
    _Column("合规", lambda tally: str(tally.compliant)),
    _Column("合规率%", lambda tally: _percent(tally.compliance_rate)),
    _Column("及时", lambda tally: str(tally.timely)),
    _Column("逾期", lambda tally: str(tally.late), rare=True),
    _Column("及时率%", lambda tally: _percent(tally.timeliness_rate)),
    _Column("待补正", lambda tally: str(tally.pending)),
    _Column("更正", lambda tally: str(tally.corrections), rare=True),
    _Column("重复", lambda tally: str(tally.duplicates), rare=True),
    _Column("撤回", lambda tally: str(tally.withdrawn), rare=True),
)
