"""The users and rights of Kafka, and the settings by which this program is one of them."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.registry import Registry
from streams.cli import run
from streams.settings import DEPLOY, Settings, SettingsError, load_settings
from streams.upkeep.access import FILE, Grant, grants, render
from tests.support.deployed import REGISTRY

UNITS = "- {id: 江夏区, kind: district}\n"
APPLY = DEPLOY / "kafka" / "apply.sh"
TOOL = """\
#!/bin/sh
echo "{name} $*" >>"{folder}/calls"
for last; do :; done
case "$*" in
*--describe*)
    for user in credit.worker credit.ingress.a credit.ingress.gone other.ingress.x; do
        echo "SCRAM credential configs for user-principal '$user' are SCRAM-SHA-512=iterations=4096"
    done
    ;;
*--add-config-file*) cat "$last" >>"{folder}/given" ;;
esac
"""


def registry_of(*platforms: tuple[str, str]) -> Registry:
    entries = (
        f"- {{id: {name}, name: 平台, owner: 江夏区, since: 2022-06-01, via: {via}}}\n"
        for name, via in platforms
    )
    texts = dict.fromkeys(("contacts.yaml", "thresholds.yaml", "windows.yaml"), "[]")
    return Registry.parse(
        {**texts, "units.yaml": UNITS, "platforms.yaml": "".join(entries) or "[]"}
    )


def test_what_is_deployed_is_what_is_rendered(tmp_path: Path) -> None:
    deployed = (DEPLOY / "kafka" / FILE).read_text("utf-8")
    assert deployed == render(Settings(), REGISTRY)
    assert run(["kafka", "render", "--out", str(tmp_path)]) == 0
    assert (tmp_path / FILE).read_text("utf-8") == deployed


def test_a_platform_may_write_its_own_topic_and_is_granted_nothing_else() -> None:
    registry = registry_of(("one", "kafka"), ("two", "kafka"), ("three", "api"))
    found = grants(Settings(namespace="city"), registry)
    platforms = [grant for grant in found if ".ingress." in grant.user]
    assert platforms == [
        Grant(name, ("Write",), "topic", (name,))
        for name in ("city.ingress.one", "city.ingress.two")
    ]
    writers = {
        grant.user for grant in found for name in grant.names
        if name == "city.ingress.one" and "Write" in grant.operations
    }  # fmt: skip
    assert writers == {"city.ingress.one", "city.operator"}


@given(st.permutations(("b", "a", "worker", "a-1")))
def test_rights_do_not_depend_on_the_order_of_the_registry(names: list[str]) -> None:
    rendered = render(Settings(), registry_of(*((name, "kafka") for name in names)))
    assert rendered == render(Settings(), registry_of(*((name, "kafka") for name in sorted(names))))


# -- apply.sh


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Kafka's tools as they are called; the broker knows two platforms of the city."""
    for name in ("kafka-acls.sh", "kafka-configs.sh"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(TOOL.format(name=name, folder=tmp_path), "utf-8")
        tool.chmod(0o755)
    return tmp_path


def apply(tools: Path, *platforms: str) -> subprocess.CompletedProcess[str]:
    acls = tools / FILE
    acls.write_text(render(Settings(), registry_of(*((each, "kafka") for each in platforms))))
    return subprocess.run(
        [str(APPLY), "broker:9093", "admin.properties", str(tools / "secrets"), str(acls)],
        env={**os.environ, "PATH": f"{tools / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_password_is_on_a_command_line_and_who_left_is_shut_out(tools: Path) -> None:
    (tools / "secrets").mkdir()
    for user in ("worker", "gateway", "operator", "ingress.a"):
        (tools / "secrets" / f"credit.{user}").write_text(f"s3cret-{user}\n")
    ended = apply(tools, "a")
    assert ended.returncode == 0, ended.stderr
    given_to_kafka = (tools / "given").read_text("utf-8").splitlines()
    assert "SCRAM-SHA-512=password=s3cret-ingress.a" in given_to_kafka
    assert len(given_to_kafka) == 4
    calls = (tools / "calls").read_text("utf-8")
    assert "s3cret" not in calls + ended.stdout + ended.stderr
    assert "--allow-principal User:credit.ingress.a --operation Write --topic credit.in" in calls
    removed = [call for call in calls.splitlines() if "--remove" in call or "--delete" in call]
    assert len(removed) == 2
    assert all("credit.ingress.gone" in call for call in removed)


def test_a_missing_password_stops_before_anything_is_changed(tools: Path) -> None:
    ended = apply(tools)
    assert ended.returncode == 1
    assert f"缺少密码文件 {tools}/secrets/credit.gateway" in ended.stderr
    assert not (tools / "calls").exists()


# -- settings


@pytest.mark.parametrize(
    ("given_settings", "named"),
    [
        ({"kafka_password": "p"}, "XINSHAO_KAFKA_USER"),
        ({"kafka_user": "u"}, "XINSHAO_KAFKA_PASSWORD"),
        ({"kafka_user": "u", "kafka_password": "p", "kafka_ca": __file__}, "XINSHAO_KAFKA_CA"),
    ],
)
def test_half_a_user_is_refused(given_settings: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(kafka_security="sasl_ssl", **given_settings)
    assert str(refusal.value).startswith(f"配置项 {named} 有误")
    assert "\n" not in str(refusal.value)


def test_the_password_shows_nowhere() -> None:
    settings = Settings(kafka_security="sasl_ssl", kafka_user="u", kafka_password="s3cret")
    assert "s3cret" not in repr(settings)
