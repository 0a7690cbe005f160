"""The part of API Gateway: routes, API key, preflights, gateway responses, and proxy events.

It has no sockets, no threads and no rules of the catalogue; `server.py` transports the bytes.
Source: Amazon API Gateway Developer Guide, "Lambda proxy integrations in API Gateway".
"""

import base64
import gzip
import hmac
import re
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
from product_tools.functions import ROUTES, Route

BASE_PATH = "v1.0"
"""The base path of the custom domain; API Gateway allows no dot in the name of a stage."""
_STAGE = "v1_0"
SMALLEST_COMPRESSED = 1024
"""Bytes of a body; the same as `minimum_compression_size` in terraform/api_gateway.tf."""
LARGEST_BODY = 10 * 1024 * 1024
"""Bytes; the quota of API Gateway. The functions reject much smaller bodies."""


def _operations() -> dict[str, dict[str, Route]]:
    operations: dict[str, dict[str, Route]] = {}
    for each in ROUTES.values():
        operations.setdefault(each.path, {})[each.method] = each
    return operations


_OPERATIONS: Mapping[str, Mapping[str, Route]] = _operations()
"""The route of each resource and method."""

_KEY_ID = "local-key"
_ALLOWED_HEADERS = "content-type, x-api-key, if-match, if-none-match, idempotency-key"
_PREFLIGHT_SECONDS = "600"


@dataclass(frozen=True, slots=True)
class GatewayProblem:
    """The content of a problem document that the gateway sends without a call to a function."""

    status: int
    problem: str
    title: str
    detail: str
    errors: tuple[tuple[str, str], ...] = ()
    retry_after: int | None = None


NO_VALID_KEY = GatewayProblem(
    403,
    "forbidden",
    "Forbidden",
    "This operation needs a valid API key in the x-api-key header.",
)
NO_SUCH_ROUTE = GatewayProblem(
    404,
    "route-not-found",
    "No such route",
    "No such path; the API offers /products, /products/{productId} and /deleted-products.",
)
METHOD_NOT_ALLOWED = GatewayProblem(
    405,
    "method-not-allowed",
    "The method is not allowed",
    "Use one of the methods in Allow.",
)
MALFORMED = GatewayProblem(
    400,
    "validation-error",
    "The request is not valid",
    "Correct the fields listed under errors and send it again.",
    errors=(("request", "send a well-formed HTTP request with a JSON body in UTF-8"),),
)
TOO_LARGE = GatewayProblem(
    413,
    "payload-too-large",
    "The body is too large",
    "The body must not be larger than 256 KiB.",
)
FUNCTION_FAILED = GatewayProblem(
    500,
    "internal-error",
    "Internal error",
    "The function failed; see the server's log for the cause.",
)
STOPPING = GatewayProblem(
    503,
    "service-unavailable",
    "The service is temporarily unavailable",
    "The server is stopping; send the request again after its next start.",
    retry_after=1,
)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body.

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
    """The call of a function for an accepted request."""

    operation: str
    resource: str
    path_parameters: Mapping[str, str]
    needs_key: bool


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response as the server sends it over HTTP."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def route(head: RequestHead, api_key: str) -> Call | GatewayResponse:
    """Return the call of a function, or the response that the gateway sends without a function."""
    resource, path_parameters = _resource_of(head.path)
    operations = _OPERATIONS.get(resource)
    if not operations:
        return error_response(NO_SUCH_ROUTE, head.request_id)
    if head.method == "OPTIONS":
        return _preflight(head, operations)
    if head.method not in operations:
        return _method_not_allowed(head, operations)
    found = operations[head.method]
    if found.needs_key and not _is_key(dict(head.headers).get("x-api-key", ""), api_key):
        return error_response(NO_VALID_KEY, head.request_id)
    return Call(found.function, resource, path_parameters, found.needs_key)


def error_response(problem: GatewayProblem, request_id: str) -> GatewayResponse:
    """Return a problem document with the common headers."""
    return _for_any_origin(problem_response(problem, request_id), request_id)


def proxy_event(head: RequestHead, call: Call, body: bytes) -> dict[str, Any]:
    """Return the REST API proxy event (payload version 1.0) of a request.

    A body that is not UTF-8 is sent as Base64, as for a binary media type.
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
        "multiValueHeaders": _values_by_name(head.headers),
        "queryStringParameters": dict(names_and_values) or None,
        "multiValueQueryStringParameters": _values_by_name(names_and_values) or None,
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


def http_response(result: Mapping[str, Any]) -> HttpResponse:
    """Convert the result of a function to an HTTP response.

    For a header in both `headers` and `multiValueHeaders`, the values of the latter are sent.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the result has another shape.
    """
    multi_value: Mapping[str, Sequence[str]] = result.get("multiValueHeaders") or {}
    repeated = {name.lower() for name in multi_value}
    headers = [
        (name, str(value))
        for name, value in (result.get("headers") or {}).items()
        if name.lower() not in repeated
    ]
    headers += [(name, str(value)) for name, values in multi_value.items() for value in values]
    body: str = result.get("body") or ""
    raw = base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode()
    return HttpResponse(int(result["statusCode"]), headers, raw)


def compressed(response: HttpResponse, accept_encoding: str) -> HttpResponse:
    """Return the response with its body in gzip, if it is large enough and the caller accepts that.

    All headers stay as they are, also the entity tag: API Gateway compresses what a function has
    returned (Amazon API Gateway Developer Guide, "Receive an API response with a compressed
    payload"). A caller that does not name a coding gets none.

    Args:
        response: the response of a function or of the gateway.
        accept_encoding: the request's header; empty if it is missing.
    """
    if len(response.body) < SMALLEST_COMPRESSED or not _accepts_gzip(accept_encoding):
        return response
    headers = [*response.headers, ("Content-Encoding", "gzip")]
    # A fixed time, so that the same body is always the same bytes.
    return HttpResponse(response.status, headers, gzip.compress(response.body, mtime=0))


def _accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a caller names gzip and does not exclude it (RFC 9110, section 12.5.3)."""
    for coding in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in coding.split(";"))
        if name == "gzip":
            return not any(re.fullmatch(r"q=0(\.0{0,3})?", each) for each in parameters)
    return False


def _resource_of(path: str) -> tuple[str, dict[str, str]]:
    """Return the resource of a path and its parameters; an empty resource for an unknown path.

    The path is split before it is decoded, so that an escaped slash stays inside its segment. One
    slash at the end is ignored.
    """
    segments = [unquote(segment, errors="replace") for segment in path.removesuffix("/").split("/")]
    match segments:
        case ["", base, "products"] if base == BASE_PATH:
            return "/products", {}
        case ["", base, "products", product_id] if base == BASE_PATH:
            return "/products/{productId}", {"productId": product_id}
        case ["", base, "deleted-products"] if base == BASE_PATH:
            return "/deleted-products", {}
    return "", {}


def _is_key(sent: str, api_key: str) -> bool:
    """Return whether the sent key is the configured one; an empty key never is."""
    return bool(api_key) and hmac.compare_digest(sent.encode(), api_key.encode())


def _method_not_allowed(head: RequestHead, operations: Mapping[str, Route]) -> GatewayResponse:
    """Return 405 with the methods of the path (RFC 9110, section 15.5.6)."""
    problem = problem_response(METHOD_NOT_ALLOWED, head.request_id)
    headers = {**problem.headers, "Allow": _methods(operations)}
    return _for_any_origin(problem._replace(headers=headers), head.request_id)


def _preflight(head: RequestHead, operations: Mapping[str, Route]) -> GatewayResponse:
    """Return the response to a CORS preflight request (Fetch Standard, "CORS-preflight fetch")."""
    headers = {
        "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
        "Access-Control-Allow-Methods": _methods(operations),
        "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
    }
    return _for_any_origin(Response(204, headers=headers), head.request_id)


def _methods(operations: Mapping[str, Route]) -> str:
    return ", ".join([*operations, "OPTIONS"])


def _for_any_origin(response: Response, request_id: str) -> GatewayResponse:
    return gateway_response(response, request_id, None, ("*",))


def _values_by_name(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _as_text(body: bytes) -> tuple[str | None, bool]:
    """Return the event's `body` and `isBase64Encoded`."""
    try:
        return body.decode() or None, False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
