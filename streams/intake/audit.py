"""The audit: who used which key for what, and who was refused; NDJSON, append-only, a file a day.

It says what was done, never with what: no bodies and no secrets.
"""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import orjson

from models.words import SHANGHAI


class Audit:
    """Appends to the audit of the day (Asia/Shanghai). Any number of processes may write to it.

    The file of `audit.ndjson` for 3 June 2022 is `audit-2022-06-03.ndjson` beside it, readable by
    its owner only.
    """

    def __init__(
        self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(SHANGHAI)
    ) -> None:
        self._path = path
        self._now = now

    def write(
        self,
        event: str,
        *,
        key: str = "",
        platform: str = "",
        address: str = "",
        route: str = "",
        outcome: str = "",
        **counts: int,
    ) -> None:
        """Add one line, completely or not at all.

        Args:
            event: What happened: issued, revoked, used, refused.
            key: The key's id, as it was shown.
            platform: Whose key it is.
            address: Where the request came from.
            route: What was asked for, as the program names it, not as it was asked.
            outcome: How it ended, a code.
            counts: Of how many, by name.

        Raises:
            OSError: it could not be written.
        """
        at = self._now().astimezone(SHANGHAI)
        given = {
            "at": at.isoformat(timespec="milliseconds"),
            "event": event,
            "key": key,
            "platform": platform,
            "address": address,
            "route": route,
            "outcome": outcome,
        }
        line = {name: value for name, value in given.items() if value} | counts
        path = self._path.with_stem(f"{self._path.stem}-{at.date()}")
        # Opened each time: a file that was moved away or deleted is simply started again.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        finally:
            os.close(file)
