"""The list of routes: ROUTES agrees with Terraform and with the declarations of the handlers."""

import ast
import re
from pathlib import Path

from product_tools.functions import EVENT_FUNCTIONS, FUNCTIONS, ROUTES, Route

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = (ROOT / "terraform" / "main.tf").read_text(encoding="utf-8")
HANDLERS = ROOT / "src" / "product_lambda" / "handlers"
EVENT_HANDLERS = ROOT / "src" / "product_lambda" / "event_handlers"


def terraform_routes() -> dict[str, Route]:
    """Return the routes in main.tf, by operation."""
    block = re.search(r"^  routes = \{\n(.*?)^  \}$", TERRAFORM, re.MULTILINE | re.DOTALL)
    assert block
    routes = {}
    for match in re.finditer(r"(\w+) += \{(.*?)\n? *\}(?=\n)", block[1], re.DOTALL):
        values = dict(re.findall(r'(\w+) += "?([^",\n ]+)"?', match[2]))
        needs_key = {"true": True, "false": False}[values.pop("needs_key")]
        routes[match[1]] = Route(**values, needs_key=needs_key)
    return routes


def declared_endpoints(module: Path) -> list[list[object]]:
    """Return the arguments of each `@endpoint(...)` in a module."""
    return [
        [ast.literal_eval(argument) for argument in decorator.args]
        for function in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id == "endpoint"
    ]


def test_terraform_has_same_routes() -> None:
    assert terraform_routes() == ROUTES


def test_all_writes_need_key() -> None:
    assert {name for name, route in ROUTES.items() if not route.needs_key} == {
        "list_products",
        "get_product",
    }


def test_handlers_declare_same_routes() -> None:
    declared = {
        name: (path.stem, method, route)
        for path in HANDLERS.glob("*.py")
        for name, method, route in declared_endpoints(path)
    }

    assert declared == {name: tuple(route)[:3] for name, route in ROUTES.items()}


def test_functions_are_five() -> None:
    assert len(FUNCTIONS) == len(set(FUNCTIONS)) == 5


def test_event_functions_are_modules_with_handler() -> None:
    modules = {
        path.stem
        for path in EVENT_HANDLERS.glob("*.py")
        if "def handler(" in path.read_text(encoding="utf-8")
    }

    assert modules == set(EVENT_FUNCTIONS)
