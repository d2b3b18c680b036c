"""`xinshao doctor`: what is reachable, configured, behind."""

import asyncio
import sys

import typer

from streams.cli.options import AsJson, StoreFolder, store_settings
from streams.cli.terminal import FINDINGS, stdout


def doctor(data: StoreFolder = None, as_json: AsJson = False) -> None:
    """Check the registry, the settings, the broker, its topics, the database and the worker."""
    import orjson

    from streams.settings import load_settings
    from streams.upkeep.doctor import examine, examine_data

    if data is None:
        findings = asyncio.run(examine(load_settings()))
    else:
        findings = examine_data(store_settings(data))
    if as_json:
        for finding in findings:
            sys.stdout.buffer.write(
                orjson.dumps(finding.as_json(), option=orjson.OPT_APPEND_NEWLINE)
            )
    else:
        out = stdout()
        for finding in findings:
            mark, style = ("✓", "green") if finding.fine else ("✗", "red")
            out.print(f"{mark} {finding.check}：{finding.said}", style=style, soft_wrap=True)
    if not all(finding.fine for finding in findings):
        raise typer.Exit(FINDINGS)
