"""The imports of each function, since each package makes its cold start longer."""

import json
import os
import subprocess
import sys
import sysconfig

import pytest

from local.engine import CREDENTIALS
from product_tools.repository import REPOSITORY
from tests.integration.conftest import CONFIGURATION

READ = {"pydynox", "simplejson"}
WRITE = READ | {
    "annotated_types",
    "pydantic",
    "pydantic_core",
    "typing_extensions",
    "typing_inspection",
}
IMPORTS = {
    "list_products": READ,
    "get_product": READ,
    "delete_product": READ,
    "create_product": WRITE,
    "update_product": WRITE,
}
PROGRAM = """
import importlib, json, sys
importlib.import_module(f"product_lambda.handlers.{sys.argv[1]}")
site_packages = sys.argv[2]
print(json.dumps(sorted({
    name.partition(".")[0]
    for name, module in list(sys.modules.items())
    if (getattr(module, "__file__", None) or "").startswith(site_packages)
})))
"""


def imported_by(function: str) -> set[str]:
    """Return the third-party packages that importing a function loads."""
    site_packages = sysconfig.get_path("platlib")
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, function, site_packages],
        env={**os.environ, **CREDENTIALS, **CONFIGURATION, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stdout)) - MEASURING


# Loaded by the measurement of coverage.
MEASURING = {"coverage", "a1_coverage", "_virtualenv", "pytest_cov"}


@pytest.mark.parametrize("function", IMPORTS)
def test_function_imports_only_what_it_needs(function: str) -> None:
    assert imported_by(function) == IMPORTS[function]


@pytest.mark.parametrize("function", IMPORTS)
def test_loaded_function_collects_garbage(function: str) -> None:
    program = f"import gc, product_lambda.handlers.{function}; assert gc.isenabled()"
    subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **CREDENTIALS, **CONFIGURATION, "PYTHONPATH": str(REPOSITORY / "src")},
        check=True,
    )


@pytest.mark.parametrize("missing", sorted(CONFIGURATION.keys() - {"PRODUCT_INDEXES"}))
def test_function_without_settings_does_not_start(missing: str) -> None:
    environment = {n: v for n, v in {**os.environ, **CONFIGURATION}.items() if n != missing}
    ran = subprocess.run(
        [sys.executable, "-c", "import product_lambda.handlers.get_product"],
        env={**environment, "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert f"The configuration is not complete: set {missing} to" in ran.stderr
