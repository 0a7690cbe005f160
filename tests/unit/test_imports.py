"""Lazy imports of modules."""

import importlib
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from product_lambda.utils.imports import import_lazily


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package with a module and a constant; it records when it is loaded."""
    name = f"late_{uuid4().hex}"
    package = tmp_path / name
    package.mkdir()
    package.joinpath("__init__.py").write_text(
        "import sys\nsys.modules['loaded_' + __name__] = sys\nCONSTANT = 42\n"
    )
    package.joinpath("part.py").write_text("from . import CONSTANT\nTWICE = 2 * CONSTANT\n")
    monkeypatch.syspath_prepend(tmp_path)
    for created in (name, f"{name}.part", f"loaded_{name}"):
        monkeypatch.delitem(sys.modules, created, raising=False)
    return name


def was_run(module: str) -> bool:
    return f"loaded_{module}" in sys.modules


def test_lazy_import_loads_module_at_first_access(module: str) -> None:
    import_lazily(module)
    imported = importlib.import_module(module)
    assert not was_run(module)
    assert imported.CONSTANT == 42
    assert was_run(module)


def test_module_is_loaded_once(module: str) -> None:
    import_lazily(module)
    imported = importlib.import_module(module)
    assert imported.CONSTANT == 42
    vars(imported)["CONSTANT"] = 43
    assert importlib.import_module(module).CONSTANT == 43


def test_missing_attribute_raises_attribute_error(module: str) -> None:
    import_lazily(module)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = importlib.import_module(module).nothing


def test_submodules_can_be_imported(module: str) -> None:
    import_lazily(module)
    assert importlib.import_module(f"{module}.part").TWICE == 84


def test_loaded_module_stays_unchanged(module: str) -> None:
    imported = importlib.import_module(module)
    import_lazily(module)
    assert sys.modules[module] is imported


def test_missing_module_stays_missing() -> None:
    import_lazily("no_such_module")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_module")
