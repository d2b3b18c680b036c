"""Submitting a file: batch after batch, from where it was left."""

from collections.abc import Callable
from hashlib import blake2b, file_digest
from pathlib import Path

from streams.client.batches import BATCH_BYTES, BATCH_ROWS, batches
from streams.client.delivery import Client
from streams.client.journal import Journal
from streams.files import Given, open_file


def submit_file(
    client: Client,
    path: Path,
    given: Given,
    folder: Path,
    moved: Callable[[float], None] = lambda _done: None,
) -> tuple[Journal, list[str]]:
    """Submit a file, or go on with one that was not submitted to its end.

    Each batch's Idempotency-Key follows from the file's content, the batch's number and how often
    the whole was submitted before: what was sent and not finished is not submitted twice, with or
    without an answer, with or without its journal.

    Args:
        client: To whom.
        path: An NDJSON, CSV or XLSX file.
        given: What holds for rows that do not say it.
        folder: Where the journals are.
        moved: Called with how far it is, from 0 to 1.

    Returns:
        The journal, to be read and then finished, and what is to be said of the file as a whole.

    Raises:
        UnusableFile: the file cannot be read.
        SubmitError: the gateway refuses it.
        GatewayUnavailableError: it does not answer; called again, this goes on from there.
    """
    with open_file(path, given) as rows:
        mark = _mark(path, client.url, given)
        journal = Journal(folder / f"{mark}.ndjson")
        for batch in batches(rows):
            if batch.number not in journal.done:
                journal.add(
                    batch.number, client.deliver(batch, f"{mark}-{journal.run}-{batch.number}")
                )
            moved(rows.progress())
    return journal, rows.notes


def _mark(path: Path, url: str, given: Given) -> str:
    """What identifies this file, sent there and cut this way."""
    digest = blake2b(digest_size=16)
    settled = (url, given.unit or "", given.category or "", str(BATCH_ROWS), str(BATCH_BYTES))
    digest.update("\n".join(settled).encode())
    with path.open("rb") as file:
        return file_digest(file, lambda: digest).hexdigest()
