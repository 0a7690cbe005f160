"""API Gateway's part: routes, keys, preflights, refusals, and the events that functions receive.

No sockets and no threads here, and no rule of the catalogue: `server.py` carries the bytes.
Source: Amazon API Gateway Developer Guide, "Lambda proxy integrations in API Gateway".
"""

import base64
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from product_lambda.utils.response_builder import (
    GatewayResponse,
    Response,
    gateway_response,
    problem_response,
)
from product_tools.functions import ROUTES

BASE_PATH = "v1.0"
"""As on the custom domain; API Gateway allows no dot in the name of a stage."""
_STAGE = "v1_0"
LARGEST_BODY = 10 * 1024 * 1024
"""Bytes; API Gateway's own quota. The functions refuse far smaller ones."""


def _operations() -> dict[str, dict[str, str]]:
    operations: dict[str, dict[str, str]] = {}
    for function, route in ROUTES.items():
        operations.setdefault(route.path, {})[route.method] = function
    return operations


OPERATIONS: Mapping[str, Mapping[str, str]] = _operations()
"""The function of each resource and method."""

_KEYLESS_METHOD = "GET"
_KEY_ID = "local-key"
_ALLOWED_HEADERS = "content-type, x-api-key, if-match, if-none-match, idempotency-key"
_PREFLIGHT_SECONDS = "600"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer of the gateway's own, as a problem document."""

    status: int
    problem: str
    title: str
    detail: str
    errors: tuple[tuple[str, str], ...] = ()
    retry_after: int | None = None


NO_VALID_KEY = Refusal(
    403,
    "forbidden",
    "Forbidden",
    "This operation needs a valid API key in the x-api-key header.",
)
NO_SUCH_ROUTE = Refusal(
    404,
    "route-not-found",
    "No such route",
    "No such path or method; the API offers /products and /products/{productId}.",
)
TOO_LARGE = Refusal(
    413,
    "payload-too-large",
    "The body is too large",
    "The body must not be larger than 256 KiB.",
)
FUNCTION_FAILED = Refusal(
    500,
    "internal-error",
    "The service has made a mistake",
    "The request could not be answered; the server's log says why.",
)
STOPPING = Refusal(
    503,
    "service-unavailable",
    "The service is unavailable for the moment",
    "The server is being stopped; send the request again when it is back.",
    retry_after=1,
)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request but for its body.

    Attributes:
        path: as sent, with its percent-escapes.
        query: as sent, without the question mark.
        headers: names in lower case, in the order sent.
    """

    request_id: str
    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    source_ip: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function to call, for a request that the gateway lets through."""

    operation: str
    resource: str
    path_parameters: Mapping[str, str]
    needs_key: bool


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer as it goes over the wire."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def decide(head: RequestHead, api_key: str) -> Call | GatewayResponse:
    """The function to call, or the answer that the gateway gives without one."""
    resource, path_parameters = _resource_of(head.path)
    operations = OPERATIONS.get(resource, {})
    if operations and head.method == "OPTIONS":
        return _preflight(head, operations)
    if head.method not in operations:
        return refuse(NO_SUCH_ROUTE, head.request_id)
    needs_key = head.method != _KEYLESS_METHOD
    if needs_key and not _is_key(dict(head.headers).get("x-api-key", ""), api_key):
        return refuse(NO_VALID_KEY, head.request_id)
    return Call(operations[head.method], resource, path_parameters, needs_key)


def refuse(rejection: Refusal, request_id: str) -> GatewayResponse:
    """The refusal with the headers that every answer carries."""
    return _for_any_origin(problem_response(rejection, request_id), request_id)


def proxy_event(head: RequestHead, call: Call, body: bytes) -> dict[str, Any]:
    """The REST API proxy event (payload version 1.0) of a request.

    A body that is not UTF-8 arrives in base64, as with a binary media type.
    """
    names_and_values = parse_qsl(head.query, keep_blank_values=True, errors="replace")
    identity: dict[str, str | None] = {"sourceIp": head.source_ip}
    identity["userAgent"] = dict(head.headers).get("user-agent")
    if call.needs_key:
        identity["apiKeyId"] = _KEY_ID
        identity["apiKey"] = dict(head.headers)["x-api-key"]
    path = head.path.removeprefix(f"/{BASE_PATH}")
    text, is_base64 = _as_text(body)
    return {
        "resource": call.resource,
        "path": path,
        "httpMethod": head.method,
        "headers": dict(head.headers),
        "multiValueHeaders": _several(head.headers),
        "queryStringParameters": dict(names_and_values) or None,
        "multiValueQueryStringParameters": _several(names_and_values) or None,
        "pathParameters": dict(call.path_parameters) or None,
        "stageVariables": None,
        "requestContext": {
            "requestId": head.request_id,
            "requestTimeEpoch": int(time.time() * 1000),
            "stage": _STAGE,
            "resourcePath": call.resource,
            "httpMethod": head.method,
            "path": f"/{BASE_PATH}{path}",
            "protocol": "HTTP/1.1",
            "identity": identity,
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


def http_answer(result: Mapping[str, Any]) -> HttpAnswer:
    """The HTTP answer that a function's result means.

    Of a header in both `headers` and `multiValueHeaders` the latter's values count.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the function returned something else.
    """
    several: Mapping[str, Sequence[str]] = result.get("multiValueHeaders") or {}
    repeated = {name.lower() for name in several}
    headers = [
        (name, str(value))
        for name, value in (result.get("headers") or {}).items()
        if name.lower() not in repeated
    ]
    headers += [(name, str(value)) for name, values in several.items() for value in values]
    body: str = result.get("body") or ""
    raw = base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode()
    return HttpAnswer(int(result["statusCode"]), headers, raw)


def _resource_of(path: str) -> tuple[str, dict[str, str]]:
    """The resource that a path means, and its parameters; no resource for any other path.

    Parted before it is decoded, so that an escaped slash stays inside its part; one slash at the
    end changes nothing.
    """
    parts = [unquote(part, errors="replace") for part in path.removesuffix("/").split("/")]
    match parts:
        case ["", base, "products"] if base == BASE_PATH:
            return "/products", {}
        case ["", base, "products", product_id] if base == BASE_PATH:
            return "/products/{productId}", {"productId": product_id}
    return "", {}


def _is_key(sent: str, api_key: str) -> bool:
    return hmac.compare_digest(sent.encode(), api_key.encode())


def _preflight(head: RequestHead, operations: Mapping[str, str]) -> GatewayResponse:
    """The answer to a CORS preflight request (Fetch Standard, "CORS-preflight fetch")."""
    headers = {
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        "Access-Control-Allow-Methods": ", ".join([*operations, "OPTIONS"]),
        "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
    }
    return _for_any_origin(Response(204, headers=headers), head.request_id)


def _for_any_origin(response: Response, request_id: str) -> GatewayResponse:
    return gateway_response(response, request_id, None, ("*",))


def _several(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _as_text(body: bytes) -> tuple[str | None, bool]:
    """The event's `body` and `isBase64Encoded`."""
    try:
        return body.decode() or None, False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
