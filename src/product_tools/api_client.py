"""The commands' HTTP client for the product API: it keeps decimals exact and retries.

It knows HTTP and problem documents (RFC 9457), but no rule of the catalogue.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

import simplejson
import urllib3
from urllib3 import exceptions

RETRIED_STATUSES = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# Six attempts outlast a throttle or a short outage. The waits between them are about 1, 2, 4 and
# 8 s, or as long as Retry-After says.
DEFAULT_ATTEMPTS = 6
LONGEST_RETRY_AFTER_SECONDS = 30

# A function may run for 10 s, and API Gateway adds time: a shorter time-out ends live requests.
CONNECT_SECONDS = 5
READ_SECONDS = 15

DUPLICATE_PRODUCT = "tag:kimmyai.io,2026:duplicate-product"
FORBIDDEN = "tag:kimmyai.io,2026:forbidden"
KEY_IN_FLIGHT = "tag:kimmyai.io,2026:idempotency-key-in-flight"
PRODUCT_NOT_FOUND = "tag:kimmyai.io,2026:product-not-found"
READ_ONLY = "tag:kimmyai.io,2026:read-only"


class ApiUnavailableError(Exception):
    """No usable response came; the text is one sentence with the cause and the next step."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of the API.

    Attributes:
        status: The HTTP status.
        headers: The headers, by lower-case name.
        body: The decoded JSON, with exact numbers; None for an empty body or one that is not JSON.
        milliseconds: From sending to the last byte, including waits between attempts.
    """

    status: int
    headers: Mapping[str, str]
    body: object
    milliseconds: float

    def field(self, name: str) -> object:
        """Return a field of the JSON object, or None when the body has no such field."""
        return self.body.get(name) if isinstance(self.body, dict) else None

    def reason(self) -> str:
        """Describe an error response in one line, with the API's own text where it has one."""
        errors = self.field("errors")
        if isinstance(errors, list) and errors:
            text = "; ".join(f"{error['field']}: {error['message']}" for error in errors)
        else:
            # API Gateway's default bodies have "message" where a problem document has "detail".
            text = str(self.field("detail") or self.field("message") or "no reason given")
        request_id = self.headers.get("x-request-id")
        return f"HTTP {self.status}: {text}" + (f" (request {request_id})" if request_id else "")


class _Retry(urllib3.Retry):
    """Retries, unless operators have made the API read-only, which lasts longer than any wait."""

    def increment(self, *arguments: Any, **named: Any) -> Self:  # noqa: ANN401 - the superclass's
        """Return the retries that are left.

        Raises:
            MaxRetryError: None are left, or a retry makes no sense.
        """
        response = named.get("response")
        if response is not None and READ_ONLY.encode() in response.data:
            raise exceptions.MaxRetryError(named["_pool"], "")
        return super().increment(*arguments, **named)


class ApiClient:
    """Sends requests to one product API.

    Args:
        base_url: The API's address, up to just before ``/products``.
        api_key: The value of ``x-api-key``; empty for a client that only reads.
        attempts: How often a request is sent in total when the response is 429 or 503, or missing.

    Attributes:
        base_url: The API's address.
        has_key: Whether it sends a key.

    Raises:
        ValueError: The URL or the key is invalid; the text is a sentence for the user.
    """

    def __init__(self, base_url: str, api_key: str, *, attempts: int = DEFAULT_ATTEMPTS) -> None:
        self.base_url = base_url.strip().rstrip("/")
        try:
            url = urllib3.util.parse_url(self.base_url)
        except exceptions.LocationParseError:
            url = urllib3.util.Url()
        if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
            raise ValueError(
                f"{base_url!r} is not an API address: give one like https://host/v1.0."
            )
        if self.base_url.endswith("/products"):
            raise ValueError("The API address ends just before /products: leave that part out.")
        key = api_key.strip()
        if not (key.isascii() and key.isprintable()):
            raise ValueError("The API key contains invalid characters: copy it again.")
        self.has_key = bool(key)
        self._headers = {"accept": "application/json"} | ({"x-api-key": key} if key else {})
        self._attempts = attempts
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=_Retry(
                total=attempts - 1,
                connect=1,  # a wrong address should fail at once
                status_forcelist=RETRIED_STATUSES,
                # Safe for every method: creations carry an Idempotency-Key, updates an If-Match.
                allowed_methods=None,
                backoff_factor=0.5,
                backoff_max=8,
                backoff_jitter=0.25,
                retry_after_max=LONGEST_RETRY_AFTER_SECONDS,
                raise_on_status=False,
            ),
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        """Send one request, and retry while the API is throttled or out of service.

        Args:
            method: The HTTP method.
            path: The part after the base URL, such as ``/products``.
            query: Query parameters.
            body: A JSON object to send, as ``encoded`` describes it.
            headers: Headers besides those of the client.

        Raises:
            ApiUnavailableError: No response came, or none that a product API sends.
        """
        started = time.perf_counter()
        try:
            raw = self._pool.request(
                method,
                self.base_url + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else encoded(body),
                headers=self._headers
                | ({} if body is None else {"content-type": "application/json"})
                | dict(headers or {}),
                redirect=False,  # the key must not follow a redirect to another host
            )
        except exceptions.HTTPError as error:
            raise ApiUnavailableError(self._explain(error)) from error
        response = ApiResponse(
            status=raw.status,
            headers={name.lower(): value for name, value in raw.headers.items()},
            body=_decoded(raw.data),
            milliseconds=(time.perf_counter() - started) * 1000,
        )
        if response.field("type") == READ_ONLY:
            raise ApiUnavailableError(
                f"{self.base_url} is read-only ({response.reason()}): try again later."
            )
        if response.status in RETRIED_STATUSES:
            raise ApiUnavailableError(
                f"{method} {path} failed {self._attempts} times"
                f" ({response.reason()}): try again later."
            )
        if response.status < HTTPStatus.BAD_REQUEST and raw.data and response.body is None:
            raise ApiUnavailableError(
                f"{self.base_url} is not the product API"
                f" (HTTP {response.status}, not JSON): check the address."
            )
        return response

    def _explain(self, error: exceptions.HTTPError) -> str:
        cause = error.reason if isinstance(error, exceptions.MaxRetryError) else error
        match cause:
            case exceptions.NameResolutionError():
                return f"The host of {self.base_url} is unknown: check the address."
            case exceptions.NewConnectionError():
                return f"No server listens at {self.base_url}: start the API, or check the address."
            case exceptions.TimeoutError():
                return (
                    f"{self.base_url} sent no response within {READ_SECONDS} s: check the address"
                    " and the network, then the API's logs."
                )
            case exceptions.SSLError():
                return f"No secure connection to {self.base_url}: check the address ({cause})."
            case _:
                return f"The connection to {self.base_url} broke: try again ({cause})."


def encoded(body: Mapping[str, object]) -> bytes:
    """Return a body as JSON; its ``Decimal`` values keep every digit."""
    return simplejson.dumps(body, use_decimal=True).encode()


def _decoded(payload: bytes) -> object:
    try:
        return simplejson.loads(payload, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
