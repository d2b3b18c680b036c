"""The bulletin's way out: where its figures come from, and its four renderings.

What it says is decided in `models.bulletin`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from models.bulletin import (
    Bulletin,
    BulletinRules,
    DetailRow,
    Edition,
    Figures,
    PrintedCell,
    last_told,
    platforms,
    revisions,
)
from models.bulletin.rules import FILE
from models.month import Month
from models.registry import Registry, RegistryError
from streams.bulletin import docx, html, json, xlsx
from streams.errors import InputError
from streams.published import published_months
from streams.published.plan import Plan

RENDERINGS: Final[dict[str, Callable[[Bulletin], bytes]]] = {
    "json": json.render,
    "docx": docx.render,
    "xlsx": xlsx.render,
    "html": html.render,
}
"""A bulletin as the content of a file, by the file's ending."""


class AlreadyFrozenError(InputError):
    """The month's bulletin is published; its numbers never change."""


class FiguresSource(Protocol):
    """What keeps the records, and the bulletins that were published of them.

    A record counts in the month (Asia/Shanghai) of its first receipt.
    """

    def figures(self, month: Month) -> Figures:
        """The month's figures as they are now, whether it is frozen or not."""

    def details(self, month: Month, unit: str) -> Iterator[DetailRow]:
        """The records behind a unit's figures of the month, by category, then by receipt."""

    def frozen_months(self) -> Sequence[Month]:
        """The months whose bulletins are published, the oldest first."""

    def frozen(self, month: Month) -> Edition | None:
        """The month's edition as it was published."""

    def freeze(self, edition: Edition) -> None:
        """Keep the edition, whose `frozen_at` is set, for ever.

        Raises:
            AlreadyFrozenError: there is one of the month.
        """


def edition_of(
    month: Month, source: FiguresSource, registry: Registry, rules: BulletinRules
) -> Edition:
    """The month's edition: as it was published, or made of the figures as they are now.

    It is compared with the month before as published, else as it is now, and lists what moved of
    earlier published months since that was last reported.
    """
    frozen = source.frozen(month)
    if frozen is not None:
        return frozen
    earlier = [
        edition
        for each in source.frozen_months()
        if each < month and (edition := source.frozen(each)) is not None
    ]
    told = last_told(earlier)
    published = next((each.figures for each in earlier if each.month == month.previous), None)
    previous = published or source.figures(month.previous)
    issue = rules.issue(month)
    return Edition(
        figures=source.figures(month),
        platforms=platforms(month, registry, rules),
        concealment=issue.concealment.counts if issue and issue.concealment else None,
        previous=previous if previous.units else None,
        revisions=tuple(revisions(told, {each.month: source.figures(each.month) for each in told})),
    )


def printed(month: Month) -> tuple[PrintedCell, ...]:
    """What the official bulletin of the month printed; nothing where none is kept here."""
    if month not in published_months():
        return ()
    return tuple(
        PrintedCell(
            cell.unit,
            cell.category,
            None if cell.inferred else cell.reported,
            cell.published_compliance_rate,
            cell.published_timeliness_rate,
            cell.compliance_fault,
            cell.timeliness_fault,
            cell.inferred,
        )
        for cell in Plan.of_month(month).cells
    )


def load_rules(folder: Path, registry: Registry) -> BulletinRules:
    """Read the bulletin's rules from the registry's folder.

    Raises:
        RegistryError: the file is missing or wrong.
    """
    try:
        text = (folder / FILE).read_text("utf-8-sig")
    except OSError as error:
        raise RegistryError(f"{FILE}:1: 读不出来（{error.strerror}），请检查文件") from error
    except UnicodeDecodeError:
        raise RegistryError(f"{FILE}:1: 不是 UTF-8 编码，请另存为 UTF-8") from None
    return BulletinRules.parse(text, registry)
