"""The list of functions: ROUTES agrees with Terraform and with the declarations of the handlers."""

import ast
import re
from pathlib import Path

from product_tools.functions import ROUTES, Route

ROOT = Path(__file__).resolve().parents[2]
TERRAFORM = (ROOT / "terraform" / "main.tf").read_text(encoding="utf-8")
HANDLERS = ROOT / "src" / "product_lambda" / "handlers"


def terraform_functions() -> dict[str, tuple[Route, bool]]:
    """Return the route of each function in main.tf, and whether the function writes."""
    block = re.search(r"^  functions = \{\n(.*?)^  \}$", TERRAFORM, re.MULTILINE | re.DOTALL)
    assert block
    entry = r'    (\w+) += \{ method = "(\w+)", route = "(\S+)", writes = (true|false) \}'
    matches = [re.fullmatch(entry, line) for line in block[1].splitlines()]
    assert all(matches)
    return {match[1]: (Route(match[2], match[3]), match[4] == "true") for match in matches if match}


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


def test_terraform_has_same_functions_and_routes() -> None:
    assert {name: route for name, (route, _) in terraform_functions().items()} == ROUTES


def test_terraform_marks_all_methods_but_get_as_writes() -> None:
    for route, writes in terraform_functions().values():
        assert writes is (route.method != "GET")


def test_handlers_declare_same_functions_and_routes() -> None:
    declared = {
        path.stem: endpoints
        for path in HANDLERS.glob("*.py")
        if (endpoints := declared_endpoints(path))
    }

    assert declared == {name: [[name, *route]] for name, route in ROUTES.items()}
