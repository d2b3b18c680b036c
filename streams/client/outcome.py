"""What became of one row of a file."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Self

from models.rules import Severity
from models.submission import Unreadable

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"


class RowFault(NamedTuple):
    """One thing that is wrong; one that is no `error` is a hint, and does not count."""

    rule: str
    field: str
    message: str
    error: bool = True


class Outcome(NamedTuple):
    """What became of a row: accepted with its verdict, or refused with the problem.

    `verdict` is in the public form (docs/rules.md), None where the gateway gives none, as of a
    withdrawal; `problem` is as the gateway writes it: at least `code` and, in Chinese, `detail`.
    The submission's receipt is found by its `id`.
    """

    row: int
    status: str
    id: str = ""
    verdict: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None

    @classmethod
    def of_answer(cls, row: int, result: dict[str, Any]) -> Self:
        """The gateway's result of one record."""
        problem = result.get("problem")
        status = REFUSED if problem else ACCEPTED
        return cls(row, status, result.get("id") or "", result.get("verdict"), problem)

    @classmethod
    def unreadable(cls, row: int, fault: Unreadable) -> Self:
        """A row that was not sent, as no record can be made of it."""
        problem = {"code": fault.rule, "detail": str(fault)}
        return cls(row, REFUSED, problem=problem)

    @property
    def fine(self) -> bool:
        """Whether nothing is left to correct; a withdrawal has no verdict, and is fine."""
        return not any(fault.error for fault in self.faults())

    def faults(self) -> Iterator[RowFault]:
        """Everything that is wrong with the row."""
        if self.problem is not None:
            path = self.problem.get("path") or ""
            yield RowFault(self.problem["code"], path, self.problem["detail"])
        elif self.verdict is not None:
            for reason in self.verdict["reasons"]:
                error = reason["severity"] == Severity.ERROR
                yield RowFault(reason["rule"], reason["field"], reason["message"], error)
