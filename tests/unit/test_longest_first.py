"""The order of the test modules in a parallel run."""

from pathlib import Path

import pytest

from tests.support import longest_first

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("module", longest_first.MODULES)
def test_each_long_module_exists(module: str) -> None:
    assert (TESTS / f"{module}.py").is_file()


def test_long_modules_come_first_and_others_keep_order(request: pytest.FixtureRequest) -> None:
    others = [
        item
        for item in request.session.items
        if longest_first.module_of(item) not in longest_first.MODULES
    ]
    named = pytest.Module.from_parent(request.session, path=TESTS / "e2e" / "test_prod.py")
    long = pytest.Function.from_parent(named, name="test_long", callobj=lambda: None)
    items = [*others, long]

    longest_first.sort(items)

    assert items == [long, *others]
