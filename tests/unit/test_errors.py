"""The tree of errors is the documentation, and the command line's ends are those it tells."""

import re
from collections.abc import Iterator
from importlib import import_module
from inspect import getmembers, isclass
from pkgutil import walk_packages

import pytest

import models
import streams
from models.entries import Fault
from streams import errors
from streams.cli import run
from streams.errors import XinshaoError

LEAF = re.compile(r"^((?:│   |    )*)(?:[├└]── )?(\w+) +([a-z_.]+)(?:: .*)?$")


def written() -> dict[str, tuple[str, str | None]]:
    """Each class of the docstring's tree: its module, and the class above it."""
    found: dict[str, tuple[str, str | None]] = {}
    above: list[str] = []
    block = (errors.__doc__ or "").split("\n\n")[2]
    for line in block.splitlines():
        match = LEAF.fullmatch(line)
        assert match is not None, line
        depth = len(match[1]) // 4 + ("── " in line)
        del above[depth:]
        found[match[2]] = (match[3], above[-1] if above else None)
        above.append(match[2])
    return found


def classes() -> set[type[BaseException]]:
    """Every class of an exception that the two packages define."""
    found = set()
    for package in (models, streams):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            for _, each in getmembers(import_module(module.name), isclass):
                if issubclass(each, BaseException) and each.__module__ == module.name:
                    found.add(each)
    return found


def below(error: type[XinshaoError]) -> Iterator[type[XinshaoError]]:
    yield error
    for each in error.__subclasses__():
        if each.__module__.startswith(("models.", "streams.")):
            yield from below(each)


def test_the_tree_that_is_written_is_the_tree_there_is() -> None:
    there = {
        each.__name__: (
            each.__module__,
            None if each is XinshaoError else each.__bases__[0].__name__,
        )
        for each in classes()
        if issubclass(each, XinshaoError)
    }
    assert written() == there
    assert len({*below(XinshaoError)}) == len(there)  # none is defined inside a function


def test_every_exception_of_the_program_is_in_the_tree() -> None:
    assert {each for each in classes() if not issubclass(each, XinshaoError)} == {Fault}


@pytest.mark.parametrize(("debug", "shown"), [("", False), ("0", False), ("1", True)])
def test_what_nobody_foresaw_has_an_end_of_its_own(
    debug: str,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(_folder: object) -> None:
        raise LookupError("420106199001011234")

    monkeypatch.setenv("XINSHAO_DEBUG", debug)
    monkeypatch.setattr("streams.registry.load_registry", fails)
    assert run(["deadline", "2022-06-30"]) == 70
    said = capsys.readouterr().err
    *before, line = said.splitlines()
    assert re.search(r"LookupError，[^）]*test_errors\.py:\d+）", line)
    assert "SECURITY.md" in line
    assert "XINSHAO_DEBUG=1" in line
    assert ("Traceback" in said) == ("420106199001011234" in said) == shown == bool(before)


def test_what_is_foreseen_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_folder: object) -> None:
        raise errors.LaterError("稍后再试")

    monkeypatch.setattr("streams.registry.load_registry", fails)
    assert run(["deadline", "2022-06-30"]) == 2
    assert capsys.readouterr().err == "稍后再试\n"
