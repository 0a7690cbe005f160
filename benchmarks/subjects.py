"""What is measured side by side: our functions, the peers, and what no function can go below."""

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
    CLIENT: "the client alone: one read, an empty answer",
    FLOOR: "the floor: an empty function",
}
PEERS = ("a", "b", "c", "d")
BARE = (CLIENT, FLOOR)
"""What is measured for `get` alone, and answers nothing worth comparing."""

_MODULES = {
    "a": ("boto3_pydantic", ["boto3", "pydantic"]),
    "b": ("powertools_boto3", ["aws_lambda_powertools", "boto3", "pydantic"]),
    "c": ("powertools_pydynox", ["aws_lambda_powertools", "pydantic", "pydynox"]),
    "d": ("fastapi_mangum", ["boto3", "fastapi", "mangum", "pydantic"]),
    CLIENT: ("client_alone", ["pydynox"]),
    FLOOR: ("floor", []),
}
# Peer (a) has a function for each operation; a framework's one handler finds the route itself.
_PLAIN_HANDLERS = {"list": "list_page"}


@dataclass(frozen=True, slots=True)
class Subject:
    """One function under measurement.

    Attributes:
        stack: a key of `LABELS`.
        operation: one of `OPERATIONS`.
    """

    stack: str
    operation: str
    function: Function
    zip_bytes: int


def prepared(folder: Path) -> list[Subject]:
    """Build and unpack everything below `folder`."""
    python = runtime_python(folder / "runtime")
    ours = our_packages(folder)
    subjects: list[Subject] = []
    for operation in OPERATIONS:
        name = FUNCTIONS[operation]
        handler = f"product_lambda.handlers.{name}.handler"
        subjects.append(_subject(OURS, operation, python, ours[name], handler))
    for stack, (module, imports) in _MODULES.items():
        package = peer_package(module, imports, folder)
        for operation in ("get",) if stack in BARE else OPERATIONS:
            name = _PLAIN_HANDLERS.get(operation, operation) if stack == "a" else "handler"
            handler = f"benchmarks.peers.{module}.{name}"
            subjects.append(_subject(stack, operation, python, package, handler))
    return subjects


def _subject(stack: str, operation: str, python: Path, package: Package, handler: str) -> Subject:
    function = Function(python, package.folder, handler)
    return Subject(stack, operation, function, package.zip_bytes)
