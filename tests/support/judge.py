"""Judges every answer of the contract tests, by the OpenAPI file and by the rules of all answers.

It sends nothing.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from urllib3 import HTTPHeaderDict

from tests.support.leaks import INTERNAL_DETAIL

OPENAPI_FILE: Final = Path(__file__).parents[2] / "openapi/product-api.yaml"

_EXPOSED: Final = {"etag", "location", "retry-after", "x-request-id", "idempotency-replayed"}


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """An answer of the API to `method` on `path`, which starts after the base URL."""

    method: str
    path: str
    status: int
    headers: HTTPHeaderDict
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body's document, its numbers with a fraction as Decimal."""
        document: dict[str, Any] = json.loads(
            self.body.decode("utf-8"), parse_float=Decimal, object_pairs_hook=_members
        )
        return document

    def fields(self) -> set[str]:
        """The names of the fields that an answer 400 or 422 complains about."""
        return {error["field"] for error in self.json()["errors"]}


class _ExactNumbers(yaml.SafeLoader):
    """Reads YAML's numbers with a fraction as Decimal, so that 19.99 is a multiple of 0.01."""


def _exact(_: yaml.SafeLoader, number: yaml.ScalarNode) -> Decimal:
    return Decimal(number.value)


_ExactNumbers.add_constructor("tag:yaml.org,2002:float", _exact)


def openapi_document() -> dict[str, Any]:
    """The OpenAPI file, its numbers with a fraction as Decimal."""
    document: dict[str, Any] = yaml.load(OPENAPI_FILE.read_bytes(), _ExactNumbers)  # noqa: S506
    return document


_DOCUMENT: Final = openapi_document()


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` into the file's components stands for; anything else as it is."""
    if "$ref" not in part:
        return part
    _, section, name = part["$ref"].removeprefix("#/").split("/")
    target: dict[str, Any] = _DOCUMENT["components"][section][name]
    return target


def problem_examples() -> dict[str, dict[str, Any]]:
    """The problem documents that the file shows, by the name of the example."""
    media_type = "application/problem+json"
    return {
        name: example["value"]
        for response in _DOCUMENT["components"]["responses"].values()
        for name, example in response.get("content", {})
        .get(media_type, {})
        .get("examples", {})
        .items()
    }


def faults(instance: object, schema: dict[str, Any]) -> list[str]:
    """What is wrong with a value by a schema of the file."""
    validator = OAS30Validator(
        {"allOf": [schema], "components": _DOCUMENT["components"]},
        format_checker=oas30_format_checker,
    )
    return [f"{fault.json_path}: {fault.message}" for fault in validator.iter_errors(instance)]


# The file's examples are all the types there are: each with its status and its title. Only an
# unknown route has none, since the file describes known ones.
_PROBLEMS: Final = {
    "tag:kimmyai.io,2026:route-not-found": (404, "No such route"),
    **{
        example["type"]: (example["status"], example["title"])
        for example in problem_examples().values()
    },
}


def judge(response: ApiResponse) -> None:
    """Check an answer.

    Raises:
        AssertionError: it breaks a rule, which the message names together with the answer.
    """
    __tracebackhide__ = True
    try:
        _judge(response)
    except AssertionError as fault:
        raise AssertionError(f"{fault}\nin the answer {response}") from None


def _judge(response: ApiResponse) -> None:
    _judge_common_headers(response)
    if response.method == "OPTIONS" and response.status < 300:
        return
    if response.status in {204, 304} or response.method == "HEAD":
        assert response.body == b"", "there must be no body"
    if response.status >= 400:
        _judge_refusal(response)
    operation = _operation(response)
    if operation is None:
        assert response.status == 404, "what is not in the OpenAPI file must be not found"
        return
    described = operation["responses"].get(str(response.status))
    assert described, f"the OpenAPI file knows no {response.status} here"
    _judge_by_file(response, resolved(described))
    if response.status in {200, 201}:
        _judge_success(response)


def _operation(response: ApiResponse) -> dict[str, Any] | None:
    if response.path == "/products":
        path = "/products"
    elif re.fullmatch("/products/[^/]+", response.path):
        path = "/products/{productId}"
    else:
        return None
    operation: dict[str, Any] | None = _DOCUMENT["paths"][path].get(response.method.lower())
    return operation


def _judge_common_headers(response: ApiResponse) -> None:
    headers = response.headers
    assert headers.get("Access-Control-Allow-Origin"), "Access-Control-Allow-Origin is missing"
    exposed = headers.get("Access-Control-Expose-Headers", "")
    assert {name.strip().lower() for name in exposed.split(",")} == _EXPOSED, f"exposes {exposed}"
    # Deployed, no function runs for a preflight, and an emulated gateway's mock answers constants.
    assert headers.get("X-Request-Id") or response.method == "OPTIONS", "X-Request-Id is missing"
    assert headers.get("X-Content-Type-Options") == "nosniff", "nosniff is missing"
    caching = headers.get("Cache-Control", "")
    if response.method == "GET" and response.status in {200, 304}:
        assert caching == "no-cache" or "max-age" in caching, f"a read with Cache-Control {caching}"
    elif response.method != "OPTIONS":
        assert caching == "no-store", f"Cache-Control {caching}"


def _judge_refusal(response: ApiResponse) -> None:
    """RFC 9457, and that nothing of the inside shows."""
    if response.method == "HEAD":
        return
    assert response.headers.get("Content-Type") == "application/problem+json", "not a problem"
    problem = response.json()
    assert problem["type"] in _PROBLEMS, f"an unknown type {problem['type']}"
    status, title = _PROBLEMS[problem["type"]]
    assert problem["status"] == status == response.status, "type and status do not fit"
    # RFC 9457, section 3.1.3: the title is the same on each occurrence of the type.
    assert problem["title"] == title, f"another title than {title}"
    assert (
        problem["instance"] == response.headers["X-Request-Id"]
    ), "the instance is not the request"
    assert ("errors" in problem) == (response.status in {400, 422}), "errors belong to 400 and 422"
    errors = [(error["field"], error["message"]) for error in problem.get("errors", [])]
    assert len(set(errors)) == len(errors), "an error is told twice"
    said = "\n".join([problem["title"], problem["detail"], *(message for _, message in errors)])
    assert not (inside := INTERNAL_DETAIL.search(said)), f"shows something of the inside: {inside}"
    assert response.status != 500, "a fault of the service"
    waiting_helps = response.status in {429, 503} or problem["type"].endswith("-in-flight")
    assert waiting_helps == ("Retry-After" in response.headers), "Retry-After"


def _judge_by_file(response: ApiResponse, described: dict[str, Any]) -> None:
    for name, part in described.get("headers", {}).items():
        header = resolved(part)
        if name in response.headers:
            assert not (
                wrong := faults(response.headers[name], header["schema"])
            ), f"{name}: {wrong}"
        else:
            assert not header.get("required"), f"the header {name} is missing"
    if "content" not in described:
        # API Gateway gives every answer a type: this one, where the function names none.
        content_type = response.headers.get("Content-Type", "application/json")
        assert content_type == "application/json", "a Content-Type of no content"
        return
    content_type = response.headers.get("Content-Type", "")
    assert content_type in described["content"], f"Content-Type {content_type}"
    wrong = faults(response.json(), described["content"][content_type]["schema"])
    assert not wrong, f"not as the OpenAPI file says: {wrong}"


def _judge_success(response: ApiResponse) -> None:
    document = response.json()
    if response.path == "/products" and response.method == "GET":
        assert document["count"] == len(document["products"]) <= document["limit"], "count"
        assert document["moreAvailable"] == (document["nextToken"] is not None), "moreAvailable"
        full = document["count"] == document["limit"]
        assert full or not document["moreAvailable"], "a page that is not the last is not full"
        assert all(product["active"] for product in document["products"]), "an inactive product"
        return
    assert document["active"], "an inactive product"
    assert response.headers["ETag"] == f'"{document["version"]}"', "the ETag is not the version"
    if response.status == 201:
        location = response.headers["Location"]
        assert location.endswith(f"/products/{document['productId']}"), "Location"


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    assert len(members) == len(pairs), "a member is there twice"
    return members
