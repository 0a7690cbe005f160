"""The one place that builds responses: common headers, problem documents, gateway responses."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, TypedDict

import simplejson

PROBLEM_TYPE_PREFIX = "tag:kimmyai.io,2026:"
_MAX_ERRORS: Final = 100  # one per field of a valid body, and more
_MAX_FIELD_NAME: Final = 100  # characters
_ENCODER: Final = simplejson.JSONEncoder(
    use_decimal=True, ensure_ascii=False, separators=(",", ":")
)
# Long enough for the refresh of a page in demand; browsers may obey it too, so it is short.
_STALE_SECONDS: Final = 2
EXPOSED_HEADERS = "ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed"


class GatewayResponse(TypedDict):
    """The response of a Lambda proxy integration to API Gateway."""

    statusCode: int
    headers: dict[str, str]
    body: str
    isBase64Encoded: bool


class Response(NamedTuple):
    """A response without the common headers.

    Attributes:
        body: the text of the body; empty for no body.
        product_id: the product of the request, for the log.
        replayed: whether it repeats an earlier response, for the log.
        restored: whether the request restored a product, for the log.
    """

    status: int
    body: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    product_id: str | None = None
    replayed: bool = False
    restored: bool = False


def to_json(document: object) -> str:
    """Return compact JSON text; a Decimal keeps its digits."""
    return _ENCODER.encode(document)


def json_response(status: int, body: str, headers: Mapping[str, str]) -> Response:
    """Return a response with JSON text as its body."""
    return Response(status, body, {"Content-Type": "application/json", **headers})


def entity_tag(version: int, updated_at: str) -> str:
    """Return the strong entity tag of a product's revision (RFC 9110, section 8.8.3).

    `validators.headers` reads it back.
    """
    return f'"{version}-{"".join(filter(str.isdigit, updated_at))}"'


def read_response(body: str, tag: str, cache_control: str) -> Response:
    """Return 200 with JSON text, for caches; the gateway may compress it."""
    return json_response(200, body, _read_headers(tag, cache_control))


def not_modified(tag: str, cache_control: str) -> Response:
    """Return 304: the caller's copy is current.

    It has the headers for caches of the 200 that it stands for (RFC 9110, section 15.4.5).
    """
    return Response(304, "", _read_headers(tag, cache_control))


def _read_headers(tag: str, cache_control: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": cache_control, "Vary": "Accept-Encoding"}


def edge_cache_control(edge_cache_seconds: int, *, has_key: bool) -> str:
    """Return the `Cache-Control` of a read behind an edge cache (docs/adr/0032-edge-cache.md).

    Args:
        edge_cache_seconds: how long the edge cache may serve the response without a new request.
        has_key: whether the request has an API key; no shared cache stores its response.
    """
    if has_key:
        return "private, no-cache"
    return f"max-age=0, s-maxage={edge_cache_seconds}, stale-while-revalidate={_STALE_SECONDS}"


class Problem(Protocol):
    """The content of a problem document; every exception of the service has it.

    Attributes:
        problem: the last part of the problem type.
        errors: pairs of a field and what to send in it.
        retry_after: seconds until a retry; None if a retry does not help.
    """

    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def problem(self) -> str: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def detail(self) -> str: ...  # noqa: D102
    @property
    def errors(self) -> Iterable[tuple[str, str]]: ...  # noqa: D102
    @property
    def retry_after(self) -> int | None: ...  # noqa: D102


def problem_response(problem: Problem, request_id: str) -> Response:
    """Return a problem document (RFC 9457).

    Its type is a tag URI (RFC 4151), which RFC 9457 recommends for types without a web page.
    """
    document: dict[str, Any] = {
        "type": PROBLEM_TYPE_PREFIX + problem.problem,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request_id,
    }
    errors = list(problem.errors)
    if errors:
        document["errors"] = [
            {"field": name[:_MAX_FIELD_NAME], "message": message}
            for name, message in errors[:_MAX_ERRORS]
        ]
    if len(errors) > _MAX_ERRORS:
        document["detail"] += f" {len(errors) - _MAX_ERRORS} more errors are not listed."
    headers = {"Content-Type": "application/problem+json"}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    # The name of a field may hold a lone surrogate, which has no UTF-8.
    body = to_json(document).encode(errors="replace").decode()
    return Response(problem.status, body, headers)


def gateway_response(
    response: Response, request_id: str, origin: str | None, allowed_origins: tuple[str, ...]
) -> GatewayResponse:
    """Add the common headers and return the response in API Gateway's format.

    An allowed `origin` of the caller is repeated. For any other, the first allowed one is sent, and
    the browser blocks the response (Fetch Standard, "CORS check").
    """
    if origin is None or origin not in allowed_origins:
        origin = allowed_origins[0]
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
        **response.headers,
    }
    if len(allowed_origins) > 1:
        headers["Vary"] = ", ".join(filter(None, (headers.get("Vary"), "Origin")))
    return {
        "statusCode": response.status,
        "headers": headers,
        "body": response.body,
        "isBase64Encoded": False,
    }
