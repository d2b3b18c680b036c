"""What deploys the stack is sound, and names what is there."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from streams import __version__
from streams.cli import run
from streams.settings import DEPLOY, Settings
from streams.watch.dashboards import ALERTS, FOLDER
from tests.support.needs import require

ROOT = DEPLOY.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = ("migrate", "worker", "gateway", "feed")
DOCKERFILES = [*(DEPLOY / "docker").glob("*Dockerfile")]


def compose(*options: str) -> dict[str, Any]:
    """The file as docker-compose takes it, all that it refers to put in."""
    require("docker-compose")
    told = subprocess.run(
        ["docker-compose", *options, "config"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    config: dict[str, Any] = yaml.safe_load(told.stdout)
    return config


def test_docker_compose_takes_it() -> None:
    config = compose()
    assert SERVICES["feed"]["profiles"] == ["demo"]
    assert config["services"].keys() >= SERVICES.keys() - {"feed"}
    operations = (ROOT / "docs/operations.md").read_text("utf-8")
    for name, secret in config["secrets"].items():
        assert Path(secret["file"]) == DEPLOY / "secrets" / name
        assert f"`{name}`" in operations


def test_the_demo_brings_all_it_needs() -> None:
    config = compose("--env-file", "deploy/docker/demo.env")
    assert config["services"].keys() == SERVICES.keys()
    assert config["services"]["worker"]["environment"]["XINSHAO_CLOCK"] == "data"
    for secret in config["secrets"].values():
        assert Path(secret["file"]).is_file()


def test_every_mounted_file_is_there() -> None:
    mounted = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if ":" in volume
    }
    files = {each for each in mounted if each.startswith(".")}
    assert {each for each in files if not (ROOT / each).exists()} == set()
    assert mounted - files == COMPOSE["volumes"].keys()
    builds = [service["build"] for service in SERVICES.values() if "build" in service]
    assert {(ROOT / each["context"] / each["dockerfile"]).is_file() for each in builds} == {True}


def test_every_image_is_of_one_version() -> None:
    images = [service["image"] for service in SERVICES.values()]
    for file in DOCKERFILES:
        images += re.findall(r"^FROM (\S+)", file.read_text("utf-8"), re.MULTILINE)
    assert [each for each in images if not re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+\S*", each)] == []


def test_the_image_is_of_the_programs_version() -> None:
    assert {SERVICES[own]["image"] for own in OWN} == {f"xinshao:{__version__}"}


def test_the_program_knows_every_name_and_listens_on_every_port() -> None:
    given = {name for own in OWN for name in SERVICES[own]["environment"]}
    dockerfile = (DEPLOY / "docker/Dockerfile").read_text("utf-8")
    given |= set(re.findall(r"XINSHAO_[A-Z_]+", dockerfile))
    known = {f"XINSHAO_{name.upper()}" for name in Settings.model_fields} | {"XINSHAO_SECRETS"}
    assert given - known == set()

    worker, gateway = (Settings.model_fields[name].default for name in ("port", "gateway_port"))
    assert set(map(int, re.findall(r"(?:EXPOSE |127.0.0.1:)(\d+)", dockerfile))) == {worker}
    assert SERVICES["gateway"]["ports"] == [f"127.0.0.1:{gateway}:{gateway}"]
    assert f"127.0.0.1:{gateway}/" in SERVICES["gateway"]["healthcheck"]["test"][-1]
    scraped = {
        (name, target["port"])
        for job in prometheus()["scrape_configs"]
        for target in job["dns_sd_configs"]
        for name in target["names"]
    }
    assert scraped == {("worker", worker), ("gateway", gateway)}


def test_workers_can_be_any_number() -> None:
    worker = SERVICES["worker"]
    assert "ports" not in worker
    assert "container_name" not in worker
    assert "/data" in worker["volumes"]  # a volume without a name is each container's own
    assert worker["environment"].get("XINSHAO_DATA", "/data") == "/data"


def test_no_password_is_in_the_text() -> None:
    told = {
        f"{name}: {value}"
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
        if re.search("PASSWORD|SECRET|_KEY$", name)
    }
    assert told == {
        "XINSHAO_SECRETS: /run/secrets",
        "GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/grafana_password",
    }
    for file in DEPLOY.rglob("*"):
        if file.suffix in {".yml", ".yaml", ".xml"} and file.parent.name != "demo-secrets":
            text = file.read_text("utf-8")
            assert not re.search(r"password>\w|password: *[^\s$]\w*$", text, re.MULTILINE), file
    for service in SERVICES.values():
        assert secrets(service).keys() <= COMPOSE["secrets"].keys()


def secrets(service: dict[str, Any]) -> dict[str, str]:
    """The secrets of a service, each with the name under which it finds it."""
    return {
        each if isinstance(each, str) else each["source"]: each
        if isinstance(each, str)
        else each["target"]
        for each in service.get("secrets", ())
    }


def test_the_tables_are_made_once_before_anyone_needs_them() -> None:
    migrate = SERVICES["migrate"]
    assert (migrate["command"], migrate["restart"]) == (["migrate"], "on-failure")
    for name in ("worker", "gateway"):
        waits = SERVICES[name]["depends_on"]["migrate"]
        assert waits == {"condition": "service_completed_successfully"}
        assert "XINSHAO_MIGRATE" not in SERVICES[name]["environment"]


def test_who_only_reads_the_database_may_only_read() -> None:
    users = ElementTree.parse(DEPLOY / "docker/clickhouse-users.xml").find("users")
    assert users is not None
    may = {user.tag: [*user.iterfind("grants/query")] for user in users if not user.get("remove")}
    assert may.pop("xinshao") == []  # everything
    for grants in may.values():
        assert [grant.text for grant in grants] == ["GRANT SELECT ON xinshao.*"]
    gateway = SERVICES["gateway"]
    assert gateway["environment"]["XINSHAO_CLICKHOUSE_USER"] in may
    assert secrets(gateway)["clickhouse_gateway_password"] == "clickhouse_password"
    entrypoint = SERVICES["clickhouse"]["entrypoint"][-1]
    given = re.findall(r"(PASSWORD_\w+)=\$\$\(cat /run/secrets/(\w+)\)", entrypoint)
    assert {secret for _, secret in given} == secrets(SERVICES["clickhouse"]).keys()
    wanted = {each.get("from_env") for each in users.iter("password")}
    assert {variable for variable, _ in given} == wanted


def test_prometheus_reads_the_rules_and_tells_alertmanager() -> None:
    config = prometheus()
    (pattern,) = config["rule_files"]
    assert [*(DEPLOY / "prometheus").glob(pattern)]
    ((target,),) = (
        each["targets"]
        for manager in config["alerting"]["alertmanagers"]
        for each in manager["static_configs"]
    )
    name, port = target.split(":")
    assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]


def test_the_dashboards_are_as_rendered(tmp_path: Path) -> None:
    assert run(["dashboards", "render", "--out", str(tmp_path)]) == 0
    rendered, committed = (
        {file.name: file.read_text("utf-8") for file in (deploy / FOLDER).iterdir()}
        for deploy in (tmp_path, DEPLOY)
    )
    assert committed == rendered, "run xinshao dashboards render"


def test_the_dashboards_have_a_word_for_every_alert() -> None:
    rules = [
        rule
        for file in (DEPLOY / "prometheus/rules").iterdir()
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]
    assert {rule["alert"] for rule in rules if "alert" in rule} == ALERTS.keys()


def test_the_dashboards_ask_sources_that_are_provisioned() -> None:
    provisioned = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/datasources.yaml").read_text("utf-8")
    )
    there = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    asked = {
        (source["type"], source["uid"])
        for file in (DEPLOY / FOLDER).iterdir()
        for source in sources(json.loads(file.read_text("utf-8")))
    }
    assert asked == there


def sources(part: object) -> Iterator[dict[str, str]]:
    """All that a dashboard names as a source, wherever it does."""
    if isinstance(part, list):
        for each in part:
            yield from sources(each)
    elif isinstance(part, dict):
        if "datasource" in part:
            yield part["datasource"]
        for each in part.values():
            yield from sources(each)


def prometheus() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(
        (DEPLOY / "prometheus/prometheus.yml").read_text("utf-8")
    )
    return config
