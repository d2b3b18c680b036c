"""One worker as a process: prints what it is handed, fails or waits where it is asked to."""

import argparse
import asyncio
import json
from pathlib import Path

import faust
from faust.types import StreamT

from streams.log.source import Batch, RecordSource
from tests.support.workers import SESSION, group_of, new_app


def tell(event: str, batch: Batch) -> None:
    said = {"event": event, "partition": batch.partition}
    print(json.dumps({**said, "first": batch.first_offset, "next": batch.next_offset}), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("topic")
    parser.add_argument("control")
    parser.add_argument("--fail-at", type=int, help="raise in the batch with this offset")
    parser.add_argument("--gate", type=Path, help="end no batch before this file exists")
    options = parser.parse_args()

    app = new_app(options.address, f"app-{options.control}", options.control)
    source = RecordSource(
        app,
        options.topic,
        group=group_of(options.topic),
        connection={"bootstrap_servers": options.address},
        session_timeout=SESSION,
        commit_every=0.0,
        batch_records=100,
    )

    @app.agent(source.channel)
    async def judge(batches: StreamT[Batch]) -> None:
        async for batch in batches:
            async with source.processing(batch):
                tell("begun", batch)
                while options.gate is not None and not options.gate.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                if options.fail_at in [record.offset for record in batch.records]:
                    raise ValueError("told to fail")
                tell("done", batch)

    faust.Worker(app, loglevel="WARNING", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
