"""`xinshao alerts`: rules and routes from the registry, and the tools' checks over them."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import OutFolder, RegistryFolder, registry_of, write_rendered
from streams.cli.terminal import FINDINGS, stdout

alerts = typer.Typer(help="告警：由登记册生成规则和路由，并检查", no_args_is_help=True)


@alerts.command(help="由登记册生成 Prometheus 规则和 Alertmanager 配置")
def render(
    registry: RegistryFolder = None,
    out: OutFolder = None,
    runbook: Annotated[
        str, typer.Option("--runbook", metavar="URL", help="告警说明里处置手册的地址")
    ] = "docs/runbook.md",
) -> None:
    """Write the rules and the routes."""
    from streams.registry import load_channels
    from streams.settings import DEPLOY
    from streams.watch.alerts.routes import render_routes
    from streams.watch.alerts.rules import render_rules

    known, calendar = registry_of(registry)
    channels = load_channels(registry or DEPLOY / "registry")
    routes = render_routes(known, calendar, channels)
    rules = render_rules(known, runbook=runbook)
    files = {f"prometheus/rules/{name}": text for name, text in rules.items()}
    files |= {f"alertmanager/{name}": text for name, text in routes.items()}
    write_rendered(files, out)


@alerts.command(help="用 promtool、amtool 检查规则、规则测试、配置和每条路由")
def check(
    registry: RegistryFolder = None,
    deploy: Annotated[
        Path | None, typer.Option("--deploy", metavar="DIR", help="要检查的文件夹；缺省为 deploy")
    ] = None,
) -> None:
    """Check what was rendered; exit 1 where a tool finds something wrong."""
    from streams.settings import DEPLOY
    from streams.watch.alerts.check import check as checked
    from streams.watch.alerts.check import require_tools

    require_tools()
    known, _calendar = registry_of(registry)
    out = stdout()
    done = faults = 0
    for finding in checked(deploy or DEPLOY, known):
        done += 1
        if finding.fault:
            faults += 1
            out.print(f"{finding.what}：有误\n{finding.fault}", style="red", soft_wrap=True)
    out.print(f"检查 {done} 项，{faults} 项有误", style="red" if faults else "green")
    if faults:
        raise typer.Exit(FINDINGS)
