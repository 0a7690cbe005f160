"""The functions that `make bench` compares: this service, its peers and two lower limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages import peer_package
from tests.support.deployed_functions import Package, our_packages, runtime_python
from tests.support.function_process import Function
from tests.support.workload import FUNCTIONS, OPERATIONS

OURS = "ours"
CLIENT = "client"
FLOOR = "floor"
LABELS: Mapping[str, str] = {
    OURS: "this service",
    "a": "(a) boto3 + Pydantic",
    "b": "(b) Powertools + Pydantic + boto3",
    "c": "(c) Powertools + Pydantic + pydynox",
    "d": "(d) FastAPI + Mangum + boto3",
    CLIENT: "client only: one read, empty response",
    FLOOR: "floor: an empty function",
}
"""The name of each stack in tables and charts."""
PEERS = ("a", "b", "c", "d")
LOWER_LIMITS = (CLIENT, FLOOR)
"""Measured for `get` only; their responses are empty, so nothing compares them."""

_MODULES = {
    "a": ("boto3_pydantic", ["boto3", "pydantic"]),
    "b": ("powertools_boto3", ["aws_lambda_powertools", "boto3", "pydantic"]),
    "c": ("powertools_pydynox", ["aws_lambda_powertools", "pydantic", "pydynox"]),
    "d": ("fastapi_mangum", ["boto3", "fastapi", "mangum", "pydantic"]),
    CLIENT: ("client_alone", ["pydynox"]),
    FLOOR: ("floor", []),
}
# Peer (a) has one function for each operation; the frameworks route inside one handler.
_HANDLERS_OF_PEER_A = {"list": "list_page"}


@dataclass(frozen=True, slots=True)
class Subject:
    """One measured function.

    Attributes:
        stack: a key of `LABELS`.
        operation: one of `OPERATIONS`.
    """

    stack: str
    operation: str
    function: Function
    zip_bytes: int


def prepared(folder: Path) -> list[Subject]:
    """Build and unpack every subject in `folder`."""
    python = runtime_python(folder / "runtime")
    ours = our_packages(folder)
    subjects: list[Subject] = []
    for operation in OPERATIONS:
        name = FUNCTIONS[operation]
        handler = f"product_lambda.handlers.{name}.handler"
        subjects.append(_subject(OURS, operation, python, ours[name], handler))
    for stack, (module, imports) in _MODULES.items():
        package = peer_package(module, imports, folder)
        for operation in ("get",) if stack in LOWER_LIMITS else OPERATIONS:
            name = _HANDLERS_OF_PEER_A.get(operation, operation) if stack == "a" else "handler"
            handler = f"benchmarks.peers.{module}.{name}"
            subjects.append(_subject(stack, operation, python, package, handler))
    return subjects


def _subject(stack: str, operation: str, python: Path, package: Package, handler: str) -> Subject:
    function = Function(python, package.folder, handler)
    return Subject(stack, operation, function, package.zip_bytes)
