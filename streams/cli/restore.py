"""`xinshao restore`: record state into an empty broker, from the store."""

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from streams.cli.options import AsJson
from streams.cli.terminal import progress, stderr, stdout

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.upkeep.restore import Recovered


def restore(as_json: AsJson = False) -> None:
    """Write what the store knows of every record into an empty broker. No worker may run."""
    import orjson

    from streams.settings import load_settings

    with progress(stderr(), "恢复") as show:
        recovered = asyncio.run(_restore(load_settings(), show))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(recovered._asdict(), option=orjson.OPT_APPEND_NEWLINE))
    else:
        stdout().print(
            f"已恢复 {recovered.records:,} 条信息、{recovered.tallies:,} 项统计，"
            "现在可以启动 xinshao worker"
        )


async def _restore(settings: "Settings", show: Callable[[float], None]) -> "Recovered":
    from streams.log.writer import LogWriter
    from streams.store.client import Store
    from streams.upkeep.restore import recover

    with Store.open(settings) as store:
        writer = LogWriter(settings)
        await writer.start()
        try:
            return await recover(settings, store, writer, show)
        finally:
            await writer.stop()
