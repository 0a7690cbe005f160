"""Modules that are imported without being run."""

import importlib
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from product_lambda.utils.imports import import_lazily


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package that has a module and a constant, and that tells when it is run."""
    name = f"late_{uuid4().hex}"
    package = tmp_path / name
    package.mkdir()
    package.joinpath("__init__.py").write_text(
        "import sys\nsys.modules['told_' + __name__] = sys\nANSWER = 42\n"
    )
    package.joinpath("part.py").write_text("from . import ANSWER\nTWICE = 2 * ANSWER\n")
    monkeypatch.syspath_prepend(tmp_path)
    for created in (name, f"{name}.part", f"told_{name}"):
        monkeypatch.delitem(sys.modules, created, raising=False)
    return name


def was_run(module: str) -> bool:
    return f"told_{module}" in sys.modules


def test_an_import_does_not_run_the_module_and_its_first_use_does(module: str) -> None:
    import_lazily(module)
    imported = importlib.import_module(module)
    assert not was_run(module)
    assert imported.ANSWER == 42
    assert was_run(module)


def test_it_is_run_once(module: str) -> None:
    import_lazily(module)
    imported = importlib.import_module(module)
    assert imported.ANSWER == 42
    vars(imported)["ANSWER"] = 43
    assert importlib.import_module(module).ANSWER == 43


def test_what_it_has_no_member_for_is_missing_as_ever(module: str) -> None:
    import_lazily(module)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = importlib.import_module(module).nothing


def test_its_modules_can_be_imported(module: str) -> None:
    import_lazily(module)
    assert importlib.import_module(f"{module}.part").TWICE == 84


def test_one_that_runs_already_stays_as_it_is(module: str) -> None:
    imported = importlib.import_module(module)
    import_lazily(module)
    assert sys.modules[module] is imported


def test_one_that_cannot_be_found_stays_missing() -> None:
    import_lazily("no_such_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module")
