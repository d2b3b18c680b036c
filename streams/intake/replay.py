"""Replay by the office: submissions that carry their own time of receipt go straight to the log.

Platforms never use this: their time of receipt is the gateway's or the broker's.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from models.registry import Registry
from models.submission import Unreadable, read_delivery
from streams.intake.admission import OFFICE, Arrival, admit
from streams.log.topics import REJECTS, SUBMISSIONS
from streams.log.wire import Reject
from streams.log.writer import LogWriter, Message
from streams.settings import Settings

_AT_ONCE = 2000


async def replay(
    lines: Iterable[bytes], source: str, settings: Settings, registry: Registry, writer: LogWriter
) -> Counter[int]:
    """Append deliveries to submissions, in order; returns when all are durable.

    What cannot be read goes to rejects, under the name of the source and its line. The answer
    counts what was appended to each partition.
    """
    appended: Counter[int] = Counter()
    numbered = enumerate(lines)
    while run := list(islice(numbered, _AT_ONCE)):
        admitted: list[tuple[int, Message]] = []
        rejects: list[Message] = []
        for number, line in run:
            try:
                delivery = read_delivery(line)
                arrival = Arrival(delivery.received_at(), delivery.id, delivery.origin)
                speaker = OFFICE._replace(platform=delivery.platform)
                _submission, _unit, partition, message = admit(
                    delivery, line, speaker, arrival, registry, settings.partitions
                )
            except Unreadable as unreadable:
                reject = Reject(source, 0, number, unreadable.rule, str(unreadable), line, None, 0)
                rejects.append(reject.encode())
                continue
            appended[partition] += 1
            admitted.append((partition, message))
        if rejects:
            await writer.write(settings.topic(REJECTS), 0, rejects)
        await writer.write_all(settings.topic(SUBMISSIONS), admitted)
    return appended
