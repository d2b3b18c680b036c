"""What could not be read: listed from the log, and put back once the cause is removed."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic_core import from_json, to_json

from streams.log.reader import Fence, reading
from streams.log.topics import INGRESS, REJECTS, SUBMISSIONS
from streams.log.wire import Reject
from streams.log.writer import LogWriter, Message
from streams.settings import Settings
from streams.store.rejects import RejectEntry


def entry(reject: Reject) -> RejectEntry:
    """A reject of the log as it is listed."""
    return RejectEntry(
        reject.id, reject.rule, reject.message, reject.at, len(reject.value), reject.redriven
    )


class Rejects:
    """The topic of rejects as a person looks at it: every message once, with what became of it."""

    def __init__(self, settings: Settings, writer: LogWriter) -> None:
        self._settings = settings
        self._writer = writer
        self._topic = settings.topic(REJECTS)

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings) -> AsyncIterator["Rejects"]:
        """The rejects of a running broker.

        Raises:
            LogUnavailableError, LogError: the broker cannot be reached, or refuses.
        """
        writer = LogWriter(settings)
        await writer.start()
        try:
            yield cls(settings, writer)
        finally:
            await writer.stop()

    async def all(self, wanted: Callable[[Reject], bool] = lambda _reject: True) -> list[Reject]:
        """Every reject up to now, oldest first; one that was put back says so."""
        # A topic that was made again restarts its offsets: the time distinguishes the places.
        found: dict[tuple[str, int], Reject] = {}
        fence = await Fence.write(self._writer, self._topic, 0)
        async with reading(self._settings) as consumer:
            async for records in fence.read_up_to(consumer):
                for record in records:
                    reject = Reject.decode(record.value or b"", record.headers)
                    if reject is None:
                        continue
                    place = (reject.id, reject.timestamp_ms)
                    known = found.get(place)
                    if known is None:
                        found[place] = reject
                    elif reject.redriven:
                        found[place] = dataclasses.replace(known, redriven=True)
        return [reject for reject in found.values() if wanted(reject)]

    def returnable(self, reject: Reject) -> bool:
        """Whether the reject came from a topic, and was not put back yet."""
        topics = (self._settings.topic(SUBMISSIONS), self._settings.topic(f"{INGRESS}."))
        return not reject.redriven and reject.topic.startswith(topics)

    async def redrive(self, reject: Reject) -> None:
        """Put a reject back where it came from, and mark that this was done.

        It is as it was, except for the origin that admission gave it: as a message of its own it is
        not a repeat of the one that was rejected.

        Dying between the two puts it back twice; the second is a duplicate, which counts as one.
        """
        message = Message(reject.key, _without_origin(reject.value), reject.headers)
        await self._writer.write(reject.topic, reject.partition, [message])
        mark = dataclasses.replace(reject, value=b"", redriven=True)
        await self._writer.write(self._topic, 0, [mark.encode()])


def _without_origin(value: bytes) -> bytes:
    try:
        given = from_json(value)
    except ValueError:
        return value
    if not isinstance(given, dict) or "origin" not in given:
        return value
    return to_json({name: each for name, each in given.items() if name != "origin"})
