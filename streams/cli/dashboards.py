"""`xinshao dashboards render`: Grafana's dashboards, from the registry."""

import typer

from streams.cli.options import OutFolder, RegistryFolder, registry_of, write_rendered

dashboards = typer.Typer(help="看板：由登记册生成 Grafana 的看板", no_args_is_help=True)


@dashboards.callback()
def _group() -> None:
    """Keep `render` a verb of its own, though it is the only one."""


@dashboards.command(help="由登记册的阈值生成 Grafana 看板")
def render(registry: RegistryFolder = None, out: OutFolder = None) -> None:
    """Write the dashboards, the same for the same registry."""
    from streams.watch.dashboards import FOLDER
    from streams.watch.dashboards import dashboards as rendered

    known, _calendar = registry_of(registry)
    write_rendered({f"{FOLDER}/{name}": text for name, text in rendered(known).items()}, out)
