"""`xinshao kafka render`: users and rights on Kafka, from the registry."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import RegistryFolder, registry_of
from streams.cli.terminal import stdout

kafka = typer.Typer(help="Kafka：由登记册生成用户和权限", no_args_is_help=True)


@kafka.callback()
def _group() -> None:
    """Keep `render` a verb of its own, though it is the only one."""


@kafka.command(help="生成 acls.txt：谁可以读写哪些主题；用 deploy/kafka/apply.sh 生效")
def render(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="写入此文件夹；缺省输出到屏幕")
    ] = None,
    folder: RegistryFolder = None,
) -> None:
    """Render the rights, the same for the same registry."""
    from streams.settings import load_settings
    from streams.upkeep.access import FILE, render

    settings = load_settings()
    text = render(settings, registry_of(folder or settings.registry)[0])
    if out is None:
        stdout().print(text, end="", soft_wrap=True)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / FILE).write_text(text, encoding="utf-8")
