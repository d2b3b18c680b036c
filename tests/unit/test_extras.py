"""What runs without the extras of pyproject.toml, and what the rest says without its own."""

import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from streams.cli import run
from streams.store.client import CHDB_FOLDER

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


def modules(*extras: str) -> set[str]:
    """The modules of the packages that these extras list."""
    listed = {canonicalize_name(Requirement(line).name) for each in extras for line in EXTRAS[each]}
    found = {
        module
        for module, packages in packages_distributions().items()
        if listed & {canonicalize_name(package) for package in packages}
    }
    return found - {"models", "streams", "deploy"}


def run_without(absent: Iterable[str], *verbs: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run verbs as though these modules were not installed; the last line has the exit codes."""
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)}));"
        f"from streams.cli import run; print([run(verb) for verb in {verbs}])"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )


def test_a_platform_and_the_check_of_a_file_need_no_extra(tmp_path: Path) -> None:
    absent = modules("server", "embedded")
    assert absent >= {"aiokafka", "chdb", "clickhouse_connect", "docx", "fastapi", "faust"}
    file = tmp_path / "june.ndjson"
    ended = run_without(
        absent,
        ["simulate", "2022-06", "--scale", "0.0001", "--out", str(file)],
        ["judge", str(file), "--json"],
        ["deadline", "2022-06-30"],
        ["submit", str(file), "--to", "nowhere", "--key", "xs_"],
    )
    *said, codes = ended.stdout.splitlines()
    assert codes == "[0, 1, 0, 2]", ended.stderr
    assert len(said) > len(file.read_bytes().splitlines())
    assert "2022-07-20" in said[-1]
    assert "网关地址“nowhere”有误" in ended.stderr


def test_a_verb_without_its_extra_says_what_to_install() -> None:
    ended = run_without(modules("server", "embedded"), ["gateway"], ["demo", "--once"])
    assert ended.stdout == "[2, 2]\n", ended.stderr
    gateway, demo = ended.stderr.splitlines()
    assert gateway.endswith('pip install "xinshao[server]"')
    assert demo.endswith('pip install "xinshao[embedded]"')


def test_without_the_engine_in_the_process_the_demos_data_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / CHDB_FOLDER).mkdir()
    for module in ("_chdbclient", "_backend.chdb_backend"):
        monkeypatch.delitem(sys.modules, f"clickhouse_connect.driver.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "chdb", None)
    assert run(["platforms", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith('（chdb），请先运行：pip install "xinshao[embedded]"\n')


def test_a_missing_module_of_our_own_is_not_explained_away() -> None:
    ended = run_without(["streams.upkeep.doctor"], ["doctor"])
    assert "ModuleNotFoundError" in ended.stderr
    assert "pip install" not in ended.stderr
