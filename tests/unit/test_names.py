"""Whatever names a metric, a setting, a verb, a file or a module names one that is there."""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pydoc import locate
from typing import Any

from typer.main import get_command

from streams.cli import DEBUG, app
from streams.meters import METERS
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "deploy", "docs", "models", "streams", "tests")
KINDS = {".json", ".md", ".py", ".sh", ".sql", ".tmpl", ".toml", ".xml", ".yaml", ".yml"}
DOCUMENTS = tuple(path.name for path in ROOT.glob("*.md"))
OF_TESTS = re.compile(r"XINSHAO_(TEST_\w+|URL)")
"""What tests, and the examples of integrate.md, set for themselves."""


@cache
def texts() -> dict[str, str]:
    """The texts of the project by their paths."""
    found = [*ROOT.glob("*"), *(path for each in FOLDERS for path in (ROOT / each).rglob("*"))]
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in found
        if path.is_file() and (path.suffix in KINDS or "Dockerfile" in path.name)
    }


def matches(pattern: str, *places: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Every match in the texts whose paths begin with one of the places."""
    for name, text in texts().items():
        if name.startswith(places):
            for match in re.finditer(pattern, text, re.MULTILINE):
                yield name, match


@cache
def verbs() -> dict[tuple[str, ...], Any]:
    """Every verb and every group of verbs, by its words."""
    found: dict[tuple[str, ...], Any] = {}

    def look(words: tuple[str, ...], command: Any) -> None:
        found[words] = command
        for name, each in getattr(command, "commands", {}).items():
            look((*words, name), each)

    look((), get_command(app))
    return found


def test_every_metric_is_exported_or_a_figure_of_the_rules() -> None:
    figures = {match[1] for _, match in matches(r"- record: (\S+)$", "deploy/prometheus/rules/")}
    assert figures
    exported = figures | {name for meter in METERS for name in meter.exported}
    # A document speaks of a whole histogram, whose samples have endings.
    whole = exported | {meter.name for meter in METERS}
    pattern = r"(?<![\w/.-])(?:\w+:)?xinshao_[a-z0-9_]+[a-z0-9](?::\w+)?(?![\w.])"
    wrong = {
        (name, match[0])
        for place, known in (
            ("deploy/prometheus/", exported),
            ("deploy/grafana/", exported),
            ("docs/", whole),
            *((each, whole) for each in DOCUMENTS),
        )
        for name, match in matches(pattern, place)
        if match[0] not in known
    }
    assert wrong == set()


def test_every_setting_is_one() -> None:
    known = {f"XINSHAO_{name.upper()}" for name in Settings.model_fields}
    known |= {"XINSHAO_FILE", "XINSHAO_SECRETS", DEBUG}
    known |= {str(each.envvar) for verb in verbs().values() for each in verb.params if each.envvar}
    wrong = {
        (name, match[0])
        for name, match in matches(r"\bXINSHAO_[A-Z_]*[A-Z]\b", "")
        if match[0] not in known and not OF_TESTS.fullmatch(match[0])
    }
    assert wrong == set()


def test_every_verb_is_one() -> None:
    wrong = set()
    for name, match in matches(r"\bxinshao ([a-z]+)(?: ([a-z]+))?", ""):
        verb, below = match.groups()
        group = below is not None and getattr(verbs().get((verb,)), "commands", None)
        if (verb,) not in verbs() or (group and below not in group):
            wrong.add((name, match[0]))
    assert wrong == set()


def test_every_option_of_a_verb_is_one() -> None:
    found = set()
    for name, match in matches(r"\bxinshao ((?:[a-z]+ )+)([^`|\n]*)", "docs/", *DOCUMENTS):
        words = tuple(match[1].split())
        verb = verbs().get(words[:2]) or verbs()[words[:1]]
        known = {option for each in verb.params for option in (*each.opts, *each.secondary_opts)}
        found |= {(name, match[0], each in known) for each in re.findall(r"--[a-z-]+", match[2])}
    assert len(found) > 10
    assert {(name, command) for name, command, known in found if not known} == set()


def test_every_file_that_is_linked_or_named_is_there() -> None:
    links = {
        (name, (Path(name).parent / match[1]).as_posix())
        for name, match in matches(r"\]\((?!\w+:|#)([^)#]+)", "docs/", *DOCUMENTS)
    }
    named = {
        (name, match[1]) for name, match in matches(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", "")
    }
    assert links
    assert named
    assert {(name, path) for name, path in links | named if not (ROOT / path).exists()} == set()


def test_nothing_points_to_a_design_that_is_not_here() -> None:
    assert {name for name, _ in matches(r"DESIGN (?=section)", "")} == set()


def test_every_name_of_the_code_is_there() -> None:
    named = {(name, match[1]) for name, match in matches(r"`((?:models|streams)\.[\w.]+)`", "")}
    assert named
    assert {(name, path) for name, path in named if locate(path) is None} == set()


def test_every_class_has_a_name_of_its_own() -> None:
    places: dict[str, set[str]] = {}
    for name, match in matches(r"^class ([A-Z]\w*)", "models/", "streams/"):
        places.setdefault(match[1], set()).add(name)
    assert len(places) > 100
    assert {each: where for each, where in places.items() if len(where) > 1} == {}


def test_every_room_and_module_is_in_the_architecture() -> None:
    text = texts()["docs/architecture.md"]
    for top, head in (("models", "| module |"), ("streams", "| room |")):
        (table,) = re.findall(rf"^{re.escape(head)}.+\n.+\n((?:\|.+\n)+)", text, re.MULTILINE)
        rooms = []
        for row in table.splitlines():
            _, names, holds, _ = row.split("|")
            (*_, room) = named = re.findall(r"`(\w+/?)`", names)
            rooms += named
            modules = {*re.findall(r"`(\w+/?)`", holds)}
            assert modules in (set(), children(ROOT / top / room)), room
        assert {*rooms} == children(ROOT / top)
    contracts = tomllib.loads(texts()["pyproject.toml"])["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    assert [room.rstrip("/") for room in rooms] == layers[::-1]


def children(folder: Path) -> set[str]:
    """The modules and packages of a package; packages end with a slash."""
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return modules | {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
