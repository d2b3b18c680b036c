"""`xinshao submit FILE --to URL --key KEY`: a file to the gateway."""

import csv
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.options import AsJson, InCategory, OfUnit, category_of
from streams.cli.terminal import FINDINGS, progress, stderr, stdout

if TYPE_CHECKING:
    from streams.client import Outcome, RowFault

_HEADINGS: Final = (
    "行号",
    "报送机构",
    "信息类别",
    "结果",
    "程度",
    "规则",
    "字段",
    "说明",
    "报送编号",
)

_LISTED: Final = 10
"""Errors that are shown on the screen; the others are in the file."""


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="NDJSON、CSV 或 XLSX 文件")],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            envvar="XINSHAO_URL",
            help="网关地址，如 https://xinshao.example.gov.cn",
        ),
    ],
    key: Annotated[
        str,
        typer.Option(
            "--key",
            metavar="KEY",
            envvar="XINSHAO_KEY",
            help="密钥；写在环境变量里，别人就不会在进程列表里看到",
        ),
    ],
    category: InCategory = None,
    unit: OfUnit = None,
    findings: Annotated[
        Path | None,
        typer.Option(
            "--findings", metavar="CSV", help="问题清单写入的文件；缺省为 FILE 加 .问题.csv"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a file; the same command continues one that was broken off."""
    from streams.client import Client, submit_file
    from streams.files import Given

    screen = stderr()
    given = Given(unit, category_of(category))
    folder = Path(typer.get_app_dir("xinshao")) / "submit"
    with (
        progress(screen, "报送") as move,
        Client(to, key, told=lambda said: screen.print(said, soft_wrap=True)) as client,
    ):
        journal, notes = submit_file(client, file, given, folder, move)
    report = _Report(findings or file.with_name(f"{file.name}.问题.csv"), as_json=as_json)
    report.tell(journal.outcomes())
    journal.finish()
    for note in notes:
        screen.print(f"注意：{note}", style="yellow", soft_wrap=True)
    report.end()
    if report.found:
        raise typer.Exit(FINDINGS)


class _Report:
    """Counts the outcomes; writes what is to be corrected to a file, the first of it on screen."""

    def __init__(self, file: Path, *, as_json: bool) -> None:
        self._file = file
        self._as_json = as_json
        self._errors = self._hints = 0
        self.accepted = self.faulty = self.refused = 0

    def tell(self, outcomes: "Iterable[Outcome]") -> None:
        import orjson

        with ExitStack() as stack:
            sheet: Any = None
            for outcome in outcomes:
                self._count(outcome)
                if self._as_json:
                    line = orjson.dumps(outcome._asdict(), option=orjson.OPT_APPEND_NEWLINE)
                    sys.stdout.buffer.write(line)
                for fault in outcome.faults():
                    if sheet is None:
                        # With the mark by which Excel recognises UTF-8.
                        opened = self._file.open("w", encoding="utf-8-sig", newline="")
                        sheet = csv.writer(stack.enter_context(opened))
                        sheet.writerow(_HEADINGS)
                    sheet.writerow(_line(outcome, fault))
                    self._show(outcome, fault)
        if not self._errors + self._hints:
            self._file.unlink(missing_ok=True)  # what an earlier run found is corrected

    def end(self) -> None:
        out = stderr() if self._as_json else stdout()
        if self._errors + self._hints:
            out.print(
                f"错误 {self._errors} 处，提示 {self._hints} 处，全部写在 {self._file}",
                soft_wrap=True,
            )
        out.print(
            f"已接收 {self.accepted} 条，其中不合规 {self.faulty} 条；未接收 {self.refused} 条",
            style="red" if self.found else "green",
        )

    @property
    def found(self) -> bool:
        return bool(self.faulty or self.refused)

    def _count(self, outcome: "Outcome") -> None:
        if outcome.problem is not None:
            self.refused += 1
        else:
            self.accepted += 1
            self.faulty += not outcome.fine

    def _show(self, outcome: "Outcome", fault: "RowFault") -> None:
        if not fault.error:
            self._hints += 1
            return
        self._errors += 1
        if self._errors <= _LISTED and not self._as_json:
            stdout().print(
                f"第 {outcome.row} 行  {_result(outcome)}：{fault.message}", soft_wrap=True
            )


def _result(outcome: "Outcome") -> str:
    if outcome.problem is not None:
        return "未接收"
    return "合规" if outcome.fine else "不合规"


def _line(outcome: "Outcome", fault: "RowFault") -> tuple[object, ...]:
    from models.words import Category

    verdict = outcome.verdict or {}
    return (
        outcome.row,
        verdict.get("unit", ""),
        Category(verdict["category"]).zh if verdict else "",
        _result(outcome),
        "错误" if fault.error else "提示",
        fault.rule,
        fault.field,
        fault.message,
        outcome.id,
    )
